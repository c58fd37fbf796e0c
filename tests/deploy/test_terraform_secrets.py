"""The secrets: what the charts ask for is what Terraform plans, and what tools/secrets makes fills it. The manager is moto's."""

from __future__ import annotations

import pathlib
import socket
import subprocess
import sys
import time

import boto3
import pytest

from tests.deploy.charts import SERVICES, objects, rendered
from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import run
from tests.deploy.terraform import ENVIRONMENTS, Tree, settings

FIRST = [root for root, environment in ENVIRONMENTS.items() if root == environment]
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_EC2_METADATA_DISABLED": "true"}
REGION = "eu-west-1"
START_MAX_S = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("secrets") / "made"
    subprocess.run([CHECKOUT / "tools/secrets", made], check=True)
    return made


def planned(plan: dict) -> dict[str, dict]:
    return {change["change"]["after"]["name"]: change["change"]["after"] for change in plan["resource_changes"]
            if change["type"] == "aws_secretsmanager_secret"}


def charts_of(environment: str) -> list[str]:
    has_data = (CHECKOUT / f"deploy/helm/environments/{environment}/data.yaml").exists()
    return [*SERVICES, *(["data"] if has_data else [])]


def asked(environment: str) -> dict[str, str]:
    """Every key that an ExternalSecret of the environment asks the manager for, and who asks."""
    return {entry["remoteRef"]["key"]: thing["metadata"]["name"] for chart in charts_of(environment)
            for thing in objects(rendered(chart, environment)) if thing["kind"] == "ExternalSecret" for entry in thing["spec"]["data"]}


def difference(wanted: set[str], made: set[str], environment: str) -> list[str]:
    """Asked for and not there, or there and asked for by nobody. What operators read has a prefix of its own."""
    workloads = {name for name in made if not name.startswith(f"stoa-{environment}-ops/")}
    return [*(f"missing: {name}" for name in sorted(wanted - workloads)), *(f"idle: {name}" for name in sorted(workloads - wanted))]


@pytest.mark.parametrize("environment", FIRST)
def test_what_the_charts_ask_for_is_planned_and_nothing_else(environment, plans, checked):
    wanted, made = asked(environment), set(planned(plans[environment]))
    assert difference(set(wanted), made, environment) == []
    checked("secrets that charts ask for", wanted)


