"""The chart of stores and simulators: what Compose runs, as pods, and reached by whom the graph names."""

from __future__ import annotations

import base64
import os
import re
import subprocess

import pytest
import yaml

from tests.deploy.charts import GRAPH, HELM, LOADER, SERVICES, judge, objects, one, render, rendered, tool, validate
from tests.deploy.checked import ANYTHING, CHECKOUT

COMPOSE = yaml.load((CHECKOUT / "deploy/compose/compose.yaml").read_text(), LOADER)
ALL = yaml.load((HELM / "data/files/servers.yaml").read_text(), LOADER)
RUNS = ALL["servers"] | ALL["jobs"]
PLACES = ["local", "dev", "staging"]
STORES = {"postgres", "redis", "rabbitmq"}


@pytest.fixture(scope="module")
def local() -> list[dict]:
    return objects(rendered("data", "local"))


def test_kubernetes_accepts_it_and_the_judge_finds_nothing(checked):
    texts = {place: rendered("data", place) for place in PLACES}
    texts["cloudless"] = rendered("data", "local", "--set", "secretSource.kind=external,secretSource.store=vault,persistence.enabled=false,orderedBy=argocd")
    assert {name: said for name, said in validate(texts).items() if said} == {}
    for name, text in texts.items():
        checked("objects that Kubernetes 1.35 accepts", [f"data {name} {thing['kind']}/{thing['metadata']['name']}" for thing in objects(text)])
        assert judge(text).returncode == 0, judge(text).stdout


def test_helm_lints_it_strictly(checked):
    for place in checked("charts with values linted", [f"data {place}" for place in PLACES]):
        files = subprocess.run([HELM / "render", "values", "data", place.split()[1]], text=True, capture_output=True, check=True).stdout.split()
        done = subprocess.run([tool("helm"), "lint", "--strict", HELM / "data", *(f"--values={file}" for file in files), "--set-string",
                               "image.tag=0.0.0"], text=True, capture_output=True, check=False, cwd=CHECKOUT)
        assert done.returncode == 0 and "0 chart(s) failed" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("old, new, judged", [
    ("runAsUser: 999", "runAsUser: 0", "runs as user 0"), ("drop: [ALL]", "drop: []", "keeps capabilities"),
    ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can write its root"),
    ("emptyDir: {sizeLimit: 64Mi}", "hostPath: {path: /var}", "is a hostPath"),
    ("{name: STOA_SECRETS, value:", "{name: BROKER_PASSWORD, value:", "secret in its environment"),
])
def test_the_judge_finds(old, new, judged, refused):
    text = rendered("data", "local")
    assert old in text
    done = judge(text.replace(old, new, 1))
    assert done.returncode == 1, done.stdout
    refused("planted faults that the judge found", f"data: {new}", judged, done.stdout)


@pytest.mark.parametrize("old, new", [("volumeClaimTemplates:", "volumeClaimTemplate:"), ("serviceName:", "servicename:"),
                                      ("fsGroupChangePolicy:", "fsGroupPolicy:"), ("periodSeconds: 2,", "periodSeconds: two,")])
def test_a_misspelt_field_is_refused(old, new, refused):
    text = rendered("data", "local")
    assert old in text
    refused("planted fields that Kubernetes 1.35 refused", f"data: {new}", ANYTHING, validate({"planted": text.replace(old, new, 1)})["planted"])


@pytest.mark.parametrize("words", ["store=true", "stores=perhaps", "persistence.postgres=20", "resources.redis.memory=192", "resources.redis.cpu=1",
                                   "images.nginx=x", "secretSource.kind=files", "image.tag=latest"])
def test_the_schema_of_values_refuses(words, refused):
    done = render("data", "local", digests={"STOA_TAG": "latest"}) if words == "image.tag=latest" else render("data", "local", "--set", words)
    assert done.returncode != 0 and "don't meet the specifications of the schema" in done.stderr, done.stderr
    refused("planted values that the schema refused", f"data: {words}", re.compile("^- at '"), done.stderr)


@pytest.mark.parametrize("name", RUNS)
def test_it_is_what_compose_runs(name, checked):
    mine, theirs = RUNS[name], COMPOSE["services"][name]
    assert re.fullmatch(r"\$\{STOA_IMAGES:-stoa\}/([a-z-]+):.*", theirs["image"])[1] == mine["image"]
    assert {key: value for key, value in mine["settings"].items() if key != "STOA_POSTGRES_DATA"} == theirs.get("environment", {})
    wanted = {secret if isinstance(secret, str) else secret["target"].removeprefix("/run/secrets/") for secret in theirs.get("secrets", [])}
    if name == "rabbitmq":  # its definitions are made by a job of their own there
        wanted |= {secret if isinstance(secret, str) else secret["target"].removeprefix("/run/secrets/") for secret in COMPOSE["services"]["definitions"]["secrets"]}
        assert mine["first"]["command"] == COMPOSE["services"]["definitions"]["command"]
    assert set(mine["secrets"]) == wanted
    assert mine.get("args", mine.get("command", [])) == theirs.get("command", [])
    checked("servers and jobs compared with Compose", [name])


