"""The autoscalers of the shop on the node, each by its own measure: requests a second, requests in flight, processor.

deploy/cluster/monitoring runs what stands between a service's /metrics and its autoscaler; the ServiceMonitors, the rules,
the policies and the autoscalers are those of deploy/helm, with averages that a small load exceeds.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Callable

import pytest
import yaml

from tests.cluster.conftest import Kubectl, until
from tests.cluster.shop import Load, Shop
from tests.deploy.charts import GRAPH, HELM, LOADER

RULES = yaml.load((HELM / "metrics-adapter.yaml").read_text(), LOADER)["rules"]
METRICS = "/apis/custom.metrics.k8s.io/v1beta1"
PROMETHEUS = "/api/v1/namespaces/monitoring/pods/prometheus-stoa-0:9090/proxy/api/v1"
PER_SECOND, IN_FLIGHT = "stoa_http_server_requests_per_second", "stoa_http_server_in_flight"
WINDOW_SECONDS = 60  # what the rules look at
INTERVAL = "5s"
GATEWAY_RATE, GATEWAY_AVERAGE, GATEWAY_PODS = 40, 10, 3
ORDER_RATE, ORDER_AVERAGE, ORDER_PODS = 20, 2, 3
PRODUCT_RATE, PRODUCT_PODS = 120, 3
HELD_SECONDS, OPEN_SECONDS = 1.2, 0.4  # for which nobody reads orders, and for which all who waited do; again and again


def scaled(pods: int, *more: str) -> list[str]:
    """Processor is asked for in plenty, so that it gives no reason to scale."""
    return ["autoscaling.enabled=true", f"autoscaling.max={pods}", "autoscaling.cpuPercent=95", "autoscaling.downAfterSeconds=0", "resources.cpu=100m",
            "monitoring.enabled=true", f"monitoring.interval={INTERVAL}", *more]


SERVICES = ["user-service", "product-service", "order-service", "api-gateway"]
SETTINGS = {
    "data": ["persistence.enabled=false"],
    "user-service": ["monitoring.enabled=true", f"monitoring.interval={INTERVAL}"],
    "product-service": scaled(PRODUCT_PODS, "resources.cpu=20m", "autoscaling.cpuPercent=60"),
    "order-service": scaled(ORDER_PODS, f"autoscaling.metric.average={ORDER_AVERAGE * 1000}m"),
    "api-gateway": scaled(GATEWAY_PODS, f"autoscaling.metric.average={GATEWAY_AVERAGE * 1000}m"),
}


@pytest.fixture(scope="module")
def shop(kubectl, tmp_path_factory) -> Shop:
    done = kubectl.run("get", "--raw", METRICS)
    assert done.returncode == 0, f"nobody serves {METRICS}: deploy/cluster/monitoring up\n{done.stdout}"
    opened = Shop(kubectl, tmp_path_factory.mktemp("shop"))
    opened.open(1, SERVICES, SETTINGS)
    asked = [service for service in SERVICES if service != "user-service"]
    kubectl.apply(*(opened.load_pod(service) for service in asked))
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/load-of-{service}" for service in asked))
    # The operator has told Prometheus of the new monitors in a Secret, which a pod sees within minutes, or when it changes.
    kubectl("--namespace", "monitoring", "annotate", "--overwrite", "pod", "prometheus-stoa-0", f"stoa.local/looks={time.time():.0f}")
    return opened


@pytest.fixture(scope="module")
def token(shop) -> str:
    return shop.buy(0)["token"]


def raw(kubectl: Kubectl, path: str) -> dict:
    """Nothing, where nobody answers yet."""
    done = kubectl.run("get", "--raw", path)
    return json.loads(done.stdout) if done.returncode == 0 else {}


def become(found: Callable[[], set], wanted: Callable[[], set], seconds: float = 180) -> None:
    with contextlib.suppress(AssertionError):
        until("they are alike", lambda: found() == wanted(), seconds)
    assert found() == wanted()


def targets(kubectl: Kubectl, service: str = "") -> list[dict]:
    """What Prometheus reads in this namespace, and how the last time went."""
    found = raw(kubectl, f"{PROMETHEUS}/targets?state=active").get("data", {"activeTargets": []})
    return [one for one in found["activeTargets"] if one["labels"]["namespace"] == kubectl.namespace and service in ("", one["labels"]["service"])]


def number(quantity: str) -> float:
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


class Scaler:
    """The autoscaler of one service, and what it says of itself."""

    def __init__(self, kubectl: Kubectl, service: str):
        self.kubectl, self.service = kubectl, service

    def status(self) -> dict:
        return self.kubectl.get("hpa", self.service)["status"]

    def measured(self, metric: str) -> float | None:
        """The average over its pods: the metric's own, or percent of the request for `cpu`."""
        for one in self.status().get("currentMetrics") or []:
            if one["type"] == "Pods" and one["pods"]["metric"]["name"] == metric:
                return number(one["pods"]["current"]["averageValue"])
            if one["type"] == "Resource" and one["resource"]["name"] == metric:
                return one["resource"]["current"].get("averageUtilization")
        return None

    def condition(self, kind: str) -> dict:
        return next((one for one in self.status().get("conditions", []) if one["type"] == kind), {"status": "", "reason": "", "message": ""})

    def ready(self) -> int:
        """Pods that serve, where the autoscaler and the deployment want no other number."""
        status, wanted = self.kubectl.get("deployment", self.service)["status"], self.status()["desiredReplicas"]
        return wanted if status.get("readyReplicas") == status.get("replicas") == wanted else 0

    def reasons(self) -> list[str]:
        select = f"involvedObject.kind=HorizontalPodAutoscaler,involvedObject.name={self.service},reason=SuccessfulRescale"
        return [one["message"] for one in self.kubectl.get("events", "--field-selector", select)["items"]]

    def total(self, metric: str) -> float:
        """Over all its pods, as the adapter tells it; the autoscaler's average leaves those out that are new."""
        mine = f"app.kubernetes.io%2Fname%3D{self.service},app.kubernetes.io%2Fcomponent%3Dservice"
        items = raw(self.kubectl, f"{METRICS}/namespaces/{self.kubectl.namespace}/pods/*/{metric}?labelSelector={mine}").get("items", [])
        return sum(number(one["value"]) for one in items)

    def told(self) -> str:
        conditions = "; ".join(f"{one['type']} {one['status']}: {one['message']}" for one in self.status().get("conditions", []))
        return f"{self.status().get('currentMetrics')}, {self.status().get('desiredReplicas')} pods wanted, {conditions}"


