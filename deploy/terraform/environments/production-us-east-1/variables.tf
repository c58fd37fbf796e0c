variable "account_id" {
  description = "Account of the environment; a plan in another one is refused by the provider."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "owner" {
  description = "Who answers for the environment; a tag of every resource."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,62}$", var.owner))
    error_message = "An owner is lower-case letters, digits and hyphens."
  }
}

variable "home" {
  description = "What the first region puts out, as home.auto.tfvars.json."
  type = object({
    name             = string
    region           = string
    follower_regions = set(string)
    domain           = string
    zone_id          = string
    zone_arn         = string
    secrets_key_arns = map(string)
  })

  validation {
    condition     = contains(var.home.follower_regions, local.region)
    error_message = "The first region does not know this one: apply it with follower_regions first."
  }
}

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

  validation {
    condition     = length(var.broker_password) >= 32
    error_message = "At least 32 characters; modules/broker says which."
  }
}
