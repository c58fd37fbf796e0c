mock_provider "aws" {}

variables {
  name        = "stoa-test"
  account_id  = "000000000000"
  kms_key_arn = "arn:aws:kms:eu-west-1:000000000000:key/test"
  tags        = { project = "stoa", environment = "test", owner = "platform" }
  alarms = {
    database-cpu = { description = "The database has no CPU left.", namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = { DBClusterIdentifier = "stoa-test" }, threshold = 80 }
  }
}

run "no_bucket_is_public" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_public_access_block.store) == 2 && alltrue([for block in aws_s3_bucket_public_access_block.store : block.block_public_acls && block.block_public_policy && block.ignore_public_acls && block.restrict_public_buckets])
    error_message = "All four blocks stand for each bucket."
  }
}

run "every_bucket_is_encrypted_and_forgets" {
  command = plan

  assert {
    condition     = alltrue([for config in aws_s3_bucket_server_side_encryption_configuration.store : alltrue([for rule in config.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && rule.apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key_arn])])
    error_message = "Buckets are encrypted by our key."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.store["traces"].rule[0].expiration[0].days == 14 && aws_s3_bucket_lifecycle_configuration.store["logs"].rule[0].expiration[0].days == 90
    error_message = "Traces are kept two weeks, logs ninety days."
  }
}

run "silence_is_an_alarm" {
  command = apply

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-cpu"].treat_missing_data == "breaching" && aws_cloudwatch_metric_alarm.this["database-cpu"].alarm_actions == toset([aws_sns_topic.alarms.arn])
    error_message = "A store that tells nothing any more is worth a look."
  }

  assert {
    condition     = aws_sns_topic.alarms.kms_master_key_id == var.kms_key_arn
    error_message = "The topic is encrypted by our key."
  }
}

run "requests_in_the_clear_are_denied" {
  command = apply

  assert {
    condition     = alltrue([for policy in aws_s3_bucket_policy.store : jsondecode(policy.policy).Statement[0].Effect == "Deny"])
    error_message = "Buckets answer over TLS alone."
  }
}

run "an_alarm_about_nothing_is_refused" {
  command = plan

  variables {
    alarms = { vague = { description = "?", namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = {}, threshold = 1 } }
  }

  expect_failures = [var.alarms]
}

run "a_store_kept_for_no_time_is_refused" {
  command = plan

  variables {
    stores = { logs = 0 }
  }

  expect_failures = [var.stores]
}
