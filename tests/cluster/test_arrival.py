"""The shop as Argo CD 3.5.7 brings it to the node: the environment `local` from Git, images from a registry, by digest.

Nothing is played: what the applications make are pods of our own images. By hand comes what the guide says
(docs/phases/07-gitops.md): secrets, the cluster's name, the root. Whoever asks runs in a pod that a policy lets out.
"""

from __future__ import annotations

import json
import os
import pathlib
import threading
import time

import pytest

from tests.cluster.conftest import Kubectl, pod, until
from tests.cluster.delivery import ARRIVES_SECONDS, Delivery, when
from tests.cluster.shop import Shop, run
from tests.deploy.charts import GRAPH, HELM, SERVICES, tool
from tests.deploy.checked import CHECKOUT
from tests.deploy.gitops import Tree

REGION, REGISTRY = "local-here", "registry.example.com/stoa"
ASK = pathlib.Path(__file__).parent / "ask.py"
ORDERS_MIN = 10
PAUSE_SECONDS = 1  # the demonstration's stock of a variant is a hundred
STORES = ["postgres-0", "redis-0", "rabbitmq-0"]
KEPT = {f"kept-{name}-0" for name in ("postgres", "rabbitmq", "payment-simulator", "mail-sink")}
stoa = Kubectl("stoa")


def script(delivery: Delivery, name: str, *words: str | pathlib.Path) -> str:
    """A program of deploy/ci in the tree, as deploy.yml runs it."""
    done = delivery.run(CHECKOUT / "deploy/ci" / name, *words)
    assert done.returncode == 0, done.stdout
    return done.stdout


def record(delivery: Delivery, file: str) -> str:
    """What the registry gave digests becomes what `local` runs, with all else that was changed; the commit."""
    return delivery.commit(script(delivery, "promote", "record", CHECKOUT / os.environ["STOA_SHOP_IMAGES"] / file, "--into", "local"))


def recorded(delivery: Delivery) -> dict[str, str]:
    """Each image that Git says, with its registry and digest."""
    told = json.loads((delivery.folder / "deploy/environments/local.json").read_text())["images"]
    return {name: f"{REGISTRY}/{name}@{image['digest']}" for name, image in told.items()}


def arrived(delivery: Delivery, seconds: int = 60):
    return delivery.run(CHECKOUT / "deploy/ci/arrived", "local", "--server", os.environ["STOA_ARGOCD_API"], "--seconds", str(seconds), "--pause", "1",
                        stdin=os.environ["STOA_ARGOCD_TOKEN"])


