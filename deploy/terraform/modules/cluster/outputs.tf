output "name" {
  description = "Name of the cluster."
  value       = aws_eks_cluster.this.name
}

output "endpoint" {
  description = "Address of the API server."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate that the API server is verified with, base64."
  value       = one(aws_eks_cluster.this.certificate_authority[*].data)
}

output "security_group_id" {
  description = "Security group of every node and pod, made by EKS; what the stores let in."
  value       = one(aws_eks_cluster.this.vpc_config[*].cluster_security_group_id)
}
