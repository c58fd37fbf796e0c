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

variable "kubernetes_version" {
  description = "Version of the control plane, as 1.35."
  type        = string

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "Version 1.33 or later is needed."
  }
}

variable "subnet_ids" {
  description = "Private subnets of nodes and control plane, in at least three zones."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 3
    error_message = "The cluster spreads over at least three subnets."
  }
}

variable "public_access_cidrs" {
  description = "Addresses that reach the API server from outside; none by default."
  type        = set(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr)) && tonumber(split("/", cidr)[1]) >= 16])
    error_message = "Each range is a valid CIDR of /16 or smaller; the whole world is refused."
  }
}

variable "kms_key_arns" {
  description = "Keys for the secrets in etcd, the nodes' disks and the control plane's logs."
  type = object({
    secrets = string
    disks   = string
    logs    = string
  })

  validation {
    condition     = alltrue([for key in values(var.kms_key_arns) : can(regex("^arn:aws[a-z-]*:kms:", key))])
    error_message = "Each key is given by its ARN."
  }
}

variable "node_groups" {
  description = "Managed groups of Bottlerocket nodes, by name."
  type = map(object({
    instance_types = list(string)
    min            = number
    max            = number
    capacity       = optional(string, "ON_DEMAND")
    architecture   = optional(string, "x86_64")
    data_disk_gib  = optional(number, 50)
    labels         = optional(map(string), {})
    taints         = optional(list(object({ key = string, value = optional(string), effect = string })), [])
  }))

  validation {
    condition     = length(var.node_groups) > 0 && alltrue([for group in values(var.node_groups) : group.min >= 1 && group.max >= group.min && length(group.instance_types) > 0])
    error_message = "There is a group, and each has instance types and 1 <= min <= max."
  }

  validation {
    condition     = alltrue([for group in values(var.node_groups) : contains(["ON_DEMAND", "SPOT"], group.capacity) && contains(["x86_64", "ARM_64"], group.architecture) && group.data_disk_gib >= 20])
    error_message = "Capacity is ON_DEMAND or SPOT, architecture x86_64 or ARM_64, the data disk 20 GiB or more."
  }

  validation {
    condition     = alltrue(flatten([for group in values(var.node_groups) : [for taint in group.taints : contains(["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"], taint.effect)]]))
    error_message = "A taint's effect is NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."
  }
}

variable "addons" {
  description = "EKS add-ons and whether they must be there before the first node (networking) or need nodes to run on. Without a version, the default of the Kubernetes version is taken."
  type = map(object({
    before_nodes = bool
    version      = optional(string)
  }))
  default = {
    vpc-cni                = { before_nodes = true }
    kube-proxy             = { before_nodes = true }
    eks-pod-identity-agent = { before_nodes = true }
    coredns                = { before_nodes = false }
    aws-ebs-csi-driver     = { before_nodes = false }
    metrics-server         = { before_nodes = false }
  }

  validation {
    condition     = try(var.addons["vpc-cni"].before_nodes, false) && try(!var.addons["coredns"].before_nodes, false)
    error_message = "The CNI comes before the nodes (they never get ready without), CoreDNS after them."
  }
}

variable "access" {
  description = "Who may do what in the cluster: the principal, the EKS access policy (short name, as AmazonEKSViewPolicy) and the namespaces it holds in; without namespaces, everywhere."
  type = map(object({
    principal_arn = string
    policy        = string
    namespaces    = optional(set(string), [])
  }))

  validation {
    condition     = alltrue([for entry in values(var.access) : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", entry.principal_arn)) && can(regex("^AmazonEKS[A-Za-z]+Policy$", entry.policy))])
    error_message = "A principal is a role's or user's ARN, a policy one of the AmazonEKS…Policy."
  }
}

variable "log_retention_days" {
  description = "How long the control plane's logs are kept, in days."
  type        = number
  default     = 90

  validation {
    condition     = contains([30, 60, 90, 120, 180, 365, 400], var.log_retention_days)
    error_message = "CloudWatch knows 30, 60, 90, 120, 180, 365 and 400 days; fewer is not enough to look back."
  }
}

variable "deletion_protection" {
  description = "Refuse to delete the cluster."
  type        = bool
  default     = true
}
