output "endpoint" {
  description = "Address of the writer."
  value       = aws_rds_cluster.this.endpoint
}

output "reader_endpoint" {
  description = "Address that spreads over the readers."
  value       = aws_rds_cluster.this.reader_endpoint
}

output "superuser_secret_arn" {
  description = "Secret with the superuser's password, for the bootstrap job alone."
  value       = one(aws_rds_cluster.this.master_user_secret[*].secret_arn)
}

output "role_secret_arns" {
  description = "Secret of each role, by the name of the file that bootstrap.sql reads."
  value       = { for name, secret in aws_secretsmanager_secret.role : name => secret.arn }
}

output "databases" {
  description = "Database of each service."
  value       = var.services
}
