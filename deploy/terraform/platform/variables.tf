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
  description = "Region that this is."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region has the form eu-west-1."
  }
}

variable "home" {
  description = "What the regions of the environment share: the output `home` of global. In another region than its own, the database follows."
  type = object({
    name             = string
    region           = string
    follower_regions = set(string)
    domain           = string
    zone_id          = string
    zone_arn         = string
    secrets_key_arns = map(string)
  })

  validation {
    condition     = var.region == var.home.region || contains(var.home.follower_regions, var.region)
    error_message = "The first region does not know this one: name it among its follower_regions."
  }

  validation {
    condition     = contains(keys(var.home.secrets_key_arns), var.region)
    error_message = "The secrets have no key in this region."
  }
}

variable "hosts" {
  description = "Names below the domain that this region alone answers to, as us."
  type        = set(string)
  default     = []
}

variable "network" {
  description = "Addresses of the network, and whether each zone has its NAT gateway."
  type = object({
    cidr                 = string
    nat_gateway_per_zone = optional(bool, true)
  })
}

variable "cluster" {
  description = "Version of Kubernetes, who reaches its API server, who may do what, and its nodes; see modules/cluster."
  type = object({
    version             = string
    public_access_cidrs = optional(set(string), [])
    access = optional(map(object({
      principal_arn = string
      policy        = string
      namespaces    = optional(set(string), [])
    })), {})
    node_groups = map(object({
      instance_types = list(string)
      min            = number
      max            = number
      capacity       = optional(string, "ON_DEMAND")
      labels         = optional(map(string), {})
    }))
  })
}

variable "database" {
  description = "Class, capacity, readers and backups; see modules/database."
  type = object({
    instance_class        = optional(string, "db.serverless")
    capacity              = optional(object({ min = number, max = number }), { min = 1, max = 16 })
    reader_count          = optional(number, 1)
    backup_retention_days = optional(number, 14)
  })
  default = {}
}

variable "cache" {
  description = "Type and number of nodes; see modules/cache."
  type = object({
    node_type  = optional(string, "cache.t4g.small")
    node_count = optional(number, 2)
  })
  default = {}
}

variable "broker" {
  description = "Type of the brokers, and whether there are three; see modules/broker."
  type = object({
    instance_type = optional(string, "mq.m7g.medium")
    clustered     = optional(bool, true)
  })
  default = {}
}

variable "protected" {
  description = "Refuse to delete the cluster and the database."
  type        = bool
  default     = true
}

variable "cache_password" {
  description = "What clients of the cache say; in neither plan nor state."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "broker_password" {
  description = "Password of the broker's administrator."
  type        = string
  sensitive   = true
}

variable "superuser_password" {
  description = "Password of the global database's superuser, where there is one; in neither plan nor state."
  type        = string
  sensitive   = true
  ephemeral   = true
  default     = null
}
