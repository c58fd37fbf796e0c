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

variable "certificate_issuers" {
  description = "Who may issue certificates for the domain."
  type        = set(string)
  default     = ["amazon.com"]

  validation {
    condition     = length(var.certificate_issuers) > 0
    error_message = "At least one issuer, or there is no certificate."
  }
}
