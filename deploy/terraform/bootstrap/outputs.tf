output "bucket" {
  description = "Bucket of the states."
  value       = aws_s3_bucket.state.bucket
}

output "lock_table" {
  description = "Table of the locks."
  value       = aws_dynamodb_table.lock.name
}

output "kms_key_arn" {
  description = "Key of states and locks."
  value       = module.kms.key_arns["state"]
}
