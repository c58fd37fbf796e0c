output "zone_id" {
  description = "Zone that external-dns writes to, once it says who may issue certificates."
  value       = aws_route53_zone.this.zone_id
  depends_on  = [aws_route53_record.issuers]
}

output "zone_arn" {
  description = "ARN of the zone, for the policy of who writes to it."
  value       = aws_route53_zone.this.arn
}

output "name_servers" {
  description = "What the parent domain delegates to."
  value       = aws_route53_zone.this.name_servers
}
