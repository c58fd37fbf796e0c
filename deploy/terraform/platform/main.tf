# One region of an environment: the modules, wired. What the regions share is in global/, what differs between
# environments in environments/<name>/main.tf.
locals {
  # Roles and buckets are the account's or the world's: a region that follows has names of its own.
  follower = var.region != var.home.region
  name     = local.follower ? "${var.home.name}-${var.region}" : var.home.name

  tags  = { project = "stoa", environment = var.environment, owner = var.owner }
  zones = [for letter in ["a", "b", "c"] : "${var.region}${letter}"]
  arn   = "arn:aws:%s:${var.region}:${var.account_id}:%s"
}

module "kms" {
  source = "../modules/kms"

  name       = local.name
  account_id = var.account_id
  region     = var.region
  tags       = local.tags

  keys = {
    cluster = { description = "secrets in etcd", via = ["eks"] }
    data    = { description = "databases, cache and broker", via = ["rds", "elasticache", "mq", "secretsmanager"], principals = ["logs.${var.region}.amazonaws.com"] }
    disks   = { description = "disks of nodes and volumes", via = ["ec2"], roles = ["arn:aws:iam::${var.account_id}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"] }
    logs    = { description = "logs, traces and alarms", via = ["s3"], principals = ["logs.${var.region}.amazonaws.com", "cloudwatch.amazonaws.com"] }
  }
}

module "network" {
  source = "../modules/network"

  name                 = local.name
  region               = var.region
  availability_zones   = local.zones
  cidr                 = var.network.cidr
  nat_gateway_per_zone = var.network.nat_gateway_per_zone
  kms_key_arn          = module.kms.key_arns["logs"]
  tags                 = local.tags
}

module "cluster" {
  source = "../modules/cluster"

  name                = local.name
  kubernetes_version  = var.cluster.version
  subnet_ids          = module.network.subnet_ids["private"]
  public_access_cidrs = var.cluster.public_access_cidrs
  access              = var.cluster.access
  node_groups         = var.cluster.node_groups
  deletion_protection = var.protected
  tags                = local.tags

  kms_key_arns = {
    secrets = module.kms.key_arns["cluster"]
    disks   = module.kms.key_arns["disks"]
    logs    = module.kms.key_arns["logs"]
  }
}

module "database" {
  source = "../modules/database"

  name                     = local.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.subnet_ids["data"]
  client_security_group_id = module.cluster.security_group_id
  kms_key_arn              = module.kms.key_arns["data"]
  instance_class           = var.database.instance_class
  capacity                 = var.database.capacity
  reader_count             = var.database.reader_count
  backup_retention_days    = var.database.backup_retention_days
  deletion_protection      = var.protected
  replicated               = !local.follower && length(var.home.follower_regions) > 0
  follows                  = local.follower ? var.home.name : null
  superuser_password       = var.superuser_password
  tags                     = local.tags
}

module "cache" {
  source = "../modules/cache"

  name                     = local.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.subnet_ids["data"]
  client_security_group_id = module.cluster.security_group_id
  kms_key_arn              = module.kms.key_arns["data"]
  node_type                = var.cache.node_type
  node_count               = var.cache.node_count
  password                 = var.cache_password
  tags                     = local.tags
}

module "broker" {
  source = "../modules/broker"

  name                     = local.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.subnet_ids["data"]
  client_security_group_id = module.cluster.security_group_id
  kms_key_arn              = module.kms.key_arns["data"]
  instance_type            = var.broker.instance_type
  clustered                = var.broker.clustered
  admin_password           = var.broker_password
  tags                     = local.tags
}

module "certificate" {
  source = "../modules/certificate"

  name                = local.name
  domain              = var.home.domain
  hosts               = setunion(["api"], var.hosts)
  zone_id             = var.home.zone_id
  validated_elsewhere = local.follower ? [var.home.domain, "api.${var.home.domain}"] : []
  tags                = local.tags
}

module "observability" {
  source = "../modules/observability"

  name        = local.name
  account_id  = var.account_id
  kms_key_arn = module.kms.key_arns["logs"]
  tags        = local.tags

