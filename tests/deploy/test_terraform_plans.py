"""The plans of the environments: what no plan may contain is not in them, and is found when it is planted."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import subprocess
import sys

import parliament
import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.terraform import ENVIRONMENTS, SECRETS, Tree, settings

JUDGE = CHECKOUT / "deploy/terraform/policies/judge"


def load_judge():
    loader = importlib.machinery.SourceFileLoader("judge", str(JUDGE))
    spec = importlib.util.spec_from_loader("judge", loader)
    module = importlib.util.module_from_spec(spec)
    sys.modules["judge"] = module  # dataclasses look their module up
    loader.exec_module(module)
    return module


judge = load_judge()


@pytest.fixture(scope="module")
def told():
    return settings()


@pytest.fixture(scope="module")
def plans(tmp_path_factory, told):
    tree = Tree(tmp_path_factory.mktemp("plans") / "terraform", told)
    made = {}
    for environment in ENVIRONMENTS:
        tree.init(f"environments/{environment}")
        made[environment] = tree.plan(f"environments/{environment}")
    return made


def values(plan: dict, kind: str) -> list[dict]:
    return [resource.values for resource in judge.resources_of(plan) if resource.type == kind]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_plan_is_clean(environment, plans, tmp_path, checked):
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plans[environment]))
    done = subprocess.run([JUDGE, file], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    checked("planned AWS resources", [f"{environment} {one.address}" for one in judge.resources_of(plans[environment])])


def test_the_bootstrap_is_clean(told, tmp_path, checked):
    tree = Tree(tmp_path / "terraform", told)
    tree.init("bootstrap")
    plan = tree.plan("bootstrap", "-var=name=stoa", "-var=region=eu-west-1", "-var=account_id=000000000000",
                     '-var=tags={project="stoa",environment="all",owner="platform"}')
    assert judge.judge(plan) == []
    checked("planned AWS resources", [f"bootstrap {one.address}" for one in judge.resources_of(plan)])


def test_environments_have_networks_of_their_own(plans):
    networks = [values(plan, "aws_vpc")[0]["cidr_block"] for plan in plans.values()]
    assert len(set(networks)) == len(ENVIRONMENTS)


def test_the_cache_password_is_in_no_plan(plans):
    for plan in plans.values():
        assert SECRETS["TF_VAR_cache_password"] not in json.dumps(plan)


def test_production_survives_the_loss_of_a_zone(plans):
    plan = plans["production"]
    assert len(values(plan, "aws_nat_gateway")) == 3
    assert values(plan, "aws_mq_broker")[0]["deployment_mode"] == "CLUSTER_MULTI_AZ"
    assert values(plan, "aws_elasticache_replication_group")[0]["multi_az_enabled"]
    assert len(values(plan, "aws_rds_cluster_instance")) == 3
    assert values(plan, "aws_rds_cluster")[0]["deletion_protection"] and values(plan, "aws_eks_cluster")[0]["deletion_protection"]
    assert len({subnet["availability_zone"] for subnet in values(plan, "aws_subnet")}) == 3


PLANTED = {
    "star action": ("modules/iam/main.tf", '"ecr:PutImage"', '"ecr:*"', "no-star-action", "action ecr:*"),
    "every resource": ("modules/iam/main.tf", "Resource = var.deployer.repository_arns", 'Resource = ["*"]',
                       "no-star-resource", "on every resource"),
    "everybody": ("modules/cluster/main.tf", 'Principal = { Service = "eks.amazonaws.com" }', 'Principal = "*"',
                  "no-star-principal", "everybody is allowed"),
    "open ingress": ("modules/network/main.tf", "cidr_ipv4         = var.cidr", 'cidr_ipv4         = "0.0.0.0/0"',
                     "closed-ingress", "open to 0.0.0.0/0"),
    "open API server": ("modules/cluster/main.tf", "endpoint_public_access  = length(var.public_access_cidrs) > 0",
                        "endpoint_public_access  = true", "closed-ingress", "open to 0.0.0.0/0"),
    "unencrypted database": ("modules/database/main.tf", "storage_encrypted         = true", "storage_encrypted         = false",
                             "encrypted", "not encrypted"),
    "unencrypted wire": ("modules/cache/main.tf", "transit_encryption_enabled = true", "transit_encryption_enabled = false",
                         "encrypted", "not encrypted"),
    "unencrypted disk": ("modules/cluster/main.tf", "encrypted             = true", "encrypted             = false",
                         "encrypted", "not encrypted"),
    "untagged resource": ("modules/broker/main.tf", '  tags        = merge(var.tags, { Name = "${var.name}-broker" })\n', "",
                          "tagged", "without environment, owner, project"),
    "public bucket": ("modules/observability/main.tf", "restrict_public_buckets = true", "restrict_public_buckets = false",
                      "whole-bucket", "public access"),
    "public broker": ("modules/broker/main.tf", "publicly_accessible        = false", "publicly_accessible        = true",
                      "not-public", "publicly_accessible"),
    "route for data": ("modules/network/main.tf", 'route_table_id         = aws_route_table.this["public"].id',
                       'route_table_id         = aws_route_table.this["data"].id', "data-has-no-way-out", "reaches the world"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_fault_is_found(plant, told, tmp_path, checked):
    file, old, new, rule, what = PLANTED[plant]
    tree = Tree(tmp_path / "terraform", told)
    tree.change(file, old, new)
    tree.init("environments/dev")
    findings = judge.judge(tree.plan("environments/dev"))
    assert any(found == rule and what in said for _, found, said in findings), findings
    assert {found for _, found, _ in findings} == {rule}
    checked("planted faults that the policies refused", [plant])


def test_an_empty_plan_is_a_finding():
    assert judge.judge({"resource_changes": []})[0][1] == "not-empty"


def test_every_rule_has_been_seen_refusing():
    planted = {rule for _, _, _, rule, _ in PLANTED.values()}
    assert set(judge.RULES) - planted == {"readable-policies"}


def test_a_policy_that_the_plan_does_not_know_is_a_finding():
    change = {"address": "aws_iam_role_policy.x", "type": "aws_iam_role_policy", "mode": "managed",
              "change": {"after": {"name": "x"}, "after_unknown": {"policy": True}}}
    assert [rule for _, rule, _ in judge.judge({"resource_changes": [change]})] == ["readable-policies"]


# The ARNs of the plan are invented, so whether an action fits its resource cannot be told here.
BLIND = {"RESOURCE_MISMATCH"}


def unknown_to_aws(policy: str) -> list[str]:
    """What AWS's own list of actions and conditions does not know in a policy."""
    return [f"{finding.issue}: {finding.detail}" for finding in parliament.analyze_policy_string(policy).findings
            if finding.issue not in BLIND]


def test_every_action_and_condition_exists(plans, checked):
    policies = {one.address: one.values["policy"] for one in judge.resources_of(plans["production"])
                if one.type == "aws_iam_role_policy"}
    for address in checked("IAM policies", policies):
        assert unknown_to_aws(policies[address]) == [], address


@pytest.mark.parametrize("action", ["s3:GetObjct", "s4:GetObject"])
def test_an_action_that_does_not_exist_is_found(action):
    statement = {"Effect": "Allow", "Action": [action], "Resource": ["arn:aws:s3:::bucket/*"]}
    assert unknown_to_aws(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
