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
