variable "environment" {
  description = "Name of the environment, as production."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{3,12}$", var.environment))
    error_message = "An environment is three to twelve lower-case letters."
  }
}

variable "owner" {
  description = "Who answers for the environment; a tag of every resource."
  type        = string
}

variable "account_id" {
  description = "Account of the environment."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "region" {
  description = "First region of the environment."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region has the form eu-west-1."
  }
}

variable "domain" {
  description = "Domain of the shop in this environment, as shop.example.com."
  type        = string

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain))
    error_message = "A domain in lower case, without a final dot."
  }
}

variable "repository" {
  description = "Repository whose pipeline pushes images, as owner/name."
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "A repository is given as owner/name."
  }
}

variable "follower_regions" {
  description = "Regions that follow the first: images, secrets and their keys are copied there, and the database may be followed."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for region in var.follower_regions : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", region)) && region != var.region])
    error_message = "A follower is another region, of the form us-east-1."
  }
}
