mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [
        { domain_name = "shop.example.com", resource_record_name = "_a.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_a.acm-validations.aws" },
        { domain_name = "api.shop.example.com", resource_record_name = "_b.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_b.acm-validations.aws" },
      ]
    }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:000000000000:key/mock" }
  }
}

variables {
  environment     = "test"
  owner           = "platform"
  account_id      = "000000000000"
  region          = "eu-west-1"
  domain          = "shop.example.com"
  repository      = "example/stoa"
  cache_password  = "0123456789abcdef0123456789abcdef"
  broker_password = "fedcba9876543210fedcba9876543210"
  network         = { cidr = "10.40.0.0/16" }
  cluster         = { version = "1.35", node_groups = { general = { instance_types = ["m7i.large"], min = 3, max = 6 } } }
}

run "an_environment_hands_on_what_the_chart_needs" {
  command = apply

  assert {
    condition     = output.stores.databases["order-service"] == "orders" && length(output.stores.databases) == 5 && length(output.repositories) == length(output.images)
    error_message = "Five databases, and a repository for each image."
  }

  assert {
    condition     = toset(keys(output.roles)) == toset(["deployer", "external-dns", "external-secrets", "signals", "volumes"]) && output.cluster.name == "stoa-test"
    error_message = "A role for each workload and for the pipeline, and no more."
  }
}

run "a_region_in_upper_case_is_refused" {
  command = plan

  variables {
    region = "EU-WEST-1"
  }

  expect_failures = [var.region]
}

run "a_repository_without_owner_is_refused" {
  command = plan

  variables {
    repository = "stoa"
  }

  expect_failures = [var.repository]
}

run "an_environment_with_a_hyphen_is_refused" {
  command = plan

  variables {
    environment = "pre-prod"
  }

  expect_failures = [var.environment]
}
