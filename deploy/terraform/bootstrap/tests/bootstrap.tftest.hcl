mock_provider "aws" {}

variables {
  name       = "stoa"
  region     = "eu-west-1"
  account_id = "000000000000"
  tags       = { project = "stoa", environment = "all", owner = "platform" }
}

run "a_state_can_be_brought_back" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled" && aws_s3_bucket_lifecycle_configuration.state.rule[0].noncurrent_version_expiration[0].noncurrent_days == 365
    error_message = "Old versions of a state are kept for a year."
  }
}

run "a_state_is_secret" {
  command = plan

  assert {
    condition     = aws_s3_bucket_public_access_block.state.block_public_policy && aws_s3_bucket_public_access_block.state.restrict_public_buckets && alltrue([for rule in aws_s3_bucket_server_side_encryption_configuration.state.rule : rule.apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms"])
    error_message = "The bucket is private and encrypted by our key."
  }
}

run "the_lock_has_the_key_that_backends_write" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.lock.hash_key == "LockID" && aws_dynamodb_table.lock.server_side_encryption[0].enabled && output.lock_table == "stoa-terraform-lock" && output.bucket == "stoa-terraform-000000000000"
    error_message = "Backends lock by the attribute LockID."
  }
}

run "forgetting_tomorrow_is_refused" {
  command = plan

  variables {
    old_version_days = 1
  }

  expect_failures = [var.old_version_days]
}
