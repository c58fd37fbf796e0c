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

variable "domain" {
  description = "Domain of the shop in this environment, a zone of its own."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A domain in lower case, without a final dot."
  }
}

variable "repository" {
  description = "Repository whose pipeline pushes images, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "A repository is given as owner/name."
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
