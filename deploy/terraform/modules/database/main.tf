locals {
  family    = "aurora-postgresql${split(".", var.engine_version)[0]}"
  instances = merge({ writer = 0 }, { for number in range(1, var.reader_count + 1) : "reader-${number}" => number })

  # A member of a global database cannot have its password kept by AWS; a follower has the one of whom it follows.
  alone = !var.replicated && var.follows == null

  # Of the whole cluster; what needs a restart is marked so.
  parameters = {
    "rds.force_ssl"                       = { value = "1", apply = "immediate" }
    "log_min_duration_statement"          = { value = "500", apply = "immediate" }
    "log_lock_waits"                      = { value = "1", apply = "immediate" }
    "log_connections"                     = { value = "1", apply = "immediate" }
    "idle_in_transaction_session_timeout" = { value = "30000", apply = "immediate" }
    "shared_preload_libraries"            = { value = "pg_stat_statements", apply = "pending-reboot" }
    "track_io_timing"                     = { value = "1", apply = "immediate" }
  }
}

resource "aws_db_subnet_group" "this" {
  name        = var.name
  description = "Data subnets of ${var.name}"
  subnet_ids  = var.subnet_ids
  tags        = var.tags
}

resource "aws_security_group" "this" {
  name        = "${var.name}-database"
  description = "PostgreSQL of ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-database" })
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  security_group_id            = aws_security_group.this.id
  description                  = "PostgreSQL from the nodes"
  referenced_security_group_id = var.client_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = 5432
  to_port                      = 5432
  tags                         = var.tags
}

resource "aws_rds_cluster_parameter_group" "this" {
  name        = var.name
  description = "Settings of ${var.name}"
  family      = local.family
  tags        = var.tags

  dynamic "parameter" {
    for_each = local.parameters

    content {
      name         = parameter.key
      value        = parameter.value.value
      apply_method = parameter.value.apply
    }
  }
}

# What clusters of several regions are members of: the first writes, the others follow within a second or so.
resource "aws_rds_global_cluster" "this" {
  for_each = var.replicated ? toset([var.name]) : toset([])

  global_cluster_identifier = each.key
  engine                    = "aurora-postgresql"
  engine_version            = var.engine_version
  storage_encrypted         = true
  deletion_protection       = var.deletion_protection
  tags                      = var.tags
}

resource "aws_rds_cluster" "this" {
  cluster_identifier              = var.name
  engine                          = "aurora-postgresql"
  engine_version                  = var.engine_version
  db_subnet_group_name            = aws_db_subnet_group.this.name
  vpc_security_group_ids          = [aws_security_group.this.id]
  db_cluster_parameter_group_name = aws_rds_cluster_parameter_group.this.name
  port                            = 5432

  # Alone, AWS makes, keeps and turns the superuser's password. In a global database that is not to be had: there it
  # is a write-only argument. Either way it is in no plan and no state.
  global_cluster_identifier     = var.follows != null ? var.follows : one([for cluster in aws_rds_global_cluster.this : cluster.global_cluster_identifier])
  master_username               = var.follows == null ? "postgres" : null
  manage_master_user_password   = local.alone ? true : null
  master_user_secret_kms_key_id = local.alone ? var.kms_key_arn : null
  master_password_wo            = var.replicated ? var.superuser_password : null
  master_password_wo_version    = var.replicated ? var.superuser_password_version : null

  storage_encrypted         = true
  kms_key_id                = var.kms_key_arn
  backup_retention_period   = var.backup_retention_days
  preferred_backup_window   = "02:00-03:00"
  copy_tags_to_snapshot     = true
  skip_final_snapshot       = false
  final_snapshot_identifier = "${var.name}-final"
  deletion_protection       = var.deletion_protection

  iam_database_authentication_enabled = true
  enabled_cloudwatch_logs_exports     = ["postgresql"]
  preferred_maintenance_window        = "sun:03:30-sun:04:30"
  allow_major_version_upgrade         = false
  apply_immediately                   = false
  tags                                = var.tags

  # Who follows whom is changed by a fail-over, not by a plan.
  lifecycle {
    ignore_changes = [replication_source_identifier, global_cluster_identifier]
  }

  dynamic "serverlessv2_scaling_configuration" {
    for_each = var.instance_class == "db.serverless" ? [var.capacity] : []

    content {
      min_capacity = serverlessv2_scaling_configuration.value.min
      max_capacity = serverlessv2_scaling_configuration.value.max
    }
  }
}

resource "aws_iam_role" "monitoring" {
  name = "${var.name}-database-monitoring"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_rds_cluster_instance" "this" {
  for_each = local.instances

  identifier                      = "${var.name}-${each.key}"
  cluster_identifier              = aws_rds_cluster.this.id
  engine                          = aws_rds_cluster.this.engine
  engine_version                  = aws_rds_cluster.this.engine_version
  instance_class                  = var.instance_class
  publicly_accessible             = false
  promotion_tier                  = each.value
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.kms_key_arn
  monitoring_interval             = 30
  monitoring_role_arn             = aws_iam_role.monitoring.arn
  auto_minor_version_upgrade      = true
  copy_tags_to_snapshot           = true
  tags                            = var.tags
}
