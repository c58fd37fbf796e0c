output "arn" {
  description = "Certificate, once it is valid."
  value       = aws_acm_certificate_validation.this.certificate_arn
}