class Delivered(Shop):
    """Argo CD installs it; who asks needs a policy, since the namespace is closed to whom none names."""

    def __init__(self, delivery: Delivery, scratch: pathlib.Path):
        super().__init__(stoa, scratch)
        self.delivery = delivery

    def image(self, name: str) -> str:
        return recorded(self.delivery)[name]

    def let_out(self) -> None:
        dns = [{"protocol": protocol, "port": port} for protocol in ("UDP", "TCP") for port in (53, 1053)]
        self.kubectl.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "who-asks"}, "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "api-gateway", "app.kubernetes.io/component": "test"}}, "policyTypes": ["Egress"],
            "egress": [{"to": [{"namespaceSelector": {}}], "ports": dns},
                       {"to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "api-gateway"}}}], "ports": [{"protocol": "TCP", "port": 3000}]}]}})

    def reaches_the_gateway(self) -> bool:
        ask = "import urllib.request; urllib.request.urlopen('http://api-gateway:3000/health', timeout=3)"
        return self.kubectl.run("exec", "neighbour-of-api-gateway", "--", "python3", "-c", ask).returncode == 0

    def open_the_door(self) -> None:
        self.neighbour("api-gateway")
        self.let_out()
        until("who asks is let out", self.reaches_the_gateway)

    def says(self, path: str, token: str) -> dict:
        """What the gateway answers a customer, through its Service."""
        return json.loads(self.program(ASK, "http://api-gateway:3000", path, token))

    def running(self, service: str) -> tuple[set[str], int]:
        """Images of its pods, and how many are ready."""
        pods = [one for one in self.pods() if one["metadata"]["labels"]["app.kubernetes.io/name"] == service and not one["metadata"].get("deletionTimestamp")]
        ready = sum(condition["status"] == "True" for one in pods for condition in one["status"]["conditions"] if condition["type"] == "Ready")
        return {one["spec"]["containers"][0]["image"] for one in pods}, ready


class Buying:
    """Somebody buys for as long as the block lasts; then every order must be paid and mailed."""

    def __init__(self, shop: Delivered):
        self.shop, self.bought, self.ended, self.failed = shop, [], threading.Event(), []
        self.thread = threading.Thread(target=self.buy)

    def buy(self) -> None:
        while not self.ended.is_set():
            try:
                self.bought.append(self.shop.buy(1))
            except AssertionError as error:
                self.failed.append(str(error))
                return
            self.ended.wait(PAUSE_SECONDS)

    def __enter__(self) -> Buying:
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.ended.set()
        self.thread.join()

    def judge(self) -> None:
        assert self.failed == []
        states = [order["status"] for one in self.bought for order in one["orders"]]
        print(f"{len(states)} orders meanwhile, {states.count('paid')} paid")
        assert len(states) >= ORDERS_MIN and set(states) == {"paid"}
        for one in self.bought:
            self.shop.mailed(one)


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    assert os.environ.get("STOA_SHOP_IMAGES"), "no images: run tests/cluster/run"
    assert os.environ.get("STOA_ARGOCD_API"), "no Argo CD: run tests/cluster/run"
    made = Delivery(tmp_path_factory.mktemp("delivery") / "tree")
    yield made
    made.forget()


@pytest.fixture(scope="module")
def local(delivery, tmp_path_factory) -> set[str]:
    """The steps of the guide; the names of the applications."""
    secrets = tmp_path_factory.mktemp("scratch") / "secrets"
    run(CHECKOUT / "tools/secrets", secrets)
    stoa("create", "namespace", "stoa")
    stoa("apply", "--filename", "-", stdin=run(HELM / "secrets", secrets, "local", env=os.environ | {"STOA_HELM": tool("helm")}))
    delivery.register(REGION)
    record(delivery, "images.json")
    begin = time.monotonic()
    delivery.apply_root("local")
    names = set(Tree("local", delivery.folder).applications)
    delivery.settled(names)
    print(f"Synced and Healthy after {time.monotonic() - begin:.0f} s")
    return names


@pytest.fixture(scope="module")
def shop(delivery, local, tmp_path_factory) -> Delivered:
    opened = Delivered(delivery, tmp_path_factory.mktemp("shop"))
    opened.open_the_door()
    opened.fill()
    return opened


def test_argo_cd_alone_brings_it_up_in_its_order(delivery, local):
    there = delivery.applications()
    assert set(there) == local and len(local) == 4 + len(SERVICES)
    made = {name.removeprefix(REGION + "-"): when(one["metadata"]["creationTimestamp"]) for name, one in there.items()}
    done = {name.removeprefix(REGION + "-"): when(one["status"]["history"][0]["deployedAt"]) for name, one in there.items()}
    first = min(made[service] for service in SERVICES)
    assert done["policies"] <= made["data"] and done["data"] <= first
    for name in STORES:
        [ready] = [condition for condition in stoa.get("pod", name)["status"]["conditions"] if condition["type"] == "Ready"]
        assert ready["status"] == "True" and when(ready["lastTransitionTime"]) <= first, name
    for name in ("postgres-bootstrap", "topology"):
        assert when(stoa.get("job", name)["status"]["completionTime"]) <= first
    for service in SERVICES:
        if "postgres" in GRAPH["services"][service]["stores"]:
            job = stoa.get("job", f"{service}-migrate")
            assert when(job["status"]["completionTime"]) <= when(stoa.get("deployment", service)["metadata"]["creationTimestamp"])


def test_every_pod_is_real_and_runs_a_digest_of_git(delivery, local):
    wanted, ran = set(recorded(delivery).values()), set()
    [node] = stoa.get("nodes")["items"]
    for one in stoa.get("pods")["items"]:
        assert one["spec"]["nodeName"] == node["metadata"]["name"]
        states = {state["name"]: state for state in [*one["status"]["containerStatuses"], *one["status"].get("initContainerStatuses", [])]}
        for container in [*one["spec"]["containers"], *one["spec"].get("initContainers", [])]:
            assert states[container["name"]]["imageID"].endswith(container["image"].rsplit("@", 1)[1]), states[container["name"]]
            assert one["metadata"]["labels"]["app.kubernetes.io/component"] != "service" or states[container["name"]]["restartCount"] == 0
            ran.add(container["image"])
    assert ran == wanted and len(wanted) == len(SERVICES) + 6


def test_the_namespace_takes_images_by_digest_alone(delivery, local):
    assert f"not by digest: {REGISTRY}/tools:1.0.0" in stoa.refuses(pod("planted", image=f"{REGISTRY}/tools:1.0.0"))
    stoa("apply", "--dry-run=server", "--filename", "-", stdin=json.dumps(pod("planted", image=recorded(delivery)["tools"])))


def test_whom_no_policy_names_reaches_nobody(shop):
    assert shop.reaches_the_gateway()
    stoa("delete", "networkpolicy", "who-asks")
    until("the closed namespace refuses it", lambda: not shop.reaches_the_gateway())
    shop.let_out()
    until("it is let out again", shop.reaches_the_gateway)


def test_an_order_through_the_gateways_service_is_paid_and_mailed(shop):
    bought = shop.buy(1)
    [order] = bought["orders"]
    assert order["status"] == "paid", order
    print(f"paid after {order['seconds']} s")
    shop.mailed(bought)


def test_it_has_arrived_and_somebody_can_buy(shop, delivery):
    """What deploy.yml asks after a merge."""
    done = arrived(delivery)
    assert done.returncode == 0 and f"{len(recorded(delivery))} images run in local" in done.stdout, done.stdout
    assert "smoke: ok" in shop.program(CHECKOUT / "deploy/ci/smoke", "http://api-gateway:3000")


def test_a_commit_rolls_out_under_orders(shop, delivery, local):
    """Another build of two services and a setting of a third, in one commit."""
    before = recorded(delivery)
    (delivery.folder / "deploy/helm/environments/local/here/payment-service.yaml").write_text("replicas: 2\n")
    with Buying(shop) as customer:
        begin = time.monotonic()
        delivery.at(record(delivery, "next.json"), local)
        shop.renewed()
        print(f"rolled out after {time.monotonic() - begin:.0f} s")
    after = recorded(delivery)
    assert {name for name in after if after[name] != before[name]} == {"api-gateway", "order-service"}
    for service in SERVICES:
        assert shop.running(service) == ({after[service]}, 2 if service == "payment-service" else 1)
    assert arrived(delivery).returncode == 0
    customer.judge()


def test_a_rollback_goes_back_under_orders(shop, delivery, local):
    before = recorded(delivery)
    with Buying(shop) as customer:
        delivery.at(delivery.commit(script(delivery, "rollback", "local")), local)
        shop.renewed()
    after = recorded(delivery)
    assert {name for name in after if after[name] != before[name]} == {"api-gateway", "order-service"}
    for service in SERVICES:
        assert shop.running(service)[0] == {after[service]}
    assert arrived(delivery).returncode == 0
    customer.judge()


def test_an_image_that_no_registry_has_replaces_nothing(shop, delivery, local):
    old = recorded(delivery)["api-gateway"]
    delivery.runs("local", "9.9.9", ["api-gateway"])
    failed = delivery.commit("chore(deploy): 9.9.9 to local")

    def refused() -> bool:
        waits = [state["state"].get("waiting", {}).get("reason") for one in shop.pods() for state in one["status"].get("containerStatuses", [])]
        return bool({"ErrImagePull", "ImagePullBackOff"} & set(waits))

    until("the node cannot pull it", refused, 120)
    assert old in shop.running("api-gateway")[0] and shop.running("api-gateway")[1] == 1
    until("it has not arrived", lambda: arrived(delivery, 1).stdout == f"{REGION}-api-gateway is Synced and Progressing\n", ARRIVES_SECONDS)
    assert shop.buy(1)["orders"][0]["status"] == "paid"
    delivery.at(delivery.commit(script(delivery, "rollback", "local", "--failed", failed)), local)
    shop.renewed()
    assert shop.running("api-gateway") == ({old}, 1) and arrived(delivery).returncode == 0


def left() -> set[tuple[str, str]]:
    """Everything in the namespace but what is told about it."""
    kinds = stoa("api-resources", "--namespaced", "--verbs=list,delete", "--output", "name").split()
    things = stoa.get(",".join(kind for kind in kinds if kind != "endpoints" and not kind.startswith(("events", "pods.metrics"))))["items"]
    return {(one["kind"], one["metadata"]["name"]) for one in things}


def test_deleting_the_root_leaves_the_namespace_its_policies_and_volumes(shop, delivery, local):
    """And what came by hand. With the root again there is the shop again, and what it sold."""
    bought = shop.buy(1)
    by_hand = {(kind, name) for kind, name in left() if kind == "Secret"}
    stoa("delete", "pod/neighbour-of-api-gateway", "networkpolicy/who-asks")
    Kubectl("argocd")("delete", "application", "local", "--wait=false")
    until("no application is left", lambda: delivery.applications() == {}, ARRIVES_SECONDS)
    kept = by_hand | {("NetworkPolicy", "closed"), ("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt")} | {("PersistentVolumeClaim", name) for name in KEPT}
    until("its objects are gone", lambda: left() == kept, ARRIVES_SECONDS)
    assert stoa.get("namespace", "stoa")["status"]["phase"] == "Active" and by_hand
    delivery.apply_root("local")
    delivery.settled(local)
    shop.open_the_door()
    [order] = bought["orders"]
    assert shop.says(f"/api/v1/orders/{order['id']}", bought["token"])["status"] == "paid"
    assert shop.buy(1)["orders"][0]["status"] == "paid"
