mock_provider "aws" {}

variables {
  name         = "stoa-test"
  account_id   = "000000000000"
  cluster_name = "stoa-test"
  tags         = { project = "stoa", environment = "test", owner = "platform" }
  deployer = {
    issuer          = "token.actions.githubusercontent.com"
    subjects        = ["repo:example/stoa:environment:test"]
    repository_arns = ["arn:aws:ecr:eu-west-1:000000000000:repository/stoa-test/order-service"]
  }
  workloads = {
    external-secrets = {
      namespace       = "external-secrets"
      service_account = "external-secrets"
      statements = [{
        sid       = "ReadOwnSecrets"
        actions   = ["secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret"]
        resources = ["arn:aws:secretsmanager:eu-west-1:000000000000:secret:stoa-test/*"]
      }]
    }
  }
}

run "a_role_belongs_to_one_service_account" {
  command = apply

  assert {
    condition     = jsondecode(aws_iam_role.workload["external-secrets"].assume_role_policy).Statement[0].Condition.StringEquals["aws:RequestTag/kubernetes-service-account"] == "external-secrets" && jsondecode(aws_iam_role.workload["external-secrets"].assume_role_policy).Statement[0].Principal.Service == "pods.eks.amazonaws.com"
    error_message = "Only Pod Identity, for this service account, takes the role."
  }

  assert {
    condition     = aws_eks_pod_identity_association.workload["external-secrets"].service_account == "external-secrets" && length(output.workload_role_arns) == 1
    error_message = "The service account is bound to the role."
  }
}

run "the_pipeline_is_pinned_by_audience_and_subject" {
  command = apply

  assert {
    condition     = jsondecode(aws_iam_role.deployer["push"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == ["repo:example/stoa:environment:test"] && jsondecode(aws_iam_role.deployer["push"].assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:aud"] == "sts.amazonaws.com"
    error_message = "Subject and audience are compared whole."
  }
}

run "the_pipeline_pushes_to_named_repositories_alone" {
  command = plan

  assert {
    condition     = toset(jsondecode(aws_iam_role_policy.deployer["push"].policy).Statement[1].Resource) == toset(var.deployer.repository_arns)
    error_message = "The pipeline may push elsewhere."
  }
}

run "a_region_to_which_nothing_is_pushed_has_no_pipeline" {
  command = plan

  variables {
    deployer = null
  }

  assert {
    condition     = length(aws_iam_role.deployer) == 0 && length(aws_iam_openid_connect_provider.deployer) == 0 && output.deployer_role_arn == null
    error_message = "Neither issuer nor role."
  }
}

run "workloads_without_a_cluster_are_refused" {
  command = plan

  variables {
    cluster_name = null
  }

  expect_failures = [var.cluster_name]
}

run "a_star_action_is_refused" {
  command = plan

  variables {
    workloads = { greedy = { namespace = "a", service_account = "a", statements = [{ sid = "All", actions = ["s3:*"], resources = ["arn:aws:s3:::bucket"] }] } }
  }

  expect_failures = [var.workloads]
}

run "writing_to_everything_is_refused" {
  command = plan

  variables {
    workloads = { greedy = { namespace = "a", service_account = "a", statements = [{ sid = "Write", actions = ["s3:PutObject"], resources = ["*"] }] } }
  }

  expect_failures = [var.workloads]
}

run "two_roles_for_one_service_account_are_refused" {
  command = plan

  variables {
    workloads = {
      one = { namespace = "a", service_account = "a", statements = [] }
      two = { namespace = "a", service_account = "a", statements = [] }
    }
  }

  expect_failures = [var.workloads]
}

run "any_branch_of_the_repository_is_refused" {
  command = plan

  variables {
    deployer = { issuer = "token.actions.githubusercontent.com", subjects = ["repo:example/stoa:*"], repository_arns = [] }
  }

  expect_failures = [var.deployer]
}
