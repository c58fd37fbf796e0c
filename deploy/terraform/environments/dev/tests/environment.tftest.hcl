mock_provider "aws" {
  mock_resource "aws_acm_certificate" {
    defaults = {
      domain_validation_options = [
        { domain_name = "dev.shop.example.com", resource_record_name = "_a.dev.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_a.acm-validations.aws" },
        { domain_name = "api.dev.shop.example.com", resource_record_name = "_b.dev.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_b.acm-validations.aws" },
        { domain_name = "us.dev.shop.example.com", resource_record_name = "_c.dev.shop.example.com", resource_record_type = "CNAME", resource_record_value = "_c.acm-validations.aws" },
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
  account_id      = "000000000000"
  owner           = "platform"
  cache_password  = "0123456789abcdef0123456789abcdef"
  broker_password = "fedcba9876543210fedcba9876543210"
  domain          = "dev.shop.example.com"
  repository      = "example/stoa"
}

run "as_was_decided" {
  command = plan

  assert {
    condition     = output.platform.size.zones == 3 && output.platform.size.nat_gateways == 1 && output.platform.size.database_instances == 1 && output.platform.size.cache_nodes == 1 && output.platform.size.brokers == 1
    error_message = "Zones, gateways, instances, nodes or brokers differ from what dev is."
  }

  assert {
    condition     = output.platform.network.cidr == "10.10.0.0/16" && length(output.platform.network.nat_addresses) == 1
    error_message = "The network of dev is 10.10.0.0/16."
  }

  assert {
    condition     = !output.platform.size.public_api_server && output.platform.size.protected == false
    error_message = "Nobody reaches the API server from outside, and it is unprotected."
  }

  assert {
    condition     = output.platform.tags == { project = "stoa", environment = "dev", owner = "platform" }
    error_message = "Every resource is tagged with project, environment and owner."
  }

  assert {
    condition     = !output.platform.size.database_follows && length(output.global.home.follower_regions) == 0 && length(output.global.home.secrets_key_arns) == 1 && length(output.global.secrets.workloads) == 27 && length(output.global.secrets.operators) == 2
    error_message = "There is one region."
  }
}

# All at once: each of them must be refused, or the run fails.
run "what_an_owner_may_mistype_is_refused" {
  command = plan

  variables {
    domain          = "Shop.Example.com"
    repository      = "stoa"
    account_id      = "ACCOUNT"
    owner           = "The Platform Team"
    broker_password = "short"
  }

  expect_failures = [var.domain, var.repository, var.account_id, var.owner, var.broker_password]
}
