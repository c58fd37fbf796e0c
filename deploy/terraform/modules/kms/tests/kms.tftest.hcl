mock_provider "aws" {}

variables {
  name       = "stoa-test"
  account_id = "000000000000"
  region     = "eu-west-1"
  tags       = { project = "stoa", environment = "test", owner = "platform" }
  keys = {
    database = { description = "Aurora", via = ["rds"] }
    logs     = { description = "log groups", principals = ["logs.eu-west-1.amazonaws.com"] }
  }
}

run "every_key_turns_and_waits_before_it_dies" {
  command = plan

  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.enable_key_rotation && key.deletion_window_in_days == 30])
    error_message = "Keys rotate every year and are deleted after 30 days."
  }

  assert {
    condition     = aws_kms_alias.this["database"].name == "alias/stoa-test/database"
    error_message = "A key is found by its alias."
  }
}

run "a_key_is_used_through_its_service_alone" {
  command = plan

  assert {
    condition     = [for statement in jsondecode(aws_kms_key.this["database"].policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if statement.Sid == "AccountUsesThroughServices"] == [["rds.eu-west-1.amazonaws.com"]]
    error_message = "The database's key is used through RDS alone."
  }

  assert {
    condition     = alltrue([for key in aws_kms_key.this : alltrue([for statement in jsondecode(key.policy).Statement : !contains(flatten([statement.Action]), "kms:*")])])
    error_message = "No key policy allows kms:*."
  }

  assert {
    condition     = alltrue([for statement in jsondecode(aws_kms_key.this["database"].policy).Statement : !contains(flatten([statement.Action]), "kms:Decrypt") if statement.Sid == "AccountAdministers"])
    error_message = "Who administers a key does not read with it."
  }
}

run "another_region_has_the_same_keys" {
  command = plan

  variables {
    replica_regions = ["us-east-1"]
  }

  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.multi_region]) && toset([for copy in aws_kms_replica_key.this : copy.region]) == toset(["us-east-1"]) && length(aws_kms_replica_key.this) == 2
    error_message = "Each key has its replica."
  }

  assert {
    condition     = [for statement in jsondecode(aws_kms_replica_key.this["database@us-east-1"].policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if statement.Sid == "AccountUsesThroughServices"] == [["rds.us-east-1.amazonaws.com"]]
    error_message = "A replica is used through the services of its own region."
  }
}

run "without_another_region_a_key_stays_in_its_own" {
  command = plan

  assert {
    condition     = alltrue([for key in aws_kms_key.this : !key.multi_region]) && length(aws_kms_replica_key.this) == 0
    error_message = "Nothing leaves the region."
  }
}

run "a_replica_beside_its_original_is_refused" {
  command = plan

  variables {
    replica_regions = ["eu-west-1"]
  }

  expect_failures = [var.replica_regions]
}

run "a_key_that_nobody_uses_is_refused" {
  command = plan

  variables {
    keys = { idle = { description = "nothing" } }
  }

  expect_failures = [var.keys]
}

run "a_key_that_dies_tomorrow_is_refused" {
  command = plan

  variables {
    deletion_window_days = 1
  }

  expect_failures = [var.deletion_window_days]
}