def test_ports_and_questions_are_the_images_own(checked):
    dockerfile = (CHECKOUT / "deploy/images/Dockerfile").read_text()
    for name in checked("servers compared with their images", ALL["servers"]):
        stage = re.search(rf"^FROM \S+ AS {name}$(.*?)(?=^FROM |\Z)", dockerfile, re.MULTILINE | re.DOTALL)[1]
        exposed = {int(port) for port in re.search(r"^EXPOSE (.*)$", stage, re.MULTILINE)[1].split()}
        assert set(ALL["servers"][name]["ports"].values()) <= exposed
        assert [str(word) for word in ALL["servers"][name]["ask"]] == yaml.safe_load(re.search(r"CMD (\[.*\])", stage)[1])
        user = re.search(r"^USER (\d+)", stage, re.MULTILINE)
        assert ALL["servers"][name]["uid"] == (int(user[1]) if user else 65532)
        volume = re.search(r"^VOLUME (\S+)", stage, re.MULTILINE)
        assert not volume or ALL["servers"][name]["volume"] == volume[1]


def entering(things: list[dict], name: str) -> set[tuple[str, int]]:
    return {(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], port["port"]) for rule in one(things, "NetworkPolicy", name)["spec"]["ingress"]
            for peer in rule["from"] for port in rule["ports"]}


def test_a_store_is_reached_by_whom_the_graph_names(local, checked):
    for store in checked("policies of stores", sorted(STORES)):
        port = {"postgres": 5432, "redis": 6379, "rabbitmq": 5672}[store]
        wanted = {(service, port) for service in SERVICES if store in GRAPH["services"][service]["stores"]}
        wanted |= {"postgres": {("postgres-bootstrap", 5432)}, "rabbitmq": {("topology", 15672)}, "redis": set()}[store]
        assert entering(local, store) == wanted
        assert one(local, "NetworkPolicy", store)["spec"]["egress"] == []
    assert entering(local, "payment-simulator") == {("payment-service", GRAPH["simulators"]["payment-provider"]["port"])}
    assert entering(local, "mail-sink") == {("notification-service", GRAPH["simulators"]["mail"]["port"])}
    migrated = [rule for rule in one(local, "NetworkPolicy", "postgres")["spec"]["ingress"][0]["from"]
                if "migration" in str(rule.get("matchExpressions", rule))]
    assert len(migrated) == 5


def test_every_pod_of_the_namespace_has_a_policy(local):
    things = local + [thing for service in SERVICES for thing in objects(rendered(service, "local"))]
    chosen = [policy["spec"]["podSelector"]["matchLabels"] for policy in things if policy["kind"] == "NetworkPolicy"]
    pods = {thing["metadata"]["name"]: thing["spec"]["template"]["metadata"]["labels"] for thing in things if thing["kind"] in ("Deployment", "StatefulSet", "Job")}
    assert len(pods) == 6 + 5 + 5 + 2
    assert [name for name, labels in pods.items() if not any(labels.items() >= match.items() for match in chosen)] == []


def test_services_find_the_stores_where_they_are(local):
    names = {thing["metadata"]["name"]: {port["port"] for port in thing["spec"]["ports"]} for thing in local if thing["kind"] == "Service"}
    for service in SERVICES:
        pod = one(objects(rendered(service, "local")), "Deployment", service)["spec"]["template"]["spec"]["containers"][0]
        for variable in pod["env"]:
            if variable["name"] in ("STOA_REDIS_ADDRESS", "STOA_BROKER_ADDRESSES", "STOA_SMTP_ADDRESS", "STOA_PROVIDER_ADDRESSES"):
                host, port = variable["value"].split(":")
                assert int(port) in names[host], variable


def test_the_secrets_that_it_makes_are_those_that_pods_mount(tmp_path, local):
    folder = tmp_path / "secrets"
    subprocess.run([CHECKOUT / "tools/secrets", folder], check=True, capture_output=True)
    done = subprocess.run([HELM / "secrets", folder], text=True, capture_output=True, check=False, env=os.environ | {"STOA_HELM": tool("helm")})
    assert done.returncode == 0, done.stderr
    made = {secret["metadata"]["name"]: secret["data"] for secret in objects(done.stdout)}
    assert validate({"secrets": done.stdout}) == {"secrets": ""}
    things = local + [thing for service in SERVICES for thing in objects(rendered(service, "local"))]
    mounted = [(volume["secret"]["secretName"], {item["key"] for item in volume["secret"].get("items", [])})
               for thing in things if thing["kind"] in ("Deployment", "StatefulSet", "Job")
               for volume in thing["spec"]["template"]["spec"].get("volumes", []) if "secret" in volume]
    assert {name for name, _ in mounted} == set(made)
    assert all(keys <= set(made[name]) for name, keys in mounted)
    assert base64.b64decode(made["order-service"]["service-key"]) == (folder / "order-service/service-key.pem").read_bytes()
    (folder / "redis-password").write_text("")
    done = subprocess.run([HELM / "secrets", folder], text=True, capture_output=True, check=False, env=os.environ | {"STOA_HELM": tool("helm")})
    assert done.returncode != 0 and "redis-password is missing or empty" in done.stderr


def test_production_has_none_of_it():
    done = render("data", "production")
    assert done.returncode != 0 and "production lacks nothing" in done.stderr
