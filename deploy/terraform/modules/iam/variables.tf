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
  description = "Account of the roles."
  type        = string

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "An account id has twelve digits."
  }
}

variable "cluster_name" {
  description = "Cluster whose service accounts take the roles, by Pod Identity; not needed where there are none."
  type        = string
  default     = null

  validation {
    condition     = length(var.workloads) == 0 || var.cluster_name != null
    error_message = "Workloads run in a cluster."
  }
}

variable "workloads" {
  description = "What runs in the cluster and needs something of AWS: its service account and the statements that it may use, nothing more."
  type = map(object({
    namespace       = string
    service_account = string
    statements = list(object({
      sid        = string
      actions    = list(string)
      resources  = list(string)
      conditions = optional(map(map(list(string))), {})
    }))
  }))
  default = {}

  validation {
    condition     = alltrue(flatten([for workload in values(var.workloads) : [for statement in workload.statements : [for action in statement.actions : can(regex("^[a-z0-9-]+:[A-Za-z]+$", action))]]]))
    error_message = "Each action is named in full, as s3:GetObject; wildcards are refused."
  }

  validation {
    condition     = alltrue(flatten([for workload in values(var.workloads) : [for statement in workload.statements : !contains(statement.resources, "*") || length(statement.conditions) > 0 || alltrue([for action in statement.actions : can(regex(":(Describe|Get|List)", action))])]]))
    error_message = "All resources (\"*\") may only be read, or need a condition."
  }

  validation {
    condition     = length(distinct([for workload in values(var.workloads) : "${workload.namespace}/${workload.service_account}"])) == length(var.workloads)
    error_message = "A service account takes one role."
  }
}

variable "deployer" {
  description = "The pipeline that pushes images: the issuer of its tokens, the only subjects it may come from, and the repositories it pushes to. Null: nothing pushes here."
  type = object({
    issuer          = string
    subjects        = list(string)
    repository_arns = list(string)
  })
  default = null

  validation {
    condition     = var.deployer == null ? true : can(regex("^[a-z0-9.-]+(/[a-zA-Z0-9._-]+)*$", var.deployer.issuer)) && length(var.deployer.subjects) > 0 && alltrue([for subject in var.deployer.subjects : !strcontains(subject, "*")])
    error_message = "The issuer is a host without https://, and each subject is pinned, without a wildcard."
  }
}
