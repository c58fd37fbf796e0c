mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [
        { domain_name = "shop.example.com", resource_record_name = "_a.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_a.acm-validations.aws" },
        { domain_name = "api.shop.example.com", resource_record_name = "_b.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_b.acm-validations.aws" },
        { domain_name = "us.shop.example.com", resource_record_name = "_c.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_c.acm-validations.aws" },
      ]
    }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:000000000000:key/mock" }
  }

  mock_resource "aws_kms_replica_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:000000000000:key/mrk-mock" }
  }
}

variables {
  environment        = "test"
  superuser_password = "a123456789abcdef0123456789abcdef"
  owner              = "platform"
  account_id         = "000000000000"
  region             = "eu-west-1"
  cache_password     = "0123456789abcdef0123456789abcdef"
  broker_password    = "fedcba9876543210fedcba9876543210"
  network            = { cidr = "10.50.0.0/16" }
  cluster            = { version = "1.35", node_groups = { general = { instance_types = ["m7i.large"], min = 3, max = 6 } } }

  home = {
    name             = "stoa-test"
    region           = "eu-west-1"
    follower_regions = []
    domain           = "shop.example.com"
    zone_id          = "Z123"
    zone_arn         = "arn:aws:route53:::hostedzone/Z123"
    secrets_key_arns = { eu-west-1 = "arn:aws:kms:eu-west-1:000000000000:key/secrets" }
  }
}

run "an_environment_hands_on_what_the_chart_needs" {
  command = plan

  assert {
    condition     = output.stores.databases["order-service"] == "orders" && length(output.stores.databases) == 5 && output.cluster.name == "stoa-test"
    error_message = "Five databases, and a cluster."
  }

  assert {
    condition     = toset(keys(output.roles)) == toset(["external-dns", "external-secrets", "signals", "volumes"])
    error_message = "A role for each workload, and no more."
  }
}

run "alone_the_database_follows_nobody" {
  command = plan

  assert {
    condition     = !output.size.database_follows && output.size.database_instances == 2 && output.size.nat_gateways == 3 && !output.size.public_api_server
    error_message = "A writer, a reader, a gateway in each zone, and nobody from outside."
  }
}

run "a_region_that_is_not_the_first_follows" {
  command = plan

  variables {
    region = "us-east-1"
    hosts  = ["us"]

    home = {
      name             = "stoa-test"
      region           = "eu-west-1"
      follower_regions = ["us-east-1"]
      domain           = "shop.example.com"
      zone_id          = "Z123"
      zone_arn         = "arn:aws:route53:::hostedzone/Z123"
      secrets_key_arns = { eu-west-1 = "arn:aws:kms:eu-west-1:000000000000:key/secrets", us-east-1 = "arn:aws:kms:us-east-1:000000000000:key/mrk-secrets" }
    }
  }

  assert {
    condition     = output.size.database_follows && output.cluster.name == "stoa-test-us-east-1"
    error_message = "It follows, under a name of its own."
  }
}

run "a_region_that_the_first_does_not_know_is_refused" {
  command = plan

  variables {
    region = "us-east-1"
  }

  expect_failures = [var.home]
}

run "a_region_in_upper_case_is_refused" {
  command = plan

  variables {
    region = "EU-WEST-1"
  }

  expect_failures = [var.region]
}

run "an_environment_with_a_hyphen_is_refused" {
  command = plan

  variables {
    environment = "pre-prod"
  }

  expect_failures = [var.environment]
}
