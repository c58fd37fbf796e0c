mock_provider "aws" {
  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:000000000000:key/mock" }
  }

  mock_resource "aws_kms_replica_key" {
    defaults = { arn = "arn:aws:kms:us-east-1:000000000000:key/mrk-mock" }
  }
}

variables {
  environment = "test"
  owner       = "platform"
  account_id  = "000000000000"
  region      = "eu-west-1"
  domain      = "shop.example.com"
  repository  = "example/stoa"
}

run "a_repository_for_each_image_and_one_region" {
  command = apply

  assert {
    condition     = length(output.repositories) == length(output.images) && keys(output.home.secrets_key_arns) == ["eu-west-1"] && length(output.home.follower_regions) == 0
    error_message = "A repository for each image, and nothing leaves the region."
  }
}

run "operators_secrets_are_not_under_the_workloads_prefix" {
  command = apply

  assert {
    condition     = alltrue([for name in output.secrets.workloads : startswith(name, "stoa-test/")]) && toset(output.secrets.operators) == toset(["stoa-test-ops/audit-password", "stoa-test-ops/broker-admin-password"])
    error_message = "Two prefixes, neither of which is the beginning of the other with its slash."
  }
}

run "a_follower_can_read_without_the_first_region" {
  command = apply

  variables {
    follower_regions = ["us-east-1"]
  }

  assert {
    condition     = output.home.secrets_key_arns["us-east-1"] == "arn:aws:kms:us-east-1:000000000000:key/mrk-mock" && contains(output.secrets.operators, "stoa-test-ops/postgres-password")
    error_message = "A key there, and the superuser of the global database."
  }
}

run "a_region_that_follows_itself_is_refused" {
  command = plan

  variables {
    follower_regions = ["eu-west-1"]
  }

  expect_failures = [var.follower_regions]
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
