# What an environment has once, however many regions it has: zone, images, secrets, and who may push. Everything is in
# the first region, and copied to those that follow it.
locals {
  name = "stoa-${var.environment}"
  tags = { project = "stoa", environment = var.environment, owner = var.owner }

  # The images of deploy/images/Dockerfile; a test compares the two.
  images = ["api-gateway", "mail-sink", "notification-service", "order-service", "payment-service", "payment-simulator", "product-service", "tools", "user-service"]

  # What the charts ask for and nothing else; a test compares the two. The names are those that tools/secrets gives.
  with_database = ["notification-service", "order-service", "payment-service", "product-service", "user-service"]
  workload_secrets = merge(
    {
      "cursor-key"              = "Signs the cursors that lists hand out."
      "key-encryption-key"      = "Encrypts the keys that tokens are signed with."
      "provider-key"            = "Lets the payment service in at the payment provider."
      "provider-webhook-secret" = "Proves that a call comes from the payment provider."
      "redis-password"          = "Lets services in at the cache."
      "service-jwks.json"       = "Public halves of the services' keys."
    },
    { for service in concat(["api-gateway"], local.with_database) : "${service}/service-key.pem" => "Signs what ${service} says to other services." },
    { for service in local.with_database : "${service}/broker-password" => "Lets ${service} in at the broker." },
    { for service in local.with_database : "${service}/database-password" => "Reads and writes rows of ${service}." },
    { for service in local.with_database : "${service}/migrate-password" => "Owns the schema of ${service}." },
  )

  # Nothing in the cluster reads these: they have a prefix of their own, which no workload's role is let in by.
  operator_secrets = merge(
    {
      "audit-password"        = "Reads every database, writes nowhere."
      "broker-admin-password" = "Loads exchanges, queues and users into the broker."
    },
    length(var.follower_regions) == 0 ? {} : { "postgres-password" = "Superuser of the global database, for which AWS keeps no password." },
  )
}

module "kms" {
  source = "../modules/kms"

  name            = local.name
  account_id      = var.account_id
  region          = var.region
  replica_regions = var.follower_regions
  tags            = local.tags

  keys = {
    registry = { description = "images", via = ["ecr"] }
    secrets  = { description = "secrets of workloads and operators", via = ["secretsmanager"] }
  }
}

module "secrets" {
  source = "../modules/secrets"

  name             = local.name
  secrets          = local.workload_secrets
  kms_key_arn      = module.kms.key_arns["secrets"]
  replica_key_arns = module.kms.replica_key_arns["secrets"]
  tags             = local.tags
}

module "operator_secrets" {
  source = "../modules/secrets"

  name             = "${local.name}-ops"
  secrets          = local.operator_secrets
  kms_key_arn      = module.kms.key_arns["secrets"]
  replica_key_arns = module.kms.replica_key_arns["secrets"]
  tags             = local.tags
}

module "registry" {
  source = "../modules/registry"

  name             = local.name
  account_id       = var.account_id
  images           = local.images
  kms_key_arn      = module.kms.key_arns["registry"]
  replica_key_arns = module.kms.replica_key_arns["registry"]
  tags             = local.tags
}

module "dns" {
  source = "../modules/dns"

  name   = local.name
  domain = var.domain
  tags   = local.tags
}

module "iam" {
  source = "../modules/iam"

  name       = local.name
  account_id = var.account_id
  tags       = local.tags

  deployer = {
    issuer          = "token.actions.githubusercontent.com"
    subjects        = ["repo:${var.repository}:environment:${var.environment}"]
    repository_arns = values(module.registry.repository_arns)
  }
}
