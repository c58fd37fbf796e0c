mock_provider "aws" {}

variables {
  name               = "stoa-test"
  kubernetes_version = "1.35"
  subnet_ids         = ["subnet-1", "subnet-2", "subnet-3"]
  tags               = { project = "stoa", environment = "test", owner = "platform" }
  kms_key_arns = {
    secrets = "arn:aws:kms:eu-west-1:000000000000:key/secrets"
    disks   = "arn:aws:kms:eu-west-1:000000000000:key/disks"
    logs    = "arn:aws:kms:eu-west-1:000000000000:key/logs"
  }
  node_groups = { system = { instance_types = ["m7i.large"], min = 3, max = 6 } }
  access      = { viewers = { principal_arn = "arn:aws:iam::000000000000:role/viewers", policy = "AmazonEKSViewPolicy", namespaces = ["stoa"] } }
}

run "the_api_server_is_private" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "Nobody was named, so nobody reaches it from outside."
  }
}

run "named_addresses_reach_it" {
  command = plan

  variables {
    public_access_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "The named range reaches the API server, and no other."
  }
}

run "secrets_disks_and_logs_are_encrypted" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.kms_key_arns.secrets && aws_cloudwatch_log_group.control_plane.kms_key_id == var.kms_key_arns.logs && length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "Secrets and all five logs are encrypted by our keys."
  }

  assert {
    condition     = alltrue([for disk in aws_launch_template.node["system"].block_device_mappings : disk.ebs[0].encrypted && disk.ebs[0].kms_key_id == var.kms_key_arns.disks]) && [for disk in aws_launch_template.node["system"].block_device_mappings : disk.device_name] == ["/dev/xvda", "/dev/xvdb"]
    error_message = "Both disks of a Bottlerocket node are encrypted."
  }
}

run "pods_do_not_reach_the_nodes_credentials" {
  command = plan

  assert {
    condition     = aws_launch_template.node["system"].metadata_options[0].http_tokens == "required" && aws_launch_template.node["system"].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "IMDSv2 with one hop."
  }
}

run "nodes_are_bottlerocket_and_repaired" {
  command = plan

  assert {
    condition     = aws_eks_node_group.this["system"].ami_type == "BOTTLEROCKET_x86_64" && aws_eks_node_group.this["system"].node_repair_config[0].enabled && aws_eks_node_group.this["system"].scaling_config[0].min_size == 3
    error_message = "Three Bottlerocket nodes, repaired when broken."
  }
}

run "access_is_by_entries_alone" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Access entries alone, and none for the creator."
  }

  assert {
    condition     = aws_eks_access_policy_association.this["viewers"].access_scope[0].type == "namespace" && aws_eks_access_policy_association.this["viewers"].policy_arn == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy"
    error_message = "The viewers see their namespace."
  }
}

run "networking_comes_before_nodes" {
  command = plan

  assert {
    condition     = toset(keys(aws_eks_addon.before_nodes)) == toset(["vpc-cni", "kube-proxy", "eks-pod-identity-agent"]) && contains(keys(aws_eks_addon.after_nodes), "coredns")
    error_message = "The order of the add-ons has changed."
  }
}

run "an_api_server_for_the_whole_world_is_refused" {
  command = plan

  variables {
    public_access_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.public_access_cidrs]
}

run "an_old_kubernetes_is_refused" {
  command = plan

  variables {
    kubernetes_version = "1.29"
  }

  expect_failures = [var.kubernetes_version]
}

run "a_cni_after_the_nodes_is_refused" {
  command = plan

  variables {
    addons = { vpc-cni = { before_nodes = false }, coredns = { before_nodes = false } }
  }

  expect_failures = [var.addons]
}

run "an_empty_group_is_refused" {
  command = plan

  variables {
    node_groups = { system = { instance_types = [], min = 3, max = 6 } }
  }

  expect_failures = [var.node_groups]
}

run "a_principal_that_is_no_role_is_refused" {
  command = plan

  variables {
    access = { everybody = { principal_arn = "*", policy = "AmazonEKSClusterAdminPolicy" } }
  }

  expect_failures = [var.access]
}