PLANTED = {
    "a secret that Terraform forgot": ('      "cursor-key"              = "Signs the cursors that lists hand out."\n', "", "missing: stoa-dev/cursor-key"),
    "a secret that nobody asks for": ('      "redis-password"', '      "left-over"               = "Was needed once upon a time."\n      "redis-password"',
                                      "idle: stoa-dev/left-over"),
    "another spelling": ('"${service}/migrate-password" =>', '"${service}/migration-password" =>', "missing: stoa-dev/order-service/migrate-password"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_difference_is_found(plant, tmp_path, refused):
    old, new, said = PLANTED[plant]
    tree = Tree(tmp_path / "terraform", settings())
    tree.change("global/main.tf", old, new)
    tree.init("global")
    plan = tree.plan("global", "-var=environment=dev", "-var=region=eu-west-1", "-var=owner=platform", "-var=account_id=111111111111",
                     "-var=domain=dev.shop.example.com", "-var=repository=example/stoa")
    refused("planted differences between charts and Terraform", plant, said, difference(set(asked("dev")), set(planned(plan)), "dev"))


def test_a_second_region_asks_for_the_same(checked):
    regions = [place.parent.name for place in (CHECKOUT / "deploy/helm/environments").glob("production/*/all.yaml")]
    for region in checked("regions that ask for the copies", regions):
        assert asked(f"production/{region}") == asked("production")


def test_production_keeps_a_copy_of_every_secret_in_its_second_region(plans, checked):
    for name, secret in planned(plans["production"]).items():
        assert [copy["region"] for copy in secret["replica"]] == ["us-east-1"], name
    checked("secrets with a copy", planned(plans["production"]))
    assert not any(secret["replica"] for secret in planned(plans["staging"]).values())


def test_operators_secrets_are_what_the_jobs_of_operators_read(plans):
    sql = (CHECKOUT / "deploy/postgres/bootstrap.sql").read_text()
    for environment in FIRST:
        names = {name.split("/", 1)[1] for name in planned(plans[environment])}
        read = {part.split('"')[0] for part in sql.split("$STOA_SECRETS/")[1:]} - {""}
        assert {name.split("`")[0] for name in read} <= names
        ops = {name.split("/", 1)[1] for name in planned(plans[environment]) if name.startswith(f"stoa-{environment}-ops/")}
        assert ops == {"audit-password", "broker-admin-password"} | ({"postgres-password"} if environment == "production" else set())


@pytest.fixture(scope="module")
def manager():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + START_MAX_S
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            assert time.monotonic() < end, f"moto did not start in {START_MAX_S} s"
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)


@pytest.fixture
def filled(manager, plans, folder):
    """The manager with what the plan of dev makes, filled; the client and what the program said."""
    client = boto3.client("secretsmanager", endpoint_url=manager, region_name=REGION, aws_access_key_id="nobody",
                          aws_secret_access_key="nothing")
    for page in client.get_paginator("list_secrets").paginate():
        for secret in page["SecretList"]:
            client.delete_secret(SecretId=secret["Name"], ForceDeleteWithoutRecovery=True)
    for name in planned(plans["dev"]):
        client.create_secret(Name=name)
    client.create_secret(Name="stoa-staging/cursor-key")
    done = fill(manager, folder, "dev")
    assert done.returncode == 0, done.stdout
    return client, done.stdout


def fill(manager: str, *words: str | pathlib.Path) -> subprocess.CompletedProcess:
    return run(sys.executable, CHECKOUT / "deploy/terraform/fill-secrets", *words, AWS_ENDPOINT_URL=manager, **CREDENTIALS)


def value(client, name: str) -> str:
    return client.get_secret_value(SecretId=name)["SecretString"]


def test_every_reference_of_a_chart_is_answered_with_its_value(filled, folder, plans, checked):
    client, said = filled
    assert said == f"{len(planned(plans['dev']))} written, 0 left as they are\n"
    for name in checked("secrets filled and read back", asked("dev")):
        assert value(client, name) == (folder / name.removeprefix("stoa-dev/")).read_text().rstrip("\n")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        value(client, "stoa-staging/cursor-key")  # another environment's is left alone


def test_no_value_is_printed(filled, folder):
    _, said = filled
    assert not [file for file in folder.rglob("*") if file.is_file() and file.read_text() and file.read_text().strip() in said]


def test_a_value_is_written_once_and_turned_when_named(filled, manager, folder, tmp_path, plans):
    client, _ = filled
    before, other = value(client, "stoa-dev/cursor-key"), tmp_path / "other"
    subprocess.run([CHECKOUT / "tools/secrets", other], check=True)
    count = len(planned(plans["dev"]))
    assert fill(manager, other, "dev").stdout == f"0 written, {count} left as they are\n"
    assert value(client, "stoa-dev/cursor-key") == before
    assert fill(manager, other, "dev", "--replace", "cursor-key").stdout == f"1 written, {count - 1} left as they are\n"
    assert value(client, "stoa-dev/cursor-key") == (other / "cursor-key").read_text().strip() != before


@pytest.mark.parametrize("words, said", [
    (["nowhere", "dev", "--replace", "cursor-key"], "is missing: run tools/secrets"),
    (["FOLDER", "production"], "production has no secret here"),
    (["FOLDER", "dev", "--replace", "cursor-kye"], "dev has no secret cursor-kye"),
])
def test_what_cannot_be_done_is_refused_before_anything_is_written(words, said, filled, manager, folder):
    done = fill(manager, *(folder if word == "FOLDER" else word for word in words))
    assert done.returncode == 1 and said in done.stdout, done.stdout


def test_the_passwords_that_tools_make_are_those_that_the_stores_take(folder, tmp_path):
    """The cache and the broker refuse some characters; what an operator is told to hand over must pass."""
    tree = Tree(tmp_path / "terraform", settings())
    tree.init("environments/production")
    stores = [f"-target=module.platform.module.{module}" for module in ("broker", "cache", "database")]
    words = {"TF_VAR_cache_password": "redis-password", "TF_VAR_broker_password": "broker-admin-password",
             "TF_VAR_superuser_password": "postgres-password"}
    done = tree.run("environments/production", "plan", "-no-color", "-input=false", "-lock=false", *stores,
                    **{name: (folder / file).read_text().strip() for name, file in words.items()})
    assert done.returncode == 0, done.stdout
    refused = tree.run("environments/production", "plan", "-no-color", "-input=false", "-lock=false", *stores,
                       TF_VAR_cache_password="a_password_of_the_form_that_the_cache_refuses")
    assert refused.returncode != 0 and "ElastiCache takes" in refused.stdout, refused.stdout
