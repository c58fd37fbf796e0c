resource "aws_security_group" "this" {
  name        = "${var.name}-broker"
  description = "RabbitMQ of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-broker" })
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = { amqps = 5671, management = 443 }

  security_group_id            = aws_security_group.this.id
  description                  = "${each.key} from the nodes"
  referenced_security_group_id = var.client_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = each.value
  to_port                      = each.value
  tags                         = var.tags
}

resource "aws_mq_configuration" "this" {
  name           = var.name
  description    = "Settings of ${var.name}"
  engine_type    = "RabbitMQ"
  engine_version = var.engine_version
  tags           = var.tags

  # A consumer that holds a message longer than half an hour has died without saying so.
  data = "consumer_timeout = 1800000\n"
}

resource "aws_mq_broker" "this" {
  broker_name                = var.name
  engine_type                = "RabbitMQ"
  engine_version             = var.engine_version
  deployment_mode            = var.clustered ? "CLUSTER_MULTI_AZ" : "SINGLE_INSTANCE"
  host_instance_type         = var.instance_type
  publicly_accessible        = false
  subnet_ids                 = var.clustered ? var.subnet_ids : [var.subnet_ids[0]]
  security_groups            = [aws_security_group.this.id]
  auto_minor_version_upgrade = true
  apply_immediately          = false
  tags                       = var.tags

  configuration {
    id       = aws_mq_configuration.this.id
    revision = aws_mq_configuration.this.latest_revision
  }

  encryption_options {
    use_aws_owned_key = false
    kms_key_id        = var.kms_key_arn
  }

  logs {
    general = true
  }

  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "05:30"
    time_zone   = "UTC"
  }

  user {
    username = "admin"
    password = var.admin_password
  }
}