def until_told(scaler: Scaler, what: str, holds, seconds: float) -> float:
    """How long it took."""
    begin = time.monotonic()
    try:
        until(what, holds, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{scaler.told()}\n{scaler.reasons()}") from None
    return time.monotonic() - begin


def test_the_adapter_shows_what_its_rules_say_and_nothing_else(shop):
    """Prometheus holds a hundred other series of these pods."""
    wanted = {f"{kind}/{rule['name']['as']}" for rule in RULES for kind in ("pods", "namespaces")}
    assert len(wanted) == 4

    def shown() -> set[str]:
        return {one["name"] for one in raw(shop.kubectl, METRICS).get("resources", [])}
    become(shown, lambda: wanted)


def test_every_pod_is_read_as_its_monitor_says(shop):
    def wanted() -> set[tuple]:
        return {(one["metadata"]["name"], f"http://{one['status']['podIP']}:{GRAPH['services'][name]['port'] + 1000}/metrics", INTERVAL, "5s", "up")
                for one in shop.pods("--field-selector", "status.phase=Running") if (name := one["metadata"]["labels"]["app.kubernetes.io/name"]) in SERVICES}

    def found() -> set[tuple]:
        return {(one["labels"]["pod"], one["scrapeUrl"], one["scrapeInterval"], one["scrapeTimeout"], one["health"]) for one in targets(shop.kubectl)}
    become(found, wanted)
    assert len(found()) >= len(SERVICES)


def test_the_gateway_follows_requests_a_second(shop):
    scaler = Scaler(shop.kubectl, "api-gateway")
    until_told(scaler, "two idle pods, measured", lambda: scaler.ready() == 2 and scaler.measured(PER_SECOND) is not None, 120)
    load = Load(shop.kubectl.namespace, "load-of-api-gateway", GATEWAY_RATE, ["200=http://api-gateway:3000/api/v1/products?limit=1"], "")
    begin = time.monotonic()
    with load:
        took = until_told(scaler, f"{GATEWAY_PODS} pods are ready", lambda: scaler.ready() == GATEWAY_PODS, 180)
        until_told(scaler, "nearly all that is sent is measured", lambda: scaler.total(PER_SECOND) > 0.85 * GATEWAY_RATE, WINDOW_SECONDS + 30)
        total, processor = scaler.total(PER_SECOND), scaler.measured("cpu")
        assert scaler.ready() == GATEWAY_PODS, scaler.told()
    sent = sum(one["sent"] for one in load.targets) / (time.monotonic() - begin)
    print(f"{GATEWAY_PODS} gateways ready after {took:.0f} s; {sent:.1f} requests/s sent, {total:.1f} measured, processor {processor} % of 95")
    assert abs(total / sent - 1) < 0.2
    assert f"New size: {GATEWAY_PODS}; reason: pods metric {PER_SECOND} above target" in scaler.reasons()
    assert processor < 95 and sum(one["lost"] for one in load.targets) == 0, load.targets


class HeldOrders:
    """A slow store, and no request fails: within OPEN_SECONDS everybody is served who has waited for HELD_SECONDS."""

    def __init__(self, kubectl: Kubectl):
        self.kubectl = kubectl

    def sql(self, statement: str) -> subprocess.CompletedProcess:
        return self.kubectl.run("exec", "postgres-0", "--", "bash", "-c",
                                'PGPASSWORD=$(cat /run/secrets/postgres-password) exec psql -X -q -h 127.0.0.1 -U postgres -d orders -v ON_ERROR_STOP=1 -c "$0"',
                                statement, timeout=300)

    def __enter__(self) -> HeldOrders:
        waves = f"LOCK TABLE orders IN ACCESS EXCLUSIVE MODE; PERFORM pg_sleep({HELD_SECONDS}); COMMIT; PERFORM pg_sleep({OPEN_SECONDS});"
        self.ended: list[subprocess.CompletedProcess] = []
        statement = f"DO $$ BEGIN PERFORM set_config('application_name', 'held-orders', false); LOOP {waves} END LOOP; END $$"
        self.thread = threading.Thread(target=lambda: self.ended.append(self.sql(statement)))
        self.thread.start()
        return self

    def __exit__(self, *_) -> None:
        done = self.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'held-orders'")
        self.thread.join(30)
        assert done.returncode == 0 and not self.thread.is_alive(), done.stdout
        [held] = self.ended
        assert "terminating connection due to administrator command" in held.stdout, held.stdout


def test_order_service_follows_requests_in_flight(shop, token):
    scaler = Scaler(shop.kubectl, "order-service")
    until_told(scaler, "two idle pods, measured", lambda: scaler.ready() == 2 and scaler.measured(IN_FLIGHT) is not None, 120)
    load = Load(shop.kubectl.namespace, "load-of-order-service", ORDER_RATE, ["200=http://order-service:3003/api/v1/orders"], token)
    with HeldOrders(shop.kubectl), load:
        took = until_told(scaler, f"{ORDER_PODS} pods are ready", lambda: scaler.ready() == ORDER_PODS, 180)
        total, processor = scaler.total(IN_FLIGHT), scaler.measured("cpu")
    print(f"{ORDER_PODS} order-services ready after {took:.0f} s; {total:.1f} requests in flight, processor {processor} % of 95")
    assert total > 2 * ORDER_AVERAGE
    assert f"New size: {ORDER_PODS}; reason: pods metric {IN_FLIGHT} above target" in scaler.reasons()
    assert processor < 95 and sum(one["lost"] for one in load.targets) == 0, load.targets


def test_product_service_follows_its_processor(shop):
    """It names no metric of its own, and metrics-server knows the processor of its pods."""
    scaler = Scaler(shop.kubectl, "product-service")
    until_told(scaler, "its processor is measured", lambda: scaler.measured("cpu") is not None, 120)
    load = Load(shop.kubectl.namespace, "load-of-product-service", PRODUCT_RATE, ["200=http://product-service:3002/api/v1/products?limit=50"], "")
    with load:
        took = until_told(scaler, f"{PRODUCT_PODS} pods are ready", lambda: scaler.ready() == PRODUCT_PODS, 180)
    print(f"{PRODUCT_PODS} product-services ready after {took:.0f} s")
    assert any(reason.startswith(f"New size: {PRODUCT_PODS}; reason: cpu resource utilization") and reason.endswith("above target")
               for reason in scaler.reasons()), scaler.reasons()
    assert sum(one["lost"] for one in load.targets) == 0, load.targets


def test_pods_leave_when_the_load_is_gone(shop):
    for service, metric in (("api-gateway", PER_SECOND), ("order-service", IN_FLIGHT)):
        scaler = Scaler(shop.kubectl, service)
        until_told(scaler, f"two pods of {service}, and hardly a request", lambda s=scaler, m=metric: s.ready() == 2 and s.total(m) < 1, 200)
        assert "All metrics below target" in " ".join(scaler.reasons())


@contextlib.contextmanager
def order_service_with(shop: Shop, *settings: str):
    """For as long as the block lasts; then as it was, and scaling again."""
    shop.install("order-service", *SETTINGS["order-service"], *settings)
    try:
        yield Scaler(shop.kubectl, "order-service")
    finally:
        shop.install("order-service", *SETTINGS["order-service"])
    scaler = Scaler(shop.kubectl, "order-service")
    until_told(scaler, "it scales again", lambda: scaler.condition("ScalingActive")["status"] == "True", 120)


def inactive(scaler: Scaler, why: str, seconds: float) -> None:
    """Waits until it does not scale for want of its metric, and says so."""
    def holds() -> bool:
        condition = scaler.condition("ScalingActive")
        return (condition["status"], condition["reason"]) == ("False", "FailedGetPodsMetric") and why in condition["message"]
    until_told(scaler, f"scaling is inactive: {why}", holds, seconds)
    print(scaler.condition("ScalingActive")["message"])


def test_a_metric_that_nobody_shows_is_named(shop):
    absent = "stoa_orders_in_flight"
    with order_service_with(shop, f"autoscaling.metric.name={absent}") as scaler:
        inactive(scaler, f"could not find the metric {absent} for pods", 60)


def test_without_a_way_in_there_is_no_metric(shop):
    """The policy lets another namespace in, so nobody reads order-service; the others are read as before."""
    with order_service_with(shop, "monitoring.namespace=elsewhere") as scaler:
        # Begun again, Prometheus has neither what it read before nor connections that the policy let in.
        scaler.kubectl("--namespace", "monitoring", "delete", "pod", "prometheus-stoa-0")
        shop.kubectl("--namespace", "monitoring", "wait", "--for=create", "--timeout=60s", "pod/prometheus-stoa-0")
        shop.kubectl("--namespace", "monitoring", "wait", "--for=condition=Ready", "--timeout=60s", "pod/prometheus-stoa-0")
        until("its pods are refused", lambda: {one["health"] for one in targets(shop.kubectl, "order-service")} == {"down"})
        assert {True} == {"connection refused" in one["lastError"] for one in targets(shop.kubectl, "order-service")}
        until("the gateway is read", lambda: {one["health"] for one in targets(shop.kubectl, "api-gateway")} == {"up"})
        inactive(scaler, f"unable to get metric {IN_FLIGHT}: no metrics returned", 60)
        gateway = Scaler(shop.kubectl, "api-gateway")
        until_told(gateway, "the gateway scales", lambda: gateway.condition("ScalingActive")["status"] == "True", 60)
