output "endpoint" {
  description = "Address of the primary; it follows a fail-over."
  value       = aws_elasticache_replication_group.this.primary_endpoint_address
}

output "port" {
  description = "Port of every node, TLS only."
  value       = aws_elasticache_replication_group.this.port
}
