output "names" {
  description = "Names of the secrets, prefix and all."
  value       = [for secret in aws_secretsmanager_secret.this : secret.name]
}

output "arns" {
  description = "ARN of each secret."
  value       = { for name, secret in aws_secretsmanager_secret.this : name => secret.arn }
}
