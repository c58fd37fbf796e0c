mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [
        { domain_name = "shop.example.com", resource_record_name = "_a.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_a.acm-validations.aws" },
        { domain_name = "api.shop.example.com", resource_record_name = "_b.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_b.acm-validations.aws" },
      ]
    }
  }
}

variables {
  name   = "stoa-test"
  domain = "shop.example.com"
  tags   = { project = "stoa", environment = "test", owner = "platform" }
}

run "only_the_named_issuer_makes_certificates" {
  command = plan

  assert {
    condition     = aws_route53_record.issuers.records == toset(["0 issue \"amazon.com\"", "0 issuewild \";\""])
    error_message = "Amazon issues, nobody issues wildcards."
  }
}

run "every_name_of_the_certificate_is_validated" {
  command = apply

  assert {
    condition     = toset(keys(aws_route53_record.validation)) == toset(["shop.example.com", "api.shop.example.com"]) && aws_route53_record.validation["api.shop.example.com"].name == "_b.shop.example.com"
    error_message = "Each name has its own validation record."
  }

  assert {
    condition     = aws_acm_certificate.this.validation_method == "DNS" && aws_acm_certificate.this.key_algorithm == "EC_prime256v1"
    error_message = "Validated by DNS, so it renews by itself."
  }
}

run "the_zone_is_not_lost_with_its_records" {
  command = plan

  assert {
    condition     = !aws_route53_zone.this.force_destroy
    error_message = "A zone with records cannot be destroyed."
  }
}

run "a_wildcard_host_is_refused" {
  command = plan

  variables {
    hosts = ["*"]
  }

  expect_failures = [var.hosts]
}

run "a_domain_with_a_final_dot_is_refused" {
  command = plan

  variables {
    domain = "shop.example.com."
  }

  expect_failures = [var.domain]
}
