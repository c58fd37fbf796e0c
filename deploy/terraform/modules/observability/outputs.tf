output "bucket_arns" {
  description = "Bucket of each store."
  value       = { for store, bucket in aws_s3_bucket.store : store => bucket.arn }
}

output "bucket_names" {
  description = "Name of each store's bucket, for the collectors."
  value       = { for store, bucket in aws_s3_bucket.store : store => bucket.bucket }
}

output "alarm_topic_arn" {
  description = "Topic that alarms are sent to; the on-call service subscribes to it."
  value       = aws_sns_topic.alarms.arn
}
