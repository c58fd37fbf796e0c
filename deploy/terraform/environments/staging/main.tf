# Staging: the shape of production, at a smaller size, so that what works here works there.
locals {
  region = "eu-west-1"
}

provider "aws" {
  region              = local.region
  allowed_account_ids = [var.account_id]
}

module "global" {
  source = "../../global"

  environment = "staging"
  owner       = var.owner
  account_id  = var.account_id
  region      = local.region
  domain      = var.domain
  repository  = var.repository
}

module "platform" {
  source = "../../platform"

  environment     = "staging"
  owner           = var.owner
  account_id      = var.account_id
  region          = local.region
  home            = module.global.home
  cache_password  = var.cache_password
  broker_password = var.broker_password

  network = { cidr = "10.20.0.0/16" }

  cluster = {
    version = "1.35"
    access  = { developers = { principal_arn = "arn:aws:iam::${var.account_id}:role/developers", policy = "AmazonEKSViewPolicy" } }

    node_groups = {
      system  = { instance_types = ["m7i.large"], min = 3, max = 3 }
      general = { instance_types = ["m7i.large", "m6i.large", "m5.large"], min = 1, max = 6, capacity = "SPOT" }
    }
  }

  database = { capacity = { min = 1, max = 8 } }
  cache    = {}
  broker   = {}
}
