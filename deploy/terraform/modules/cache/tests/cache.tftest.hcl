mock_provider "aws" {}

variables {
  name                     = "stoa-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2", "subnet-3"]
  client_security_group_id = "sg-nodes"
  kms_key_arn              = "arn:aws:kms:eu-west-1:000000000000:key/test"
  password                 = "0123456789abcdef0123456789abcdef"
  tags                     = { project = "stoa", environment = "test", owner = "platform" }
}

run "encrypted_on_disk_and_on_the_way" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.at_rest_encryption_enabled && aws_elasticache_replication_group.this.transit_encryption_enabled && aws_elasticache_replication_group.this.kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.slow.kms_key_id == var.kms_key_arn
    error_message = "Disk, wire and log are encrypted."
  }
}

run "the_password_is_in_no_plan" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.auth_token == null && aws_elasticache_replication_group.this.auth_token_wo == null && aws_elasticache_replication_group.this.auth_token_wo_version == 1
    error_message = "The password is sent and not stored."
  }
}

run "a_failed_primary_is_replaced" {
  command = plan

  assert {
    condition     = aws_elasticache_replication_group.this.automatic_failover_enabled && aws_elasticache_replication_group.this.multi_az_enabled && aws_elasticache_replication_group.this.num_cache_clusters == 2
    error_message = "Two nodes in two zones."
  }
}

run "one_node_cannot_fail_over" {
  command = plan

  variables {
    node_count = 1
  }

  assert {
    condition     = !aws_elasticache_replication_group.this.automatic_failover_enabled && !aws_elasticache_replication_group.this.multi_az_enabled
    error_message = "AWS refuses fail-over with a single node."
  }
}

run "it_forgets_instead_of_failing" {
  command = plan

  assert {
    condition     = [for parameter in aws_elasticache_parameter_group.this.parameter : parameter.value if parameter.name == "maxmemory-policy"] == ["allkeys-lru"]
    error_message = "A full cache evicts."
  }
}

run "only_the_nodes_get_in" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.clients.referenced_security_group_id == "sg-nodes" && aws_vpc_security_group_ingress_rule.clients.cidr_ipv4 == null
    error_message = "Redis lets the nodes in and no address."
  }
}

run "a_short_password_is_refused" {
  command = plan

  variables {
    password = "short"
  }

  expect_failures = [var.password]
}

run "no_node_is_refused" {
  command = plan

  variables {
    node_count = 0
  }

  expect_failures = [var.node_count]
}
