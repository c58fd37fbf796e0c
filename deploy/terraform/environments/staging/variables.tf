variable "cache_password" {
  description = "What clients of the cache say (TF_VAR_cache_password); in neither plan nor state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "broker_password" {
  description = "Password of the broker's administrator (TF_VAR_broker_password)."
  type        = string
  sensitive   = true
}
