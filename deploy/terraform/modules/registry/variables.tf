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

variable "images" {
  description = "Images of the platform, by name; one repository each."
  type        = set(string)

  validation {
    condition     = length(var.images) > 0 && alltrue([for image in var.images : can(regex("^[a-z][a-z0-9-]+$", image))])
    error_message = "Image names are lower-case letters, digits and hyphens, and there is at least one."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the layers."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}

variable "account_id" {
  description = "Account of the registry."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "replica_key_arns" {
  description = "Regions that every image is copied to, and the key that encrypts the layers there."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for region, key in var.replica_key_arns : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region)) && can(regex("^arn:aws[a-z-]*:kms:", key))])
    error_message = "A copy has a region, as us-east-1, and a key of ours there, given by its ARN."
  }
}

variable "release_count" {
  description = "How many released images of a repository are kept to roll back to."
  type        = number
  default     = 50

  validation {
    condition     = var.release_count >= 10 && var.release_count <= 1000
    error_message = "Between 10 and 1000 releases are kept."
  }
}

variable "pull_account_ids" {
  description = "Other accounts that may pull."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for account in var.pull_account_ids : can(regex("^[0-9]{12}$", account))])
    error_message = "An account id has twelve digits."
  }
}
