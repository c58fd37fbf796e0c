"""External Secrets 0.20.4 fills the Secrets of production's charts from a manager of secrets, on the node.

The store is the one of deploy/gitops, the objects are those of deploy/helm, names and rights are those that Terraform
plans, the values those that tools/secrets makes and fill-secrets writes. Only AWS is played: tests/cluster/cloud.py.
"""

from __future__ import annotations

import base64
import functools
import subprocess
import sys
import time

import pytest

from tests.cluster.cloud import AUDIENCE, Agent, Cloud, Planned
from tests.cluster.conftest import until
from tests.cluster.external_secrets import SYNC_SECONDS, ExternalSecrets
from tests.deploy.charts import SERVICES, objects, one, rendered
from tests.deploy.checked import CHECKOUT
from tests.deploy.gitops import GITOPS, build
from tests.deploy.terraform import Tree, settings

ENVIRONMENT, REGION, SECOND = "production", "eu-west-1", "us-east-1"
READY, NOT_READY = ("True", "SecretSynced"), ("False", "SecretSyncedError")
INTERVAL_SECONDS = 2


def external_secrets(service: str, *words: str) -> list[dict]:
    return [thing for thing in objects(rendered(service, ENVIRONMENT, *words)) if thing["kind"] == "ExternalSecret"]


@functools.cache
def every() -> dict[str, dict]:
    return {thing["metadata"]["name"]: thing for service in SERVICES for thing in external_secrets(service)}


def store(region: str) -> list[dict]:
    return [thing for thing in objects(build(GITOPS / f"environments/{ENVIRONMENT}/{region}/policies")) if thing["kind"] == "ClusterSecretStore"]


@pytest.fixture(scope="module")
def plans(tmp_path_factory) -> dict[str, Planned]:
    """What External Secrets may do in each of the regions."""
    tree = Tree(tmp_path_factory.mktemp("plan") / "terraform", settings())
    made = {}
    for region, root in ((REGION, ENVIRONMENT), (SECOND, f"{ENVIRONMENT}-{SECOND}")):
        tree.init(f"environments/{root}")
        made[region] = Planned(tree.plan(f"environments/{root}"), "external-secrets")
    return made


@pytest.fixture(scope="module")
def planned(plans) -> Planned:
    return plans[REGION]


@pytest.fixture(scope="module")
def cloud(planned, tmp_path_factory):
    folder = tmp_path_factory.mktemp("values") / "made"
    subprocess.run([CHECKOUT / "tools/secrets", folder], check=True)
    made = Cloud(planned, REGION)
    try:
        assert made.fill(CHECKOUT, folder, ENVIRONMENT, sys.executable) == f"{len(planned.secrets)} written, 0 left as they are\n"
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def agent(cloud, tmp_path_factory):
    made = Agent(cloud, tmp_path_factory.mktemp("agent"))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def operator(kubectl, cloud, agent, tmp_path_factory):
    assert kubectl.run("get", "clustersecretstores", "aws-secrets-manager").returncode != 0, "another suite's store is there"
    made = ExternalSecrets(kubectl, cloud, agent, tmp_path_factory.mktemp("operator"))
    made.install()
    try:
        kubectl.apply(*store(REGION))
        kubectl.apply(*every().values())
        yield made
    finally:
        made.remove()


def held(kubectl, name: str) -> dict[str, str]:
    """What a Secret holds."""
    return {key: base64.b64decode(value).decode() for key, value in kubectl.get("secret", name)["data"].items()}


def wanted(cloud, name: str) -> dict[str, str]:
    """What the manager has for it."""
    return {entry["secretKey"]: cloud.value(entry["remoteRef"]["key"]) for entry in every()[name]["spec"]["data"]}


def read_by_pods(things: list[dict]) -> dict[str, set[str]]:
    """The keys of each Secret that pods name: by reference, as an item, or as a file that a setting points at."""
    read: dict[str, set[str]] = {}
    for spec in (thing["spec"]["template"]["spec"] for thing in things if thing["kind"] in ("Deployment", "Job")):
        mounted = {volume["name"]: volume["secret"] for volume in spec["volumes"] if "secret" in volume}
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert "envFrom" not in container, "which keys are read cannot be said"
            for entry in container["env"]:
                if reference := entry.get("valueFrom", {}).get("secretKeyRef"):
                    read.setdefault(reference["name"], set()).add(reference["key"])
            for mount in container["volumeMounts"]:
                if secret := mounted.get(mount["name"]):
                    keys = {item["path"]: item["key"] for item in secret.get("items", [])}
                    settings_of = (entry.get("value", "").partition(mount["mountPath"] + "/") for entry in container["env"])
                    files = {file for before, found, file in settings_of if found and not before}
                    read.setdefault(secret["secretName"], set()).update(keys.get(file, file) for file in files | set(keys))
    return read


