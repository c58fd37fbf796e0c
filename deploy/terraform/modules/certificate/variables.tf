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

variable "domain" {
  description = "Zone of the shop, as shop.example.com."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A domain in lower case, without a final dot."
  }
}

variable "hosts" {
  description = "Names below the domain that the certificate holds too, as api."
  type        = set(string)
  default     = ["api"]

  validation {
    condition     = alltrue([for host in var.hosts : can(regex("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", host))])
    error_message = "A host is one label: no dot, no wildcard."
  }
}

variable "zone_id" {
  description = "Zone that proves whose the domain is."
  type        = string
}

variable "validated_elsewhere" {
  description = "Names whose proof another region keeps in the zone. It is the same record for every certificate of an account, so one alone may own it."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.validated_elsewhere : name == var.domain || endswith(name, ".${var.domain}")])
    error_message = "Only names of the domain are validated."
  }
}
