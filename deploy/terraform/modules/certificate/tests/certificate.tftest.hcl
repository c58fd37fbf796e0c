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
  name    = "stoa-test"
  domain  = "shop.example.com"
  zone_id = "Z123"
  tags    = { project = "stoa", environment = "test", owner = "platform" }
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

run "a_record_has_one_owner" {
  command = apply

  variables {
    validated_elsewhere = ["shop.example.com"]
  }

  assert {
    condition     = keys(aws_route53_record.validation) == ["api.shop.example.com"]
    error_message = "The other region keeps the record of the domain."
  }
}

run "a_wildcard_host_is_refused" {
  command = plan

  variables {
    hosts = ["*"]
  }

  expect_failures = [var.hosts]
}

run "a_stranger_s_name_is_refused" {
  command = plan

  variables {
    validated_elsewhere = ["shop.example.org"]
  }

  expect_failures = [var.validated_elsewhere]
}
