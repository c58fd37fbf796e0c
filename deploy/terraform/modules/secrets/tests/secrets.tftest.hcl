mock_provider "aws" {}

variables {
  name        = "stoa-test"
  kms_key_arn = "arn:aws:kms:eu-west-1:000000000000:key/test"
  tags        = { project = "stoa", environment = "test", owner = "platform" }
  secrets = {
    "cursor-key"                    = "Signs the cursors of lists."
    "order-service/service-key.pem" = "Signs what the order service says."
  }
}

run "named_as_the_charts_ask_and_encrypted_by_our_key" {
  command = plan

  assert {
    condition     = toset(output.names) == toset(["stoa-test/cursor-key", "stoa-test/order-service/service-key.pem"])
    error_message = "The prefix and the name, nothing else."
  }

  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : secret.kms_key_id == var.kms_key_arn && secret.recovery_window_in_days == 30 && length(secret.replica) == 0])
    error_message = "Encrypted by our key, thirty days to come back, and in one region."
  }
}

run "a_second_region_gets_every_secret_under_its_own_key" {
  command = plan

  variables {
    replica_key_arns = { us-east-1 = "arn:aws:kms:us-east-1:000000000000:key/mrk-test" }
  }

  assert {
    condition     = alltrue([for secret in aws_secretsmanager_secret.this : [for copy in secret.replica : [copy.region, copy.kms_key_id]] == [["us-east-1", "arn:aws:kms:us-east-1:000000000000:key/mrk-test"]] && !secret.force_overwrite_replica_secret])
    error_message = "Each secret has its replica, encrypted by a key of ours there."
  }
}

run "a_replica_without_a_key_is_refused" {
  command = plan

  variables {
    replica_key_arns = { us-east-1 = "aws/secretsmanager" }
  }

  expect_failures = [var.replica_key_arns]
}

run "a_name_that_no_chart_could_ask_for_is_refused" {
  command = plan

  variables {
    secrets = { "Order Service/KEY" = "Signs what the order service says." }
  }

  expect_failures = [var.secrets]
}

run "a_secret_without_a_purpose_is_refused" {
  command = plan

  variables {
    secrets = { "cursor-key" = "" }
  }

  expect_failures = [var.secrets]
}

run "a_secret_that_is_gone_at_once_is_refused" {
  command = plan

  variables {
    recovery_days = 0
  }

  expect_failures = [var.recovery_days]
}
