mock_provider "aws" {}

variables {
  name        = "stoa-test"
  images      = ["api-gateway", "order-service"]
  kms_key_arn = "arn:aws:kms:eu-west-1:000000000000:key/test"
  tags        = { project = "stoa", environment = "test", owner = "platform" }
}

run "tags_never_move_and_layers_are_encrypted" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE" && repository.encryption_configuration[0].encryption_type == "KMS" && repository.encryption_configuration[0].kms_key == var.kms_key_arn && repository.image_scanning_configuration[0].scan_on_push])
    error_message = "Repositories are immutable, encrypted by our key and scanned on push."
  }

  assert {
    condition     = aws_ecr_repository.this["order-service"].name == "stoa-test/order-service" && length(aws_ecr_lifecycle_policy.this) == 2
    error_message = "Each image has its repository and its life cycle."
  }
}

run "nobody_else_pulls_unless_named" {
  command = plan

  assert {
    condition     = length(aws_ecr_repository_policy.pull) == 0
    error_message = "There is a policy for other accounts."
  }
}

run "named_accounts_pull_and_do_not_push" {
  command = plan

  variables {
    pull_account_ids = ["111111111111"]
  }

  assert {
    condition     = alltrue([for policy in aws_ecr_repository_policy.pull : length([for action in jsondecode(policy.policy).Statement[0].Action : action if strcontains(action, "Put") || strcontains(action, "Upload")]) == 0]) && length(aws_ecr_repository_policy.pull) == 2
    error_message = "Other accounts may pull and no more."
  }
}

run "an_upper_case_image_is_refused" {
  command = plan

  variables {
    images = ["Order"]
  }

  expect_failures = [var.images]
}

run "too_few_releases_to_roll_back_to_are_refused" {
  command = plan

  variables {
    release_count = 1
  }

  expect_failures = [var.release_count]
}
