output "platform" {
  description = "What the chart's values of this environment are made of."
  value       = module.platform
}

output "global" {
  description = "What the environment has once."
  value       = module.global
}
