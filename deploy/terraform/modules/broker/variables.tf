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
  description = "Network of the broker."
  type        = string
}

variable "subnet_ids" {
  description = "Data subnets, in at least three zones; a single broker takes the first."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "Three brokers take three subnets."
  }
}

variable "client_security_group_id" {
  description = "Security group that is let in: the nodes'."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the queues and the log."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}

variable "clustered" {
  description = "Three brokers in three zones (true), or one: for development alone, since quorum queues have a single member there."
  type        = bool
  default     = true
}

variable "instance_type" {
  description = "Type of every broker."
  type        = string
  default     = "mq.m7g.medium"

  validation {
    condition     = startswith(var.instance_type, "mq.")
    error_message = "A type begins with mq."
  }
}

variable "engine_version" {
  description = "Version of RabbitMQ; quorum queues need 3.13 or later on Amazon MQ."
  type        = string
  default     = "4.2"

  validation {
    condition     = can(regex("^(3\\.13|4\\.[0-9]+)$", var.engine_version))
    error_message = "3.13 or 4.x is needed for quorum queues."
  }
}

variable "admin_password" {
  description = "Password of the user that loads the topology and makes the services' users. The provider has no write-only argument for it, so it is in the state: encrypted, and readable by those who may apply."
  type        = string
  sensitive   = true

  validation {
    condition     = can(regex("^[^,:=]{32,250}$", var.admin_password)) && length(distinct(split("", var.admin_password))) >= 4
    error_message = "At least 32 characters, four of them different, without comma, colon and equals sign."
  }
}
