"""Argo CD 3.5.7 on the tree of deploy/gitops: staging from nothing to gone (waves, drift, pruning, bad commits), then production by promotion.

Git, Argo CD, the API server and its controllers are real. Pods and the operators of others are played (stand_in.py), so
that what is proved is the order and the faithfulness of the delivery; that the images run is another suite's to prove.
"""

from __future__ import annotations

import datetime
import json
import os
import time

import pytest

from tests.cluster.conftest import Kubectl, until
from tests.cluster.delivery import ARGO, IMAGES, Delivery, digest, images, when
from tests.cluster.stand_in import StandIn
from tests.deploy.charts import SERVICES
from tests.deploy.checked import CHECKOUT
from tests.deploy.gitops import Tree

SLOW_SECONDS = 6
STORE, REGION = "clustersecretstores", "staging-eu-west-1"
PRODUCTION = "production-eu-west-1"
MARK = "argocd.argoproj.io/tracking-id"
LEFT = "namespaces,networkpolicies,validatingadmissionpolicies,validatingadmissionpolicybindings,customresourcedefinitions,clustersecretstores"
NOTHING_HAPPENS_SECONDS = 3  # for that there is no condition to wait for
shop = Kubectl("stoa")


@pytest.fixture(scope="module")
def world():
    assert os.environ.get("STOA_ARGOCD_API"), "no Argo CD: run tests/cluster/run"
    with StandIn("stoa") as played:
        played.slow[STORE] = SLOW_SECONDS
        yield played
    assert played.errors == []


@pytest.fixture(scope="module")
def delivery(world, tmp_path_factory):
    made = Delivery(tmp_path_factory.mktemp("delivery") / "tree")
    made.without_others()
    yield made
    made.forget()


@pytest.fixture(scope="module")
def staging(delivery) -> set[str]:
    """Deployed at 1.0.0; the names of its applications."""
    delivery.runs("staging", "1.0.0")
    delivery.commit("feat: the tree, and 1.0.0 in staging")
    names = set(Tree("staging", delivery.folder).applications)
    delivery.register(REGION)
    delivery.apply_root("staging")
    delivery.settled(names)
    return names


def image_of(service: str) -> str:
    return shop.get("deployment", service)["spec"]["template"]["spec"]["containers"][0]["image"].rsplit("@", 1)[1]


def test_the_tree_is_synced_and_healthy_and_nothing_else_is_there(delivery, staging):
    assert {name: state for name, state in delivery.states().items() if state != "Synced Healthy"} == {}
    assert set(delivery.applications()) == staging and len(staging) == 5 + len(SERVICES)
    assert {service: image_of(service) for service in SERVICES} == {service: digest(service, "1.0.0") for service in SERVICES}


def test_argo_cd_makes_what_the_checks_without_a_cluster_say(delivery, staging):
    """So that tests/deploy/test_gitops.py judges what is deployed, and not what we believe."""
    tree, there = Tree("staging", delivery.folder), delivery.applications()
    for name in staging:
        hooks = {(thing["kind"], thing["metadata"]["name"]) for thing in tree.made[name] if "argocd.argoproj.io/hook" in thing["metadata"].get("annotations", {})}
        mine = {(thing["kind"], thing["metadata"]["name"]) for thing in tree.made[name]} - hooks
        # A root is looked at by itself, and never made (Skip).
        made = {(thing["kind"], thing["name"]) for thing in there[name]["status"]["resources"]} - hooks - {("Application", name)}
        assert made == mine or name.endswith("-definitions") and made < mine, name
        for part in ("project", "destination"):
            assert there[name]["spec"][part] == tree.applications[name]["spec"][part]
        assert there[name]["spec"].get("source") == tree.applications[name]["spec"].get("source")


