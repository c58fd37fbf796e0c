output "key_arns" {
  description = "ARN of each key, by purpose."
  value       = { for purpose, key in aws_kms_key.this : purpose => key.arn }
}

output "replica_key_arns" {
  description = "ARN of each key's replica, by purpose and region."
  value = { for purpose in keys(var.keys) : purpose => {
    for name, pair in local.copies : pair.region => aws_kms_replica_key.this[name].arn if pair.purpose == purpose
  } }
}
