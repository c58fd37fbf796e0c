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

output "network" {
  description = "Addresses of the network, and those that calls to the world come from."
  value       = { cidr = module.network.cidr, nat_addresses = module.network.nat_addresses }
}

output "size" {
  description = "How many there are of what fails alone, and whether the API server is reached from outside."
  value = {
    zones              = length(module.network.subnet_ids["private"])
    nat_gateways       = length(module.network.nat_addresses)
    database_instances = length(module.database.instances)
    database_follows   = module.database.follows
    cache_nodes        = var.cache.node_count
    brokers            = var.broker.clustered ? 3 : 1
    public_api_server  = length(var.cluster.public_access_cidrs) > 0
    protected          = var.protected
  }
}

output "roles" {
  description = "Roles of the workloads."
  value       = module.iam.workload_role_arns
}

output "certificate_arn" {
  description = "Certificate of the shop's names in this region."
  value       = module.certificate.arn
}

output "tags" {
  description = "Tags of every resource."
  value       = local.tags
}
