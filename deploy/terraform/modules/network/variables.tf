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

variable "region" {
  description = "Region of the network; names its endpoint services."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region has the form eu-west-1."
  }
}

variable "availability_zones" {
  description = "Zones to spread over, at least three, so that one may fail and a quorum remains."
  type        = list(string)

  validation {
    condition     = length(var.availability_zones) >= 3 && length(var.availability_zones) <= 6 && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "Three to six different zones are needed."
  }

  validation {
    condition     = alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "Every zone belongs to the region."
  }
}

variable "cidr" {
  description = "Addresses of the network, a /16 of a private range. Private subnets take a /19 each, public and data subnets a /24 each."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && endswith(var.cidr, "/16") && can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr))
    error_message = "The network is a /16 of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }
}

variable "nat_gateway_per_zone" {
  description = "One NAT gateway in each zone (true), or one for all (false): cheaper, and gone with its zone."
  type        = bool
  default     = true
}

variable "interface_endpoints" {
  description = "AWS services that are reached inside the network, by their short names."
  type        = set(string)
  default     = ["ecr.api", "ecr.dkr", "eks", "eks-auth", "kms", "logs", "secretsmanager", "sts"]

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9.-]+$", service))])
    error_message = "An endpoint is a service's short name, as ecr.api."
  }
}

variable "flow_log_retention_days" {
  description = "How long the flow log is kept, in days."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 180, 365, 400], var.flow_log_retention_days)
    error_message = "CloudWatch knows 30, 60, 90, 120, 180, 365 and 400 days; fewer is not enough to look back."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the flow log."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}
