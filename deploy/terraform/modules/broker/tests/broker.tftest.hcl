mock_provider "aws" {}

variables {
  name                     = "stoa-test"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2", "subnet-3"]
  client_security_group_id = "sg-nodes"
  kms_key_arn              = "arn:aws:kms:eu-west-1:000000000000:key/test"
  admin_password           = "0123456789abcdef0123456789abcdef"
  tags                     = { project = "stoa", environment = "test", owner = "platform" }
}

run "three_brokers_in_three_zones" {
  command = plan

  assert {
    condition     = aws_mq_broker.this.deployment_mode == "CLUSTER_MULTI_AZ" && length(aws_mq_broker.this.subnet_ids) == 3
    error_message = "Quorum queues need three brokers."
  }
}

run "one_for_development" {
  command = plan

  variables {
    clustered = false
  }

  assert {
    condition     = aws_mq_broker.this.deployment_mode == "SINGLE_INSTANCE" && aws_mq_broker.this.subnet_ids == toset(["subnet-1"])
    error_message = "A single broker takes one subnet."
  }
}

run "private_and_encrypted" {
  command = plan

  assert {
    condition     = !aws_mq_broker.this.publicly_accessible && !aws_mq_broker.this.encryption_options[0].use_aws_owned_key && aws_mq_broker.this.encryption_options[0].kms_key_id == var.kms_key_arn
    error_message = "The broker is private and encrypted by our key."
  }
}

run "only_tls_and_only_the_nodes" {
  command = plan

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.clients : rule.from_port]) == toset([5671, 443]) && alltrue([for rule in aws_vpc_security_group_ingress_rule.clients : rule.referenced_security_group_id == "sg-nodes" && rule.cidr_ipv4 == null])
    error_message = "AMQPS and the management API, from the nodes alone."
  }
}

run "a_version_without_quorum_queues_is_refused" {
  command = plan

  variables {
    engine_version = "3.11"
  }

  expect_failures = [var.engine_version]
}

run "a_weak_password_is_refused" {
  command = plan

  variables {
    admin_password = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
  }

  expect_failures = [var.admin_password]
}
