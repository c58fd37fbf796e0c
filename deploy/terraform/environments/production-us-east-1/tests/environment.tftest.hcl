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
  account_id      = "000000000000"
  owner           = "platform"
  cache_password  = "0123456789abcdef0123456789abcdef"
  broker_password = "fedcba9876543210fedcba9876543210"

  home = {
    name             = "stoa-production"
    region           = "eu-west-1"
    follower_regions = ["us-east-1"]
    domain           = "shop.example.com"
    zone_id          = "Z123"
    zone_arn         = "arn:aws:route53:::hostedzone/Z123"
    secrets_key_arns = { eu-west-1 = "arn:aws:kms:eu-west-1:000000000000:key/mrk-test", us-east-1 = "arn:aws:kms:us-east-1:000000000000:key/mrk-test" }
  }
}

run "as_was_decided" {
  command = plan

  assert {
    condition     = output.platform.size.zones == 3 && output.platform.size.nat_gateways == 3 && output.platform.size.database_instances == 2 && output.platform.size.cache_nodes == 2 && output.platform.size.brokers == 3
    error_message = "Zones, gateways, instances, nodes or brokers differ from what production-us-east-1 is."
  }

  assert {
    condition     = output.platform.network.cidr == "10.40.0.0/16" && length(output.platform.network.nat_addresses) == 3
    error_message = "The network of production-us-east-1 is 10.40.0.0/16."
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
    condition     = output.platform.size.database_follows && output.platform.cluster.name == "stoa-production-us-east-1"
    error_message = "The database follows, and nothing collides with the first region."
  }
}

run "a_first_region_that_does_not_know_this_one_is_refused" {
  command = plan

  variables {
    home = {
      name             = "stoa-production"
      region           = "eu-west-1"
      follower_regions = []
      domain           = "shop.example.com"
      zone_id          = "Z123"
      zone_arn         = "arn:aws:route53:::hostedzone/Z123"
      secrets_key_arns = { eu-west-1 = "arn:aws:kms:eu-west-1:000000000000:key/mrk-test" }
    }
  }

  expect_failures = [var.home]
}

# All at once: each of them must be refused, or the run fails.
run "what_an_owner_may_mistype_is_refused" {
  command = plan

  variables {
    account_id      = "ACCOUNT"
    owner           = "The Platform Team"
    broker_password = "short"
  }

  expect_failures = [var.account_id, var.owner, var.broker_password]
}
