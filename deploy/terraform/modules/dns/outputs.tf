output "zone_id" {
  description = "Zone that external-dns writes to."
  value       = aws_route53_zone.this.zone_id
}

output "zone_arn" {
  description = "ARN of the zone, for the policy of who writes to it."
  value       = aws_route53_zone.this.arn
}

output "name_servers" {
  description = "What the parent domain delegates to."
  value       = aws_route53_zone.this.name_servers
}

output "certificate_arn" {
  description = "Certificate, once it is valid."
  value       = aws_acm_certificate_validation.this.certificate_arn
}
