output "home" {
  description = "What every region of the environment is told; the input `home` of platform."
  value = {
    name             = local.name
    region           = var.region
    follower_regions = var.follower_regions
    domain           = var.domain
    zone_id          = module.dns.zone_id
    zone_arn         = module.dns.zone_arn
    secrets_key_arns = merge({ (var.region) = module.kms.key_arns["secrets"] }, module.kms.replica_key_arns["secrets"])
  }
}

output "secrets" {
  description = "Names of the secrets that wait for their values: the workloads' and the operators'."
  value       = { workloads = module.secrets.names, operators = module.operator_secrets.names }
}

output "repositories" {
  description = "Where each image is pushed to."
  value       = module.registry.repository_urls
}

output "images" {
  description = "Images that have a repository."
  value       = local.images
}

output "deployer_role_arn" {
  description = "Role that the pipeline takes to push images."
  value       = module.iam.deployer_role_arn
}

output "name_servers" {
  description = "What the parent domain delegates to."
  value       = module.dns.name_servers
}
