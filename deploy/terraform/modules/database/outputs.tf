output "endpoint" {
  description = "Address of the writer."
  value       = aws_rds_cluster.this.endpoint
}

output "reader_endpoint" {
  description = "Address that spreads over the readers."
  value       = aws_rds_cluster.this.reader_endpoint
}

output "superuser_secret_arn" {
  description = "Secret with the superuser's password, for the bootstrap job alone; null in a global database."
  value       = one(aws_rds_cluster.this.master_user_secret[*].secret_arn)
}

output "instances" {
  description = "Names of the instances."
  value       = [for instance in aws_rds_cluster_instance.this : instance.identifier]
}

output "follows" {
  description = "Whether the cluster is read only until it is promoted."
  value       = var.follows != null
}

output "databases" {
  description = "Database of each service."
  value       = var.services
}