def test_waves_wait_for_what_is_before_them(delivery, staging):
    """The store of secrets took its time; nothing of a later wave was made before it was Ready."""
    there = delivery.applications()
    made = {name.removeprefix(REGION + "-"): when(one["metadata"]["creationTimestamp"]) for name, one in there.items()}
    done = {name.removeprefix(REGION + "-"): when(one["status"]["history"][0]["deployedAt"]) for name, one in there.items()}
    assert done["definitions"] <= made["policies"] <= made["data"] and done["data"] <= made["order-service"]
    store = delivery.api.get("/apis/external-secrets.io/v1/clustersecretstores/aws-secrets-manager")
    ready = when(store["status"]["conditions"][0]["lastTransitionTime"])
    assert ready - when(store["metadata"]["creationTimestamp"]) >= datetime.timedelta(seconds=SLOW_SECONDS - 1)
    assert made["data"] >= ready, "the wave of data did not wait for the policies' health"
    assert min(made[service] for service in SERVICES) >= done["data"]


def test_migrations_are_before_their_services(staging):
    for service in SERVICES:
        deployed = when(shop.get("deployment", service)["metadata"]["creationTimestamp"])
        if service == "api-gateway":
            continue
        job = shop.get("job", f"{service}-migrate")
        assert when(job["status"]["completionTime"]) <= deployed
        assert when(shop.get("serviceaccount", f"{service}-migrate")["metadata"]["creationTimestamp"]) <= when(job["metadata"]["creationTimestamp"])


def test_the_script_that_deploy_yml_calls_sees_the_arrival(delivery, staging):
    def arrived(token: str):
        return delivery.run(CHECKOUT / "deploy/ci/arrived", "staging", "--server", os.environ["STOA_ARGOCD_API"], "--seconds", "20", stdin=token)

    done = arrived(os.environ["STOA_ARGOCD_TOKEN"])
    assert done.returncode == 0 and f"{len(IMAGES)} images run in staging" in done.stdout, done.stdout
    assert arrived(os.environ["STOA_ARGOCD_TOKEN"][:-4] + "AAAA").returncode == 1


def test_the_namespace_refuses_tags_and_privileges(staging):
    def pod(image: str, **context: object) -> dict:
        return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "planted"}, "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [{"name": "one", "image": image, "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}} | context}]}}

    good = f"registry.example.com/stoa/tools@{digest('tools', '1.0.0')}"
    assert "not by digest: registry.example.com/stoa/tools:1.0.0" in shop.refuses(pod("registry.example.com/stoa/tools:1.0.0"))
    assert 'violates PodSecurity "restricted' in shop.refuses(pod(good, allowPrivilegeEscalation=True))
    shop("apply", "--dry-run=server", "--filename", "-", stdin=json.dumps(pod(good)))


@pytest.mark.parametrize("drift", [
    ("a setting that somebody changed", ["set", "env", "deployment/order-service", "STOA_LOG_LEVEL=warn"]),
    ("replicas that somebody took away", ["scale", "deployment/order-service", "--replicas=0"]),
    ("a Service that somebody deleted", ["delete", "service", "order-service"]),
    ("a policy that somebody opened", ["patch", "networkpolicy", "order-service", "--type=json", '--patch=[{"op":"replace","path":"/spec/egress","value":[{}]}]']),
], ids=lambda drift: drift[0])
def test_drift_is_healed(drift, delivery, staging):
    def as_it_should() -> list:
        deployment = shop.get("deployment", "order-service")["spec"]
        service = delivery.api.get("/api/v1/namespaces/stoa/services/order-service")
        return [deployment["replicas"], deployment["template"]["spec"]["containers"][0]["env"], service and service["spec"]["ports"],
                shop.get("networkpolicy", "order-service")["spec"]["egress"]]

    before = as_it_should()
    shop(*drift[1])
    until("what was changed is as Git says", lambda: as_it_should() == before, 60)
    delivery.settled({f"{REGION}-order-service"})