def test_the_store_is_ready_for_the_account_that_terraform_associates(operator, kubectl, agent):
    until("the store is Ready", lambda: operator.state("aws-secrets-manager", "clustersecretstore") == ("True", "Valid"))
    assert set(agent.given) == {f"{operator.association['namespace']}:{operator.association['service_account']}"} and agent.refused == []
    # The agent that is played here tells one account from another.
    assert agent.credentials(kubectl("create", "token", "default", f"--audience={AUDIENCE}").strip()) is None
    assert agent.credentials(operator.kubectl("create", "token", operator.association["service_account"]).strip()) is None
    assert agent.refused == [f"{kubectl.namespace}:default", ""]
    agent.refused.clear()


def test_every_secret_holds_what_the_manager_has(operator, kubectl, cloud, planned):
    for name in every():
        operator.becomes(name, READY)
        assert held(kubectl, name) == wanted(cloud, name), name
    asked = {entry["remoteRef"]["key"] for thing in every().values() for entry in thing["spec"]["data"]}
    assert asked == {name for name in planned.secrets if name.startswith(f"stoa-{ENVIRONMENT}/")}
    assert len(asked) == 27


@pytest.mark.parametrize("service", SERVICES)
def test_a_secret_holds_exactly_what_the_pods_read(service, operator, kubectl):
    read = read_by_pods(objects(rendered(service, ENVIRONMENT)))
    assert set(read) == {thing["metadata"]["name"] for thing in external_secrets(service)}
    for name, keys in read.items():
        operator.becomes(name, READY)
        found = held(kubectl, name)
        assert set(found) == keys and all(found.values()), name


def test_a_turned_value_arrives_when_it_is_asked_for(operator, kubectl, cloud):
    entry = every()["order-service"]["spec"]["data"][0]
    cloud.turn(entry["remoteRef"]["key"], "turned")
    assert held(kubectl, "order-service")[entry["secretKey"]] != "turned", "an hour has not passed"
    operator.sync("order-service")
    until("the value is there", lambda: held(kubectl, "order-service")[entry["secretKey"]] == "turned", SYNC_SECONDS)


def test_a_turned_value_arrives_within_the_interval(operator, kubectl, cloud):
    often = external_secrets("api-gateway", "--set", f"secretSource.refreshInterval={INTERVAL_SECONDS}s")
    entry = often[0]["spec"]["data"][0]
    kubectl.apply(*often)
    try:
        times = {kubectl.get("externalsecret", "api-gateway")["status"]["refreshTime"]}

        def fetched_again() -> bool:
            times.add(kubectl.get("externalsecret", "api-gateway")["status"]["refreshTime"])
            return len(times) > 2

        # The first of them is of the changed interval, the second is due to it.
        until("it fetches by itself", fetched_again)
        cloud.turn(entry["remoteRef"]["key"], "turned by itself")
        began = time.monotonic()
        until("the value is there", lambda: held(kubectl, "api-gateway")[entry["secretKey"]] == "turned by itself", SYNC_SECONDS)
        assert time.monotonic() - began < 5 * INTERVAL_SECONDS
    finally:
        kubectl.apply(every()["api-gateway"])
    operator.becomes("api-gateway", READY)


def test_a_key_that_is_missing_is_named_and_the_secret_stays(operator, kubectl, cloud):
    before, entry = kubectl.get("secret", "payment-service"), every()["payment-service"]["spec"]["data"][-1]
    key, value = entry["remoteRef"]["key"], cloud.value(entry["remoteRef"]["key"])
    cloud.lose(key)
    operator.sync("payment-service")
    operator.refuses("payment-service", key, "Secret does not exist")
    after = kubectl.get("secret", "payment-service")
    assert (after["metadata"]["uid"], after["data"]) == (before["metadata"]["uid"], before["data"])
    assert operator.state("order-service") == READY, "another's keys are all there"
    cloud.make(key, SecretString=value)
    operator.sync("payment-service")
    operator.becomes("payment-service", READY)


