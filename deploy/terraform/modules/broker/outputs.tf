output "endpoints" {
  description = "AMQPS addresses, one a broker."
  value       = flatten([for instance in aws_mq_broker.this.instances : instance.endpoints])
}

output "management_url" {
  description = "Where tools/topology loads exchanges, queues and users."
  value       = try(aws_mq_broker.this.instances[0].console_url, null)
}
