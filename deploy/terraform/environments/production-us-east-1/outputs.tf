output "platform" {
  description = "What the chart's values of this environment are made of."
  value       = module.platform
}
