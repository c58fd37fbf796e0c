# Development: one of everything that may be one, and nothing that must outlive the week.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region              = local.region
  allowed_account_ids = [var.account_id]
}

module "global" {
  source = "../../global"

  environment = "dev"
  owner       = var.owner
  account_id  = var.account_id
  region      = local.region
  domain      = var.domain
  repository  = var.repository
}

module "platform" {
  source = "../../platform"

  environment     = "dev"
  owner           = var.owner
  account_id      = var.account_id
  region          = local.region
  home            = module.global.home
  cache_password  = var.cache_password
  broker_password = var.broker_password

  network = { cidr = "10.10.0.0/16", nat_gateway_per_zone = false }

  cluster = {
    version = "1.35"
    access  = { developers = { principal_arn = "arn:aws:iam::${var.account_id}:role/developers", policy = "AmazonEKSEditPolicy", namespaces = ["stoa"] } }

    node_groups = {
      general = { instance_types = ["m7i.large", "m6i.large", "m5.large"], min = 2, max = 4, capacity = "SPOT" }
    }
  }

  database  = { capacity = { min = 0.5, max = 4 }, reader_count = 0, backup_retention_days = 7 }
  cache     = { node_type = "cache.t4g.micro", node_count = 1 }
  broker    = { clustered = false }
  protected = false
}
