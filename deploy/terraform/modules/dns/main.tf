locals {
  # The certificate's names are known before it is, so the validation records can be keyed by them.
  names = toset(concat([var.domain], [for host in var.hosts : "${host}.${var.domain}"]))

  validation = { for option in aws_acm_certificate.this.domain_validation_options : option.domain_name => option }
}

resource "aws_route53_zone" "this" {
  name          = var.domain
  comment       = "Zone of ${var.name}"
  force_destroy = false
  tags          = var.tags
}

resource "aws_route53_record" "issuers" {
  zone_id = aws_route53_zone.this.zone_id
  name    = var.domain
  type    = "CAA"
  ttl     = 3600
  records = concat([for issuer in sort(var.certificate_issuers) : "0 issue \"${issuer}\""], ["0 issuewild \";\""])
}

resource "aws_acm_certificate" "this" {
  domain_name               = var.domain
  subject_alternative_names = [for host in sort(var.hosts) : "${host}.${var.domain}"]
  validation_method         = "DNS"
  key_algorithm             = "EC_prime256v1"
  tags                      = var.tags

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_route53_record.issuers]
}

resource "aws_route53_record" "validation" {
  for_each = local.names

  zone_id         = aws_route53_zone.this.zone_id
  name            = local.validation[each.key].resource_record_name
  type            = local.validation[each.key].resource_record_type
  records         = [local.validation[each.key].resource_record_value]
  ttl             = 60
  allow_overwrite = true
}

resource "aws_acm_certificate_validation" "this" {
  certificate_arn         = aws_acm_certificate.this.arn
  validation_record_fqdns = [for record in aws_route53_record.validation : record.fqdn]
}
