output "cluster" {
  description = "Name and address of the cluster."
  value       = { name = module.cluster.name, endpoint = module.cluster.endpoint }
}

output "stores" {
  description = "Where the services find their stores; values of the chart."
  value = {
    database        = module.database.endpoint
    database_reader = module.database.reader_endpoint
    databases       = module.database.databases
    cache           = "${module.cache.endpoint}:${module.cache.port}"
    broker          = module.broker.endpoints
  }
}

output "repositories" {
  description = "Where each image is pushed to."
  value       = module.registry.repository_urls
}

output "roles" {
  description = "Roles of the workloads and of the pipeline."
  value       = merge(module.iam.workload_role_arns, { deployer = module.iam.deployer_role_arn })
}

output "name_servers" {
  description = "What the parent domain delegates to."
  value       = module.dns.name_servers
}

output "certificate_arn" {
  description = "Certificate of the shop's names."
  value       = module.dns.certificate_arn
}

output "images" {
  description = "Images that have a repository."
  value       = local.images
}