def test_what_git_loses_is_pruned_and_comes_back(delivery, staging):
    route = delivery.folder / "deploy/helm/environments/staging/api-gateway.yaml"
    text = route.read_text()
    assert delivery.api.items("/apis/gateway.networking.k8s.io/v1/namespaces/stoa/httproutes")
    route.unlink()
    delivery.at(delivery.commit("feat: no way in"), {f"{REGION}-api-gateway"})
    assert delivery.api.items("/apis/gateway.networking.k8s.io/v1/namespaces/stoa/httproutes") == []
    route.write_text(text)
    delivery.at(delivery.commit("revert: no way in"), {f"{REGION}-api-gateway"})
    assert delivery.api.items("/apis/gateway.networking.k8s.io/v1/namespaces/stoa/httproutes")


def test_a_migration_that_fails_leaves_the_old_version_and_git_goes_back(delivery, staging, world):
    name = f"{REGION}-order-service"
    world.broken.add(digest("order-service", "1.1.0"))
    delivery.runs("staging", "1.1.0", ["order-service", "payment-service"])
    failed = delivery.commit("chore(deploy): 1.1.0 to staging")
    until("the sync of 1.1.0 has failed", lambda: "completed unsuccessfully" in
          delivery.applications()[name]["status"].get("operationState", {}).get("message", ""), 120)
    assert image_of("order-service") == digest("order-service", "1.0.0")
    assert shop.get("deployment", "order-service")["status"]["readyReplicas"] == shop.get("deployment", "order-service")["spec"]["replicas"]
    delivery.at(failed, {f"{REGION}-payment-service"})  # its neighbour, in the same commit, is not held back
    assert image_of("payment-service") == digest("payment-service", "1.1.0")
    back = delivery.run(CHECKOUT / "deploy/ci/rollback", "staging", "--failed", failed)
    assert back.returncode == 0, back.stdout
    delivery.at(delivery.commit(back.stdout), {name, f"{REGION}-payment-service"})
    assert image_of("payment-service") == digest("payment-service", "1.0.0")


BAD_COMMITS = {
    "a chart that does not render": ("helm/service/templates/service.yaml", "apiVersion: v1\nkind: Service\n", "apiVersion: v1\nkind: {{ fail \"planted\" }}\n", "planted"),
    "values that the schema refuses": ("helm/environments/staging/all.yaml", "simulators: true", "simulators: perhaps", "don't meet the specifications of the schema"),
    "a field that Kubernetes does not know": ("helm/service/templates/deployment.yaml", "  revisionHistoryLimit: 5", "  revisionHistoryLimits: 5", "field not declared in schema"),
    "a kind that the project does not name": ("helm/service/templates/service.yaml", "apiVersion: v1\nkind: Service\n",
                                              "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: planted}\n---\napiVersion: v1\nkind: Service\n", "not permitted in project staging-shop"),
}


@pytest.mark.parametrize("plant", BAD_COMMITS)
def test_a_bad_commit_keeps_what_runs(plant, delivery, staging):
    file, old, new, said = BAD_COMMITS[plant]
    name = f"{REGION}-user-service"
    before = shop.get("deployment", "user-service")["metadata"]["generation"]
    delivery.change(file, old, new)
    delivery.commit(f"feat: {plant}")

    def told() -> bool:
        state = delivery.applications()[name]["status"]
        return said in json.dumps([state.get("conditions"), state.get("operationState", {}).get("message"), state.get("operationState", {}).get("syncResult")])

    until(f"Argo CD says {said!r}", told, 90)
    assert shop.get("deployment", "user-service")["metadata"]["generation"] == before
    assert delivery.api.get("/api/v1/namespaces/stoa/configmaps/planted") is None
    assert image_of("user-service") == digest("user-service", "1.0.0")
    delivery.change(file, new, old)
    delivery.at(delivery.commit(f"revert: {plant}"), {f"{REGION}-{service}" for service in SERVICES})


def test_an_environment_that_goes_takes_its_objects_and_leaves_its_namespace(delivery, staging):
    Kubectl("argocd")("delete", "application", "staging", "--wait=false")
    until("no application is left", lambda: delivery.applications() == {}, 180)
    assert delivery.api.items("/apis/apps/v1/namespaces/stoa/deployments") == delivery.api.items("/apis/apps/v1/namespaces/stoa/statefulsets") == []
    assert delivery.api.get("/api/v1/namespaces/stoa")["status"]["phase"] == "Active"
    assert delivery.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/externalsecrets.external-secrets.io")


