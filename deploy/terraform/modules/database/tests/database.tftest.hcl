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
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn && alltrue([for instance in aws_rds_cluster_instance.this : instance.performance_insights_kms_key_id == var.kms_key_arn])
    error_message = "Storage and insights are encrypted by our key."
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

run "alone_it_is_no_member_of_anything" {
  command = plan

  assert {
    condition     = length(aws_rds_global_cluster.this) == 0 && aws_rds_cluster.this.master_username == "postgres"
    error_message = "No global database unless one is asked for."
  }
}

run "the_first_of_a_global_database_writes" {
  command = plan

  variables {
    replicated         = true
    superuser_password = "0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = aws_rds_global_cluster.this["stoa-test"].storage_encrypted && aws_rds_global_cluster.this["stoa-test"].deletion_protection && aws_rds_global_cluster.this["stoa-test"].engine_version == aws_rds_cluster.this.engine_version
    error_message = "The global database is encrypted, protected and of the version of its first member."
  }

  assert {
    condition     = aws_rds_cluster.this.global_cluster_identifier == "stoa-test" && aws_rds_cluster.this.master_username == "postgres" && aws_rds_cluster.this.manage_master_user_password == null && aws_rds_cluster.this.master_password == null && aws_rds_cluster.this.master_password_wo_version == 1
    error_message = "The first member has a superuser, whose password is written and not kept."
  }
}

run "a_follower_has_no_superuser_of_its_own" {
  command = plan

  variables {
    follows      = "stoa-other"
    reader_count = 0
  }

  assert {
    condition     = aws_rds_cluster.this.global_cluster_identifier == "stoa-other" && aws_rds_cluster.this.master_password_wo_version == null && length(aws_rds_global_cluster.this) == 0 && output.follows
    error_message = "It follows, and has the roles of whom it follows."
  }

  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn && aws_rds_cluster.this.deletion_protection && length(aws_rds_cluster_instance.this) == 1
    error_message = "A follower is encrypted by the key of its own region, and protected."
  }
}

run "a_global_database_with_a_short_password_is_refused" {
  command = plan

  variables {
    replicated         = true
    superuser_password = "short"
  }

  expect_failures = [var.superuser_password]
}

run "first_and_follower_at_once_is_refused" {
  command = plan

  variables {
    replicated         = true
    follows            = "stoa-other"
    superuser_password = "0123456789abcdef0123456789abcdef"
  }

  expect_failures = [var.follows]
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
