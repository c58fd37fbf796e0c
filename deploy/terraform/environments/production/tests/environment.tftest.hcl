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
  account_id         = "000000000000"
  owner              = "platform"
  cache_password     = "0123456789abcdef0123456789abcdef"
  broker_password    = "fedcba9876543210fedcba9876543210"
  domain             = "shop.example.com"
  repository         = "example/stoa"
  superuser_password = "a123456789abcdef0123456789abcdef"
}

run "as_was_decided" {
  command = plan

  assert {
    condition     = output.platform.size.zones == 3 && output.platform.size.nat_gateways == 3 && output.platform.size.database_instances == 3 && output.platform.size.cache_nodes == 3 && output.platform.size.brokers == 3
    error_message = "Zones, gateways, instances, nodes or brokers differ from what production is."
  }

  assert {
    condition     = output.platform.network.cidr == "10.30.0.0/16" && length(output.platform.network.nat_addresses) == 3
    error_message = "The network of production is 10.30.0.0/16."
  }

  assert {
    condition     = !output.platform.size.public_api_server && output.platform.size.protected == true
    error_message = "Nobody reaches the API server from outside, and it is protected."
  }

  assert {
    condition     = output.platform.tags == { project = "stoa", environment = "production", owner = "platform" }
    error_message = "Every resource is tagged with project, environment and owner."
  }

  assert {
    condition     = !output.platform.size.database_follows && length(output.global.home.follower_regions) == 1 && length(output.global.home.secrets_key_arns) == 2 && length(output.global.secrets.workloads) == 27 && length(output.global.secrets.operators) == 3
    error_message = "One region follows, with keys of its own."
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
