output "workload_role_arns" {
  description = "Role of each workload."
  value       = { for workload, role in aws_iam_role.workload : workload => role.arn }
}

output "deployer_role_arn" {
  description = "Role that the pipeline takes to push images; null without one."
  value       = one([for role in aws_iam_role.deployer : role.arn])
}