def test_a_forged_signature_is_refused_and_the_secret_stays(operator, kubectl, cloud, agent):
    before, entry = held(kubectl, "user-service"), every()["user-service"]["spec"]["data"][0]
    cloud.turn(entry["remoteRef"]["key"], "not to be read")
    agent.forged = True
    try:
        operator.sync("user-service")
        operator.refuses("user-service", "SignatureDoesNotMatch")
        assert held(kubectl, "user-service") == before
    finally:
        agent.forged = False
    operator.sync("user-service")
    operator.becomes("user-service", READY)
    assert held(kubectl, "user-service") == wanted(cloud, "user-service") != before


@pytest.mark.parametrize("key", ["stoa-staging/cursor-key", "stoa-production-ops/postgres-password", "stoa-production/cursor-key"])
def test_the_planned_role_reads_its_own_and_no_other(key, operator, kubectl, cloud, planned):
    if key not in planned.secrets:
        cloud.manager.create_secret(Name=key, SecretString="another's")
    thing = every()["order-service-migrate"]
    [entry] = thing["spec"]["data"]
    kubectl.apply(thing | {"metadata": {"name": "curious"},
                           "spec": thing["spec"] | {"target": thing["spec"]["target"] | {"name": "curious"},
                                                    "data": [entry | {"remoteRef": entry["remoteRef"] | {"key": key}}]}})
    try:
        if key.startswith(f"stoa-{ENVIRONMENT}/"):
            operator.becomes("curious", READY)
            assert held(kubectl, "curious") == {entry["secretKey"]: cloud.value(key)}
        else:
            operator.refuses("curious", key, "AccessDenied", planned.role["name"])
            assert kubectl.run("get", "secret", "curious").returncode != 0
    finally:
        kubectl("delete", "externalsecret", "curious", "--wait")
    until("its Secret is gone", lambda: kubectl.run("get", "secret", "curious").returncode != 0)


def test_the_second_region_reads_its_copies_by_its_own_role(operator, kubectl, cloud, agent, plans):
    entry = every()["order-service"]["spec"]["data"][0]
    cloud.turn(entry["remoteRef"]["key"], "of both regions")
    kubectl.apply(*store(SECOND))
    try:
        operator.sync("order-service")
        operator.refuses("order-service", "AccessDenied", plans[REGION].role["name"])
        cloud.admit(plans[SECOND])
        agent.planned = plans[SECOND]
        operator.sync("order-service")
        operator.becomes("order-service", READY)
        assert held(kubectl, "order-service") == wanted(cloud, "order-service") and held(kubectl, "order-service")[entry["secretKey"]] == "of both regions"
    finally:
        agent.planned = plans[REGION]
        kubectl.apply(*store(REGION))
    operator.sync("order-service")
    operator.becomes("order-service", READY)


def test_what_is_written_into_a_secret_by_hand_is_put_back(operator, kubectl, cloud):
    kubectl("patch", "secret", "product-service", "--type=merge", "--patch", '{"data":{"redis-password":"b3RoZXI=","of-nobody":"b3RoZXI="}}')
    until("it is put back", lambda: held(kubectl, "product-service") == wanted(cloud, "product-service"), SYNC_SECONDS)
    kubectl("delete", "secret", "product-service")
    until("it is made again", lambda: kubectl.run("get", "secret", "product-service").returncode == 0, SYNC_SECONDS)
    assert held(kubectl, "product-service") == wanted(cloud, "product-service")


def test_without_the_endpoint_nothing_leaves_and_the_secrets_stay(operator, kubectl, cloud):
    """It then asks AWS by its name, which the cluster refuses to resolve."""
    before = held(kubectl, "notification-service")
    operator.set_environment("AWS_SECRETSMANAGER_ENDPOINT-")
    try:
        operator.sync("notification-service")
        operator.refuses("notification-service", f"lookup secretsmanager.{REGION}.amazonaws.com")
        assert held(kubectl, "notification-service") == before
    finally:
        operator.set_environment(f"AWS_SECRETSMANAGER_ENDPOINT={cloud.url}")
    operator.sync("notification-service")
    operator.becomes("notification-service", READY)


def test_an_external_secret_that_goes_takes_its_secret(operator, kubectl):
    [owner] = kubectl.get("secret", "api-gateway")["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("ExternalSecret", "api-gateway", True)
    kubectl("delete", "externalsecret", "api-gateway", "--wait")
    until("the Secret is gone", lambda: kubectl.run("get", "secret", "api-gateway").returncode != 0, SYNC_SECONDS)
    assert operator.state("order-service") == READY and held(kubectl, "order-service"), "a neighbour keeps its own"
