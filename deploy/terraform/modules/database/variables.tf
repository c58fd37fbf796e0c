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

variable "vpc_id" {
  description = "Network of the cluster."
  type        = string
}

variable "subnet_ids" {
  description = "Data subnets, in at least three zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "The storage spreads over at least three subnets."
  }
}

variable "client_security_group_id" {
  description = "Security group that is let in: the nodes'."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts storage, backups and insights."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}

variable "engine_version" {
  description = "Version of Aurora PostgreSQL, major 17, as the services are tested on."
  type        = string
  default     = "17.5"

  validation {
    condition     = can(regex("^17\\.[0-9]+$", var.engine_version))
    error_message = "The services are tested on PostgreSQL 17."
  }
}

variable "instance_class" {
  description = "Class of every instance; db.serverless scales between the capacities."
  type        = string
  default     = "db.serverless"

  validation {
    condition     = startswith(var.instance_class, "db.")
    error_message = "A class begins with db."
  }
}

variable "capacity" {
  description = "Least and most Aurora capacity units of a db.serverless instance."
  type        = object({ min = number, max = number })
  default     = { min = 1, max = 16 }

  validation {
    condition     = var.capacity.min >= 0.5 && var.capacity.max >= var.capacity.min && var.capacity.max <= 256
    error_message = "0.5 <= min <= max <= 256."
  }
}

variable "reader_count" {
  description = "Readers beside the writer. With one or more a failed writer is replaced in seconds."
  type        = number
  default     = 1

  validation {
    condition     = var.reader_count >= 0 && var.reader_count <= 15 && floor(var.reader_count) == var.reader_count
    error_message = "Aurora takes 0 to 15 readers."
  }
}

variable "services" {
  description = "Database of each service. Databases and roles are made by deploy/postgres/bootstrap.sql, which a test compares."
  type        = map(string)
  default = {
    user-service         = "users"
    product-service      = "products"
    order-service        = "orders"
    payment-service      = "payments"
    notification-service = "notifications"
  }

  validation {
    condition     = length(distinct(values(var.services))) == length(var.services) && length(var.services) > 0
    error_message = "Each service has a database of its own."
  }
}

variable "backup_retention_days" {
  description = "Days that one can go back to, to the second."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_retention_days >= 7 && var.backup_retention_days <= 35
    error_message = "Between 7 and 35 days."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster."
  type        = bool
  default     = true
}

variable "replicated" {
  description = "Make this cluster the first of a global database, which clusters of other regions follow."
  type        = bool
  default     = false
}

variable "follows" {
  description = "Global database that this cluster follows: it is read only until it is promoted. Null: it writes itself."
  type        = string
  default     = null

  validation {
    condition     = var.follows == null || !var.replicated
    error_message = "A cluster is the first of a global database or follows one."
  }
}

variable "superuser_password" {
  description = "Password of the superuser of a global database, for which AWS keeps none. Sent to AWS and stored nowhere."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null

  validation {
    condition     = !var.replicated || can(regex("^[A-Za-z0-9_-]{32,128}$", var.superuser_password))
    error_message = "A global database needs a password of 32 to 128 letters, digits, hyphens and underscores."
  }
}

variable "superuser_password_version" {
  description = "Raise it to send a new password."
  type        = number
  default     = 1

  validation {
    condition     = var.superuser_password_version >= 1
    error_message = "Versions count from 1."
  }
}
