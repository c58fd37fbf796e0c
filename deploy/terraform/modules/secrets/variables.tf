variable "name" {
  description = "Prefix of every name, <project>-<environment>."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "The name is 3 to 25 lower-case letters, digits and hyphens and begins with a letter."
  }
}

variable "tags" {
  description = "Tags of every resource; project, environment and owner are demanded."
  type        = map(string)

  validation {
    condition     = length(setsubtract(["project", "environment", "owner"], keys(var.tags))) == 0
    error_message = "The tags project, environment and owner are missing or incomplete."
  }
}

variable "secrets" {
  description = "Secrets by name, as the charts ask for them after the prefix, and what each is for."
  type        = map(string)

  validation {
    condition     = length(var.secrets) > 0 && alltrue([for secret in keys(var.secrets) : can(regex("^([a-z][a-z0-9-]*/)?[a-z][a-z0-9-]*(\\.[a-z]+)?$", secret))])
    error_message = "There is a secret, and each is named as order-service/service-key.pem or cursor-key."
  }

  validation {
    condition     = alltrue([for purpose in values(var.secrets) : length(purpose) >= 10])
    error_message = "Each secret says what it is for."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the values in this region."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}

variable "replica_key_arns" {
  description = "Key that encrypts the replicas, by the region that they are kept in; none without a second region."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for region, key in var.replica_key_arns : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region)) && can(regex("^arn:aws[a-z-]*:kms:", key))])
    error_message = "A replica has a region, as us-east-1, and a key of ours there, given by its ARN."
  }
}

variable "recovery_days" {
  description = "Days for which a deleted secret can be brought back."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days >= 7 && var.recovery_days <= 30
    error_message = "Between 7 and 30 days; a secret that is gone at once is gone for good."
  }
}
