"""The plans of the environments: what no plan may contain is not in them, and is found when it is planted."""

from __future__ import annotations

import copy
import importlib.machinery
import importlib.util
import ipaddress
import itertools
import json
import subprocess
import sys

import parliament
import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.terraform import ENVIRONMENTS, SECRETS, WRITTEN_ONLY, Tree, settings

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
def dev(tmp_path_factory, told):
    """To be spoiled and mended."""
    tree = Tree(tmp_path_factory.mktemp("dev") / "terraform", told)
    tree.init("environments/dev")
    return tree


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


def overlapping(networks: dict[str, str]) -> list[str]:
    pairs = itertools.combinations(sorted(networks), 2)
    return [f"{one} and {other}" for one, other in pairs
            if ipaddress.ip_network(networks[one]).overlaps(ipaddress.ip_network(networks[other]))]


def test_networks_can_be_joined(plans, checked):
    networks = {environment: values(plan, "aws_vpc")[0]["cidr_block"] for environment, plan in plans.items()}
    assert overlapping(networks) == []
    checked("networks that may be joined", networks)
    assert overlapping(networks | {"dev": "10.30.0.0/17"}) == ["dev and production"]


def test_no_password_that_need_not_be_is_in_a_plan(plans):
    for plan in plans.values():
        assert [name for name in WRITTEN_ONLY if SECRETS[name] in json.dumps(plan)] == []
    assert SECRETS["TF_VAR_broker_password"] in json.dumps(plans["dev"])  # the one that must: the search finds it


def test_a_second_region_takes_no_name_of_the_first(plans, checked):
    """Roles are the account's and buckets the world's: two regions share them."""
    names = {place: {(one.type, one.values.get("name") or one.values.get("bucket")) for one in judge.resources_of(plans[place])
                     if one.type in ("aws_iam_role", "aws_s3_bucket", "aws_iam_openid_connect_provider")}
             for place in ("production", "production-us-east-1")}
    assert len(names["production"]) > 8 and len(names["production-us-east-1"]) > 8
    assert names["production"] & names["production-us-east-1"] == set()
    checked("names that two regions do not share", [name for _, name in set().union(*names.values()) if name])


def test_what_follows_has_the_version_of_what_it_follows(plans):
    first, second = (values(plans[place], "aws_rds_cluster")[0] for place in ("production", "production-us-east-1"))
    assert first["global_cluster_identifier"] == second["global_cluster_identifier"] == "stoa-production"
    assert first["engine_version"] == second["engine_version"]
    assert values(plans["production"], "aws_rds_global_cluster") and not values(plans["production-us-east-1"], "aws_rds_global_cluster")


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
    "every resource": ("modules/iam/main.tf", "Resource = each.value.repository_arns", 'Resource = ["*"]',
                       "no-star-resource", "on every resource"),
    "everybody": ("modules/cluster/main.tf", 'Principal = { Service = "eks.amazonaws.com" }', 'Principal = "*"',
                  "no-star-principal", "everybody is allowed"),
    "open ingress": ("modules/network/main.tf", "cidr_ipv4         = var.cidr", 'cidr_ipv4         = "0.0.0.0/0"',
                     "closed-ingress", "open to 0.0.0.0/0"),
    "open API server": ("modules/cluster/main.tf", "endpoint_public_access  = length(var.public_access_cidrs) > 0",
                        "endpoint_public_access  = true", "closed-ingress", "open to 0.0.0.0/0"),
    "unencrypted database": ("modules/database/main.tf", "storage_encrypted         = true\n  kms_key_id", "storage_encrypted         = false\n  kms_key_id",
                             "encrypted", "not encrypted"),
    "unencrypted secret": ("modules/secrets/main.tf", "kms_key_id                     = var.kms_key_arn", "kms_key_id                     = null",
                           "encrypted", "not encrypted"),
    "password in the state": ("modules/database/main.tf", "master_password_wo            = var.replicated ? var.superuser_password : null",
                              'master_password = "of-everybody-who-may-read-the-state"', "holds-no-value", "master_password would be"),
    "secrets of operators": ("platform/main.tf", '"secret:${var.home.name}/*"', '"secret:${var.home.name}*"', "own-secrets",
                             "secrets of others"),
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


# Which call of a module shows the fault; planning that alone takes half the time. The whole plans are clean, see above.
GLOBAL = ["modules/iam/main.tf", "modules/secrets/main.tf"]


def target_of(file: str) -> list[str]:
    if not file.startswith("modules/"):
        return []
    return [f"-target=module.{'global' if file in GLOBAL else 'platform'}.module.{file.split('/')[1]}"]


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_fault_is_found(plant, dev, refused):
    file, old, new, rule, what = PLANTED[plant]
    with dev.spoiled(file, old, new):
        findings = judge.judge(dev.plan("environments/dev", *target_of(file)))
    assert {found for _, found, _ in findings} == {rule}
    refused("planted faults that the policies refused", plant, what, [f"{where}: {found}: {said}" for where, found, said in findings])


def test_an_empty_plan_is_a_finding():
    assert judge.judge({"resource_changes": []})[0][1] == "not-empty"


def test_every_rule_has_been_seen_refusing():
    planted = {rule for _, _, _, rule, _ in PLANTED.values()}
    assert set(judge.RULES) - planted == {"readable-policies"}


def test_a_policy_that_the_plan_does_not_know_is_a_finding():
    change = {"address": "aws_iam_role_policy.x", "type": "aws_iam_role_policy", "mode": "managed",
              "change": {"after": {"name": "x"}, "after_unknown": {"policy": True}}}
    assert [rule for _, rule, _ in judge.judge({"resource_changes": [change]})] == ["readable-policies"]


def test_the_value_of_a_secret_in_the_plan_is_a_finding():
    for after, unknown in (({"secret_string": "x"}, {}), ({}, {"secret_string": True})):
        change = {"address": "aws_secretsmanager_secret_version.x", "type": "aws_secretsmanager_secret_version", "mode": "managed",
                  "change": {"after": after, "after_unknown": unknown}}
        assert [rule for _, rule, _ in judge.judge({"resource_changes": [change]})] == ["holds-no-value"]


def test_a_copy_of_a_secret_without_our_key_is_a_finding(plans):
    changes = [change for change in plans["production"]["resource_changes"] if change["type"] == "aws_secretsmanager_secret"]
    assert judge.judge({"resource_changes": changes}) == []
    spoiled = copy.deepcopy(changes)
    spoiled[0]["change"]["after"]["replica"][0]["kms_key_id"] = None
    assert [rule for _, rule, _ in judge.judge({"resource_changes": spoiled})] == ["encrypted"]


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
