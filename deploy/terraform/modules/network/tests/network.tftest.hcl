mock_provider "aws" {}

variables {
  name               = "stoa-test"
  region             = "eu-west-1"
  availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
  cidr               = "10.20.0.0/16"
  kms_key_arn        = "arn:aws:kms:eu-west-1:000000000000:key/test"
  tags               = { project = "stoa", environment = "test", owner = "platform" }
}

run "three_tiers_in_three_zones" {
  command = plan

  assert {
    condition     = length(aws_subnet.this) == 9
    error_message = "Three zones times three tiers are nine subnets."
  }

  assert {
    condition     = aws_subnet.this["private-eu-west-1c"].cidr_block == "10.20.64.0/19" && aws_subnet.this["public-eu-west-1a"].cidr_block == "10.20.192.0/24" && aws_subnet.this["data-eu-west-1b"].cidr_block == "10.20.209.0/24"
    error_message = "The plan of addresses has changed; existing subnets would be replaced."
  }

  assert {
    condition     = length(distinct([for subnet in aws_subnet.this : subnet.cidr_block])) == 9
    error_message = "Two subnets share their addresses."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.this : !subnet.map_public_ip_on_launch])
    error_message = "No subnet hands out public addresses."
  }
}

run "six_zones_still_fit" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c", "eu-west-1d", "eu-west-1e", "eu-west-1f"]
  }

  assert {
    condition     = aws_subnet.this["private-eu-west-1f"].cidr_block == "10.20.160.0/19" && aws_subnet.this["public-eu-west-1a"].cidr_block == "10.20.192.0/24"
    error_message = "Six private /19 end where the public /24 begin."
  }
}

run "a_nat_gateway_in_each_zone" {
  command = plan

  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(aws_eip.nat) == 3 && length(aws_route.private) == 3
    error_message = "Each zone has its own NAT gateway, address and route."
  }
}

run "or_one_for_all" {
  command = plan

  variables {
    nat_gateway_per_zone = false
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-west-1a"] && length(aws_route.private) == 3
    error_message = "One gateway serves the routes of all zones."
  }
}

run "outputs_name_every_subnet" {
  command = apply

  assert {
    condition     = alltrue([for tier in ["private", "public", "data"] : length(output.subnet_ids[tier]) == 3]) && length(output.nat_addresses) == 3
    error_message = "Three subnets a tier and three addresses."
  }

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.service_name == "com.amazonaws.eu-west-1.s3"
    error_message = "S3 is reached through a gateway endpoint, which costs nothing."
  }
}

run "subnets_tell_load_balancers_where_to_go" {
  command = plan

  assert {
    condition     = aws_subnet.this["public-eu-west-1a"].tags["kubernetes.io/role/elb"] == "1" && aws_subnet.this["private-eu-west-1a"].tags["kubernetes.io/role/internal-elb"] == "1" && aws_subnet.this["private-eu-west-1a"].tags["karpenter.sh/discovery"] == "stoa-test"
    error_message = "Kubernetes finds subnets by these tags."
  }
}

run "traffic_is_logged_and_encrypted" {
  command = plan

  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_cloudwatch_log_group.flow.kms_key_id == var.kms_key_arn && aws_cloudwatch_log_group.flow.retention_in_days == 90
    error_message = "The flow log holds all traffic, encrypted, for 90 days."
  }
}

run "the_endpoints_are_open_to_the_network_alone" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443
    error_message = "Endpoints take HTTPS from inside and nothing else."
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "Without private DNS the endpoints are not used."
  }
}

run "two_zones_are_refused" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a", "eu-west-1b"]
  }

  expect_failures = [var.availability_zones]
}

run "a_zone_of_another_region_is_refused" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a", "eu-west-1b", "us-east-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "public_addresses_are_refused" {
  command = plan

  variables {
    cidr = "8.8.0.0/16"
  }

  expect_failures = [var.cidr]
}

run "missing_tags_are_refused" {
  command = plan

  variables {
    tags = { project = "stoa" }
  }

  expect_failures = [var.tags]
}
