mock_provider "aws" {}

variables {
  name                     = "stoa-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2", "subnet-3"]
  client_security_group_id = "sg-nodes"
  kms_key_arn              = "arn:aws:kms:eu-west-1:000000000000:key/test"
  tags                     = { project = "stoa", environment = "test", owner = "platform" }
}

run "a_writer_and_a_reader" {
  command = plan

  assert {
    condition     = keys(aws_rds_cluster_instance.this) == ["reader-1", "writer"] && aws_rds_cluster_instance.this["writer"].promotion_tier == 0 && alltrue([for instance in aws_rds_cluster_instance.this : !instance.publicly_accessible])
    error_message = "A writer and a reader in the data subnets, none of them public."
  }
}

run "more_readers" {
  command = plan

  variables {
    reader_count = 3
  }

  assert {
    condition     = length(aws_rds_cluster_instance.this) == 4
    error_message = "A writer and three readers."
  }
}

run "everything_at_rest_is_encrypted" {
  command = plan

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn && alltrue([for instance in aws_rds_cluster_instance.this : instance.performance_insights_kms_key_id == var.kms_key_arn]) && alltrue([for secret in aws_secretsmanager_secret.role : secret.kms_key_id == var.kms_key_arn])
    error_message = "Storage, insights and secrets are encrypted by our key."
  }
}

run "everything_on_the_way_is_encrypted" {
  command = plan

  assert {
    condition     = [for parameter in aws_rds_cluster_parameter_group.this.parameter : parameter.value if parameter.name == "rds.force_ssl"] == ["1"] && aws_rds_cluster_parameter_group.this.family == "aurora-postgresql17"
    error_message = "Connections without TLS are refused."
  }
}

run "the_superusers_password_is_nobodys" {
  command = plan

  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.master_password == null
    error_message = "AWS keeps the password."
  }
}

run "a_deleted_cluster_leaves_its_data" {
  command = plan

  assert {
    condition     = !aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.final_snapshot_identifier == "stoa-test-final" && aws_rds_cluster.this.backup_retention_period == 14 && aws_rds_cluster.this.deletion_protection
    error_message = "Protection, a last snapshot, and fourteen days to go back to."
  }
}

run "two_roles_a_service_and_the_auditor" {
  command = plan

  assert {
    condition     = length(aws_secretsmanager_secret.role) == 11 && aws_secretsmanager_secret.role["order-service/migrate-password"].name == "stoa-test/order-service/migrate-password"
    error_message = "Five services have two roles each; the auditor has one."
  }
}

run "only_the_nodes_get_in" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.clients.referenced_security_group_id == "sg-nodes" && aws_vpc_security_group_ingress_rule.clients.cidr_ipv4 == null && aws_vpc_security_group_ingress_rule.clients.to_port == 5432
    error_message = "PostgreSQL lets the nodes in and no address."
  }
}

run "a_fixed_class_does_not_scale" {
  command = plan

  variables {
    instance_class = "db.r7g.large"
  }

  assert {
    condition     = length(aws_rds_cluster.this.serverlessv2_scaling_configuration) == 0
    error_message = "Capacities belong to db.serverless."
  }
}

run "another_major_version_is_refused" {
  command = plan

  variables {
    engine_version = "15.4"
  }

  expect_failures = [var.engine_version]
}

run "a_day_of_backups_is_refused" {
  command = plan

  variables {
    backup_retention_days = 1
  }

  expect_failures = [var.backup_retention_days]
}

run "two_services_in_one_database_are_refused" {
  command = plan

  variables {
    services = { order-service = "shared", payment-service = "shared" }
  }

  expect_failures = [var.services]
}

run "two_subnets_are_refused" {
  command = plan

  variables {
    subnet_ids = ["subnet-1", "subnet-2"]
  }

  expect_failures = [var.subnet_ids]
}