  alarms = merge(
    {
      database-cpu  = { description = "The database has no CPU left: queries queue.", namespace = "AWS/RDS", metric = "CPUUtilization", dimensions = { DBClusterIdentifier = local.name }, threshold = 85, minutes = 10 }
      broker-memory = { description = "The broker is near its memory alarm, at which it stops taking messages.", namespace = "AWS/AmazonMQ", metric = "RabbitMQMemUsed", dimensions = { Broker = local.name }, threshold = 1200000000 }
      cache-cpu     = { description = "Redis has one thread, and it is busy.", namespace = "AWS/ElastiCache", metric = "EngineCPUUtilization", dimensions = { ReplicationGroupId = local.name }, threshold = 85 }
    },
    var.database.reader_count == 0 ? {} : {
      database-replica = { description = "The readers are behind the writer: the catalogue is old.", namespace = "AWS/RDS", metric = "AuroraReplicaLagMaximum", dimensions = { DBClusterIdentifier = local.name }, threshold = 2000 }
    },
    !local.follower ? {} : {
      database-follows = { description = "This region is more than half a minute behind the first: what is lost with that one is more than was promised.", namespace = "AWS/RDS", metric = "AuroraGlobalDBReplicationLag", dimensions = { DBClusterIdentifier = local.name }, threshold = 30000 }
    },
  )
}

module "iam" {
  source = "../modules/iam"

  name         = local.name
  account_id   = var.account_id
  cluster_name = module.cluster.name
  tags         = local.tags

  # The services themselves need nothing of AWS: External Secrets hands them their passwords.
  workloads = {
    external-secrets = {
      namespace       = "external-secrets"
      service_account = "external-secrets"
      statements = [
        { sid = "ReadOwnSecrets", actions = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"], resources = [format(local.arn, "secretsmanager", "secret:${var.home.name}/*")] },
        { sid = "DecryptThem", actions = ["kms:Decrypt"], resources = [var.home.secrets_key_arns[var.region]] },
      ]
    }
    external-dns = {
      namespace       = "external-dns"
      service_account = "external-dns"
      statements = [
        { sid = "WriteOwnZone", actions = ["route53:ChangeResourceRecordSets", "route53:ListResourceRecordSets"], resources = [var.home.zone_arn] },
        { sid = "FindZone", actions = ["route53:ListHostedZones"], resources = ["*"] },
      ]
    }
    signals = {
      namespace       = "observability"
      service_account = "collector"
      statements = [
        { sid = "FindChunks", actions = ["s3:ListBucket"], resources = values(module.observability.bucket_arns) },
        { sid = "KeepChunks", actions = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], resources = [for arn in values(module.observability.bucket_arns) : "${arn}/*"] },
        { sid = "EncryptThem", actions = ["kms:Decrypt", "kms:GenerateDataKey"], resources = [module.kms.key_arns["logs"]] },
      ]
    }
    volumes = {
      namespace       = "kube-system"
      service_account = "ebs-csi-controller-sa"
      statements = [
        { sid = "LookAround", actions = ["ec2:DescribeAvailabilityZones", "ec2:DescribeInstances", "ec2:DescribeSnapshots", "ec2:DescribeTags", "ec2:DescribeVolumes", "ec2:DescribeVolumesModifications"], resources = ["*"] },
        { sid = "MakeOwnVolumes", actions = ["ec2:CreateVolume"], resources = [format(local.arn, "ec2", "volume/*")], conditions = { StringLike = { "aws:RequestTag/ebs.csi.aws.com/cluster" = ["true"] } } },
        { sid = "TagNewVolumes", actions = ["ec2:CreateTags"], resources = [format(local.arn, "ec2", "volume/*")], conditions = { StringEquals = { "ec2:CreateAction" = ["CreateVolume"] } } },
        { sid = "UseOwnVolumes", actions = ["ec2:AttachVolume", "ec2:DeleteVolume", "ec2:DetachVolume", "ec2:ModifyVolume"], resources = [format(local.arn, "ec2", "volume/*")], conditions = { StringLike = { "ec2:ResourceTag/ebs.csi.aws.com/cluster" = ["true"] } } },
        { sid = "AttachToOwnNodes", actions = ["ec2:AttachVolume", "ec2:DetachVolume"], resources = [format(local.arn, "ec2", "instance/*")], conditions = { StringEquals = { "ec2:ResourceTag/eks:cluster-name" = [local.name] } } },
        { sid = "EncryptThem", actions = ["kms:CreateGrant", "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"], resources = [module.kms.key_arns["disks"]] },
      ]
    }
  }
}
