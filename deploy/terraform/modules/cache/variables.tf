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
  description = "Network of the cache."
  type        = string
}

variable "subnet_ids" {
  description = "Data subnets, in at least three zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "The cache spreads over at least three subnets."
  }
}

variable "client_security_group_id" {
  description = "Security group that is let in: the nodes'."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts what is written to disk."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}

variable "password" {
  description = "What clients say to be let in. Sent to AWS and stored nowhere: neither plan nor state holds it."
  type        = string
  sensitive   = true
  ephemeral   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9!&#$^<>-]{32,128}$", var.password))
    error_message = "ElastiCache takes 16 to 128 printable characters; we demand 32."
  }
}

variable "password_version" {
  description = "Raise it to send a new password."
  type        = number
  default     = 1

  validation {
    condition     = var.password_version >= 1
    error_message = "Versions count from 1."
  }
}

variable "node_type" {
  description = "Type of every node."
  type        = string
  default     = "cache.t4g.small"

  validation {
    condition     = startswith(var.node_type, "cache.")
    error_message = "A type begins with cache."
  }
}

variable "node_count" {
  description = "Primary and replicas together; from two on a failed primary is replaced by itself."
  type        = number
  default     = 2

  validation {
    condition     = var.node_count >= 1 && var.node_count <= 6
    error_message = "One to six nodes."
  }
}