def unmarked() -> list[str]:
    """What staging left bears its mark, and would else belong to two applications: the remedy of the guide's troubleshooting."""
    left = [f"{one['kind']}/{one['metadata']['name']}" for one in shop.get(LEFT)["items"]
            if one["metadata"].get("annotations", {}).get(MARK, "").startswith("staging-")]
    shop("annotate", *left, f"{MARK}-")
    return left


def promote(delivery: Delivery, source: str, target: str) -> str:
    """`make promote`, and the merge of what it pushed; the commit."""
    done = delivery.run("make", "--no-print-directory", "promote", f"FROM={source}", f"TO={target}")
    assert done.returncode == 0 and f"promote/{target}" in done.stdout, done.stdout
    delivery.git("fetch", "-q", "origin", f"promote/{target}")
    delivery.git("merge", "-q", "--ff-only", "FETCH_HEAD")
    delivery.git("push", "-q", "origin", "main")
    delivery.refresh()
    return delivery.git("rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def production(delivery) -> set[str]:
    """One region of it, by promotion of what staging ran; the second's cluster is not there."""
    assert delivery.applications() == {}, "staging is still there: these tests run in their order"
    assert "Namespace/stoa" in unmarked()
    promote(delivery, "staging", "production")
    delivery.register(PRODUCTION)
    delivery.apply_root("production")
    names = {name for name in Tree("production", delivery.folder).applications if name.startswith(PRODUCTION)}
    delivery.settled(names)
    return names


def test_production_runs_what_staging_ran_and_a_missing_region_stops_no_other(delivery, production):
    assert {service: image_of(service) for service in SERVICES} == {service: digest(service, "1.0.0") for service in SERVICES}
    assert len(production) == 3 + len(SERVICES)
    other = delivery.applications()["production-us-east-1-definitions"]["status"]
    assert "production-us-east-1" in json.dumps(other["conditions"]) and other["sync"]["status"] == "Unknown"
    assert "production-us-east-1-policies" not in delivery.applications()


def test_a_promotion_flows_from_dev_to_production(delivery, production):
    recorded = delivery.folder.parent / "images.json"
    recorded.write_text(json.dumps({"images": images("1.2.0")}))
    done = delivery.run(CHECKOUT / "deploy/ci/promote", "record", recorded)
    assert done.returncode == 0, done.stdout
    delivery.commit(done.stdout)
    promote(delivery, "dev", "staging")
    time.sleep(NOTHING_HAPPENS_SECONDS)
    assert image_of("order-service") == digest("order-service", "1.0.0"), "what was not promoted must not arrive"
    delivery.at(promote(delivery, "staging", "production"), {f"{PRODUCTION}-{service}" for service in SERVICES})
    assert {service: image_of(service) for service in SERVICES} == {service: digest(service, "1.2.0") for service in SERVICES}
    for service in SERVICES:
        if service != "api-gateway":
            assert shop.get("job", f"{service}-migrate")["spec"]["template"]["spec"]["containers"][0]["image"].endswith(digest(service, "1.2.0"))


def test_production_outlives_its_applications(delivery, production):
    """A folder that is deleted by mistake stops nobody's shop."""
    argocd = Kubectl("argocd")
    argocd("delete", "application", "production")
    argocd("delete", "applicationset", "production")
    until("its regions are gone", lambda: not {PRODUCTION, "production-us-east-1"} & set(delivery.applications()))
    argocd("delete", "applicationsets", "--all")
    argocd("delete", "applications", "--all")
    until("no application is left", lambda: delivery.applications() == {} and delivery.api.items(f"{ARGO}/applicationsets") == [])
    time.sleep(NOTHING_HAPPENS_SECONDS)
    assert {service: image_of(service) for service in SERVICES} == {service: digest(service, "1.2.0") for service in SERVICES}
    assert all(shop.get("deployment", service)["status"]["readyReplicas"] for service in SERVICES)
