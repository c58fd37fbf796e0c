mock_provider "aws" {}

variables {
  name        = "stoa-test"
  account_id  = "000000000000"
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

run "nothing_is_copied_unless_a_region_is_named" {
  command = plan

  assert {
    condition     = length(aws_ecr_replication_configuration.this) == 0 && length(aws_iam_role.replica) == 0
    error_message = "There is one region, and images leave it."
  }
}

run "copies_are_as_closed_as_their_originals" {
  command = plan

  variables {
    replica_key_arns = { us-east-1 = "arn:aws:kms:us-east-1:000000000000:key/mrk-test" }
  }

  assert {
    condition     = aws_ecr_replication_configuration.this["stoa-test"].replication_configuration[0].rule[0].destination[0].region == "us-east-1" && aws_ecr_replication_configuration.this["stoa-test"].replication_configuration[0].rule[0].repository_filter[0].filter == "stoa-test/"
    error_message = "The images of this environment, and no others, are copied."
  }

  assert {
    condition     = alltrue([for template in aws_ecr_repository_creation_template.replica : template.image_tag_mutability == "IMMUTABLE" && one(template.encryption_configuration[*].encryption_type) == "KMS" && one(template.encryption_configuration[*].kms_key) == "arn:aws:kms:us-east-1:000000000000:key/mrk-test" && template.region == "us-east-1" && template.lifecycle_policy == aws_ecr_lifecycle_policy.this["order-service"].policy])
    error_message = "Immutable, encrypted by our key there, and with the same life cycle."
  }
}

run "a_copy_without_a_key_is_refused" {
  command = plan

  variables {
    replica_key_arns = { us-east-1 = "AES256" }
  }

  expect_failures = [var.replica_key_arns]
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
