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

variable "account_id" {
  description = "Account of the buckets; part of their names, which are the world's."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts what is stored and the alarms' topic."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.kms_key_arn))
    error_message = "The key is given by its ARN."
  }
}

variable "stores" {
  description = "Buckets for signals, by name, and the days that each is kept."
  type        = map(number)
  default     = { logs = 90, traces = 14 }

  validation {
    condition     = length(var.stores) > 0 && alltrue([for store, days in var.stores : can(regex("^[a-z][a-z0-9-]{1,15}$", store)) && days >= 1 && days <= 3650])
    error_message = "A store has a short lower-case name and is kept between a day and ten years."
  }
}

variable "alarms" {
  description = "Alarms about the managed stores, which no exporter of ours sees: metric, dimensions, and the bound that is crossed for how many minutes."
  type = map(object({
    description = string
    namespace   = string
    metric      = string
    dimensions  = map(string)
    statistic   = optional(string, "Average")
    comparison  = optional(string, "GreaterThanThreshold")
    threshold   = number
    minutes     = optional(number, 5)
  }))
  default = {}

  validation {
    condition     = alltrue([for alarm in values(var.alarms) : contains(["GreaterThanThreshold", "GreaterThanOrEqualToThreshold", "LessThanThreshold", "LessThanOrEqualToThreshold"], alarm.comparison) && length(alarm.dimensions) > 0 && alarm.minutes >= 1])
    error_message = "An alarm has dimensions, a comparison that CloudWatch knows, and at least a minute."
  }
}
