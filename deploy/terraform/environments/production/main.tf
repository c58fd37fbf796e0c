# Production.
provider "aws" {
  region              = "eu-west-1"
  allowed_account_ids = ["333333333333"]
}

module "platform" {
  source = "../../platform"

  environment     = "production"
  owner           = "platform"
  account_id      = "333333333333"
  region          = "eu-west-1"
  domain          = "shop.example.com"
  repository      = "example/stoa"
  cache_password  = var.cache_password
  broker_password = var.broker_password

  network = { cidr = "10.30.0.0/16" }

  cluster = {
    version = "1.35"
    access  = { on-call = { principal_arn = "arn:aws:iam::333333333333:role/on-call", policy = "AmazonEKSAdminPolicy", namespaces = ["stoa"] } }

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
