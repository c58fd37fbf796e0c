# The second region of production: it follows the first and takes over when told to (docs/adr/0061).
locals {
  region = "us-east-1"
}

provider "aws" {
  region              = local.region
  allowed_account_ids = [var.account_id]
}

module "platform" {
  source = "../../platform"

  environment     = "production"
  owner           = var.owner
  account_id      = var.account_id
  region          = local.region
  home            = var.home
  hosts           = ["us"]
  cache_password  = var.cache_password
  broker_password = var.broker_password

  network = { cidr = "10.40.0.0/16" }

  cluster = {
    version = "1.35"
    access  = { on-call = { principal_arn = "arn:aws:iam::${var.account_id}:role/on-call", policy = "AmazonEKSAdminPolicy", namespaces = ["stoa"] } }

    # Enough to start on; burst takes the load when this region takes over.
    node_groups = {
      system  = { instance_types = ["m7i.large"], min = 3, max = 6 }
      general = { instance_types = ["m7i.xlarge"], min = 1, max = 12 }
      burst   = { instance_types = ["m7i.xlarge", "m6i.xlarge", "m5.xlarge", "m7a.xlarge"], min = 1, max = 30, capacity = "SPOT" }
    }
  }

  # One instance follows; a second is the writer's stand-in from the moment that this one writes.
  database = { capacity = { min = 2, max = 64 }, reader_count = 1, backup_retention_days = 35 }
  cache    = { node_type = "cache.m7g.large", node_count = 2 }
  broker   = { instance_type = "mq.m7g.large" }
}
