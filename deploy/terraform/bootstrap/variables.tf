variable "name" {
  description = "Prefix of every name: the project."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "The name is 3 to 25 lower-case letters, digits and hyphens and begins with a letter."
  }
}

variable "region" {
  description = "Region of the bucket and the table."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region has the form eu-west-1."
  }
}

variable "account_id" {
  description = "Account of the states; part of the bucket's name, which is the world's."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "old_version_days" {
  description = "Days for which an overwritten state can be brought back."
  type        = number
  default     = 365

  validation {
    condition     = var.old_version_days >= 90
    error_message = "At least 90 days."
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
