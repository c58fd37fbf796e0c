"""The shop on the node: our images and the charts as they are, in a namespace that enforces Pod Security `restricted`.

Installed once for the module by Helm, two replicas of each service. Whoever asks runs in a pod that the charts let in.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import time

import pytest

from tests.cluster.conftest import pod, until
from tests.cluster.shop import Load, Shop, run
from tests.cluster.test_node import evict
from tests.deploy.charts import GRAPH, SERVICES, tool
from tests.deploy.checked import CHECKOUT

REQUESTS_MIN = 10_000
ROLLING_SECONDS = 100
WITHOUT_PAUSE_SECONDS = 20
ORDERS_MEANWHILE = 20
DIRECT = {"user-service": "200=http://user-service:3001/.well-known/jwks.json", "product-service": "200=http://product-service:3002/api/v1/products?limit=1",
          "order-service": "401=http://order-service:3003/api/v1/orders", "payment-service": "401=http://payment-service:3004/api/v1/payments",
          "notification-service": "200=http://notification-service:4005/livez"}
THROUGH_THE_GATEWAY = [f"200=http://api-gateway:3000{path}" for path in ("/health", "/api/v1/products?limit=1", "/api/v1/users/me", "/api/v1/orders", "/api/v1/payments?order_id={order}")]


@pytest.fixture(scope="module")
def shop(kubectl, tmp_path_factory) -> Shop:
    assert os.environ.get("STOA_SHOP_TAG"), "no images: run tests/cluster/run"
    opened = Shop(kubectl, tmp_path_factory.mktemp("shop"))
    opened.open(replicas=2)
    return opened


def started(thing: dict) -> str:
    return thing["metadata"]["creationTimestamp"]


def test_every_pod_is_ready_and_ran_from_the_start(shop):
    assert {service: shop.kubectl.get("deployment", service)["status"].get("readyReplicas") for service in SERVICES} == dict.fromkeys(SERVICES, 2)
    [namespace] = [shop.kubectl.get("namespace", shop.kubectl.namespace)]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    restarts = {one["metadata"]["name"]: state["restartCount"] for one in shop.pods() for state in one["status"]["containerStatuses"]}
    assert set(restarts.values()) == {0}, restarts


@pytest.mark.parametrize("service", [service for service in SERVICES if "postgres" in GRAPH["services"][service]["stores"]])
def test_the_migration_ended_before_the_first_pod(shop, service):
    job = shop.kubectl.get("job", f"{service}-migrate")
    assert job["status"]["succeeded"] == 1
    first = min(started(one) for one in shop.pods() if one["metadata"]["labels"]["app.kubernetes.io/name"] == service)
    assert job["status"]["completionTime"] <= first


@pytest.mark.parametrize("service", SERVICES)
def test_the_test_of_the_chart_passes(shop, service):
    run(tool("helm"), "--namespace", shop.kubectl.namespace, "test", service, "--timeout", "60s")


def test_an_order_is_paid_and_mailed(shop):
    bought = shop.buy(1)
    [order] = bought["orders"]
    assert order["status"] == "paid", order
    print(f"paid after {order['seconds']} s")
    shop.mailed(bought)


def test_the_smoke_test_of_a_release_passes(shop):
    assert "smoke: ok" in shop.program(CHECKOUT / "deploy/ci/smoke", "http://api-gateway:3000")


def test_a_budget_refuses_the_second_eviction(shop):
    """One pod of a service may leave at a time; the other is let go when the replacement is ready."""
    until("the budget allows one", lambda: shop.kubectl.get("pdb", "api-gateway")["status"]["disruptionsAllowed"] == 1)
    first, second = [one["metadata"]["name"] for one in shop.pods() if one["metadata"]["labels"]["app.kubernetes.io/name"] == "api-gateway"]
    assert "Success" in evict(shop.kubectl, first)
    assert "Cannot evict pod as it would violate the pod's disruption budget" in evict(shop.kubectl, second)
    until("the replacement is ready", lambda: shop.kubectl.get("pdb", "api-gateway")["status"]["disruptionsAllowed"] == 1, 90)
    assert "Success" in evict(shop.kubectl, second)
    shop.renewed()


PORTS = {f"{service}:{node['port'] + offset}" for service, node in GRAPH["services"].items() for offset in (0, 1000)} | {
    "postgres:5432", "redis:6379", "rabbitmq:5672", "rabbitmq:15672", "payment-simulator:3010", "mail-sink:2525", "mail-sink:8025"}
STORES = {"postgres": "postgres:5432", "redis": "redis:6379", "rabbitmq": "rabbitmq:5672"}


def graph_allows() -> dict[str, set[str]]:
    """Whom each may call, by the service graph; what nobody has opened a port for is not in it."""
    services, simulators = GRAPH["services"], GRAPH["simulators"]
    allowed = {}
    for service, node in services.items():
        allowed[service] = {f"{callee}:{services[callee]['port']}" for callee in node["calls"]} | {STORES[store] for store in node["stores"]}
        allowed[service] |= {f"{simulators[who]['pod']}:{simulators[who]['port']}" for who in node.get("outside", [])}
        if "postgres" in node["stores"]:
            allowed[f"{service}/migration"] = {STORES["postgres"]}
    for plays in simulators.values():
        allowed[plays["pod"]] = {f"{callee}:{services[callee]['port']}" for callee in plays["calls"]}
    return allowed | {"redis": set(), "a stranger": set()}


def called(who: str) -> dict:
    """A pod with the labels of `who`. Never ready, so no Service sends it a request."""
    name, _, component = who.partition("/")
    thing = pod("as-" + who.replace("/", "-").replace(" ", "-"), readinessProbe={"httpGet": {"path": "/absent", "port": 8080}})
    thing["metadata"]["labels"] |= {"app.kubernetes.io/name": name.replace(" ", "-")}
    if component or name in SERVICES:
        thing["metadata"]["labels"]["app.kubernetes.io/component"] = component or "service"
    return thing


@pytest.fixture(scope="module")
def callers(shop):
    things = {who: called(who) for who in graph_allows()}
    shop.kubectl.apply(*things.values())
    names = {who: thing["metadata"]["name"] for who, thing in things.items()}
    for name in names.values():
        until(f"{name} runs", lambda name=name: shop.kubectl.get("pod", name)["status"]["phase"] == "Running")
    yield names
    # Budgets count them, since they look like the services.
    shop.kubectl("delete", "pod", *names.values())


def reached(shop: Shop, name: str) -> set[str]:
    tried = dict(line.split(" ", 1) for line in shop.kubectl("exec", name, "--", "/probe", "connect", *sorted(PORTS)).splitlines())
    assert set(tried) == PORTS
    return {address for address, became in tried.items() if became == "open"}


def test_each_reaches_what_the_graph_names_and_nothing_else(shop, callers):
    """Real connections: everybody to every port of everybody."""
    wanted, found = graph_allows(), {}

    def agrees(who: str) -> bool:
        found[who] = reached(shop, callers[who])
        return found[who] == wanted[who]
    for who in wanted:
        with contextlib.suppress(AssertionError):  # rules of a new pod are in force after a moment
            until(who, lambda who=who: agrees(who), 15)
    print(f"{len(wanted)} callers x {len(PORTS)} ports: {sum(map(len, found.values()))} open, {len(wanted) * len(PORTS) - sum(map(len, found.values()))} refused")
    assert found == wanted


def test_it_is_the_policies_that_refuse(shop, callers):
    kept = shop.kubectl.get("networkpolicy", "product-service")
    stranger, door = callers["a stranger"], "product-service:3002"
    assert door not in reached(shop, stranger)
    shop.kubectl("delete", "networkpolicy", "product-service")
    until("without its policy everybody reaches it", lambda: door in reached(shop, stranger))
    for told in ("resourceVersion", "uid", "creationTimestamp", "generation", "managedFields"):
        kept["metadata"].pop(told, None)
    shop.kubectl.apply(kept)
    until("with it again nobody", lambda: door not in reached(shop, stranger))


@pytest.fixture(scope="module")
def askers(shop) -> Shop:
    shop.kubectl.apply(*(shop.load_pod(service) for service in SERVICES))
    shop.kubectl("wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/load-of-{service}" for service in SERVICES))
    return shop


def rolled(shop: Shop, seconds: float) -> tuple[int, int]:
    """All services are renewed at once, again and again, under load. How many requests were sent, and how many lost."""
    bought = shop.buy(1)
    through = [target.format(order=bought["orders"][0]["id"]) for target in THROUGH_THE_GATEWAY]
    loads = [Load(shop.kubectl.namespace, "load-of-api-gateway", 10, through, bought["token"])]
    loads += [Load(shop.kubectl.namespace, f"load-of-{service}", 15, [address], "") for service, address in DIRECT.items()]
    rounds, end = 0, time.monotonic() + seconds
    with contextlib.ExitStack() as running:
        for load in loads:
            running.enter_context(load)
        while time.monotonic() < end:
            shop.restart()
            rounds += 1
    became = [target for load in loads for target in load.targets]
    for target in became:
        print(f"{target['url']}: {target['lost']} of {target['sent']} lost {target['causes'][:3]}")
    sent, lost = sum(target["sent"] for target in became), sum(target["lost"] for target in became)
    print(f"{rounds} rounds: {lost} of {sent} lost")
    return sent, lost


def test_renewing_every_service_under_load_loses_nothing(askers):
    with concurrent.futures.ThreadPoolExecutor(1) as buyer:
        buying = buyer.submit(askers.buy, ORDERS_MEANWHILE)
        sent, lost = rolled(askers, ROLLING_SECONDS)
        bought = buying.result()
    assert sent >= REQUESTS_MIN and lost == 0
    assert [order["status"] for order in bought["orders"]] == ["paid"] * ORDERS_MEANWHILE
    askers.mailed(bought)


def test_without_the_pause_before_the_signal_requests_are_lost(askers):
    """What the test above would see if the chart forgot it. The last of this file: the services stay so, and the node's tables
    of connections would still name pods that died without a word."""
    away = '[{"op": "remove", "path": "/spec/template/spec/containers/0/lifecycle"}]'
    for service in SERVICES:
        askers.kubectl("patch", "deployment", service, "--type", "json", "--patch", away)
    askers.renewed()
    _, lost = rolled(askers, WITHOUT_PAUSE_SECONDS)
    assert lost > 0
