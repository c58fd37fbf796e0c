# Production.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region              = local.region
  allowed_account_ids = [var.account_id]
}

module "global" {
  source = "../../global"

  environment      = "production"
  owner            = var.owner
  account_id       = var.account_id
  region           = local.region
  domain           = var.domain
  repository       = var.repository
  follower_regions = ["us-east-1"]
}

module "platform" {
  source = "../../platform"

  environment        = "production"
  owner              = var.owner
  account_id         = var.account_id
  region             = local.region
  home               = module.global.home
  cache_password     = var.cache_password
  broker_password    = var.broker_password
  superuser_password = var.superuser_password

  network = { cidr = "10.30.0.0/16" }

  cluster = {
    version = "1.35"
    access  = { on-call = { principal_arn = "arn:aws:iam::${var.account_id}:role/on-call", policy = "AmazonEKSAdminPolicy", namespaces = ["stoa"] } }

    node_groups = {
      system  = { instance_types = ["m7i.large"], min = 3, max = 6 }
      general = { instance_types = ["m7i.xlarge"], min = 3, max = 12 }
      burst   = { instance_types = ["m7i.xlarge", "m6i.xlarge", "m5.xlarge", "m7a.xlarge"], min = 1, max = 30, capacity = "SPOT" }
    }
  }

  database = { capacity = { min = 2, max = 64 }, reader_count = 2, backup_retention_days = 35 }
  cache    = { node_type = "cache.m7g.large", node_count = 3 }
  broker   = { instance_type = "mq.m7g.large" }
}
