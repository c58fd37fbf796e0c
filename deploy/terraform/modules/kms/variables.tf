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

variable "account_id" {
  description = "Account that owns the keys."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "region" {
  description = "Region in which the keys may be used."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region has the form eu-west-1."
  }
}

variable "keys" {
  description = "Keys by purpose: what each is for, the services through which principals of the account may use it (short names, as rds), the service principals that use it by themselves (as logs.eu-west-1.amazonaws.com), and roles that use it directly and hand it on to AWS services (as the autoscaler of the nodes)."
  type = map(object({
    description = string
    via         = optional(set(string), [])
    principals  = optional(set(string), [])
    roles       = optional(set(string), [])
  }))

  validation {
    condition     = length(var.keys) > 0 && alltrue([for key in values(var.keys) : length(key.via) + length(key.principals) + length(key.roles) > 0])
    error_message = "Each key names at least one that uses it."
  }

  validation {
    condition     = alltrue(flatten([for key in values(var.keys) : [for role in key.roles : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*]+$", role))]]))
    error_message = "A role is given by its ARN, without a wildcard."
  }
}

variable "replica_regions" {
  description = "Regions that have the same keys too."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.replica_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region)) && region != var.region])
    error_message = "A replica is in another region, of the form us-east-1."
  }
}

variable "deletion_window_days" {
  description = "Days between ordering a key's deletion and the loss of all it encrypted."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "AWS knows 7 to 30 days."
  }
}
