# Development: one of everything that may be one, and nothing that must outlive the week.
provider "aws" {
  region              = "eu-west-1"
  allowed_account_ids = ["111111111111"]
}

module "platform" {
  source = "../../platform"

  environment     = "dev"
  owner           = "platform"
  account_id      = "111111111111"
  region          = "eu-west-1"
  domain          = "dev.shop.example.com"
  repository      = "example/stoa"
  cache_password  = var.cache_password
  broker_password = var.broker_password

  network = { cidr = "10.10.0.0/16", nat_gateway_per_zone = false }

  cluster = {
    version = "1.35"
    access  = { developers = { principal_arn = "arn:aws:iam::111111111111:role/developers", policy = "AmazonEKSEditPolicy", namespaces = ["stoa"] } }

    node_groups = {
      general = { instance_types = ["m7i.large", "m6i.large", "m5.large"], min = 2, max = 4, capacity = "SPOT" }
    }
  }

  database  = { capacity = { min = 0.5, max = 4 }, reader_count = 0, backup_retention_days = 7 }
  cache     = { node_type = "cache.t4g.micro", node_count = 1 }
  broker    = { clustered = false }
  protected = false
}
