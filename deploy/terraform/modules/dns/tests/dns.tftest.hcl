mock_provider "aws" {}

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

run "the_zone_is_not_lost_with_its_records" {
  command = plan

  assert {
    condition     = !aws_route53_zone.this.force_destroy
    error_message = "A zone with records cannot be destroyed."
  }
}

run "a_domain_with_a_final_dot_is_refused" {
  command = plan

  variables {
    domain = "shop.example.com."
  }

  expect_failures = [var.domain]
}

run "a_zone_for_which_nobody_may_issue_is_refused" {
  command = plan

  variables {
    certificate_issuers = []
  }

  expect_failures = [var.certificate_issuers]
}
