# Staging: the shape of production, at a smaller size, so that what works here works there.
provider "aws" {
  region              = "eu-west-1"
  allowed_account_ids = ["222222222222"]
}

module "platform" {
  source = "../../platform"

  environment     = "staging"
  owner           = "platform"
  account_id      = "222222222222"
  region          = "eu-west-1"
  domain          = "staging.shop.example.com"
  repository      = "example/stoa"
  cache_password  = var.cache_password
  broker_password = var.broker_password

  network = { cidr = "10.20.0.0/16" }

  cluster = {
    version = "1.35"
    access  = { developers = { principal_arn = "arn:aws:iam::222222222222:role/developers", policy = "AmazonEKSViewPolicy" } }

    node_groups = {
      system  = { instance_types = ["m7i.large"], min = 3, max = 3 }
      general = { instance_types = ["m7i.large", "m6i.large", "m5.large"], min = 1, max = 6, capacity = "SPOT" }
    }
  }

  database = { capacity = { min = 1, max = 8 } }
  cache    = {}
  broker   = {}
}
