"""Two versions side by side on the schema of the newer one, and back: what a roll-out and a rollback do to customers.

The next version of order-service and product-service (tests/cluster/next) has a migration more, writes the column that it adds and
calls itself another version; payment-service's renames a column, which no release may do. Each step runs under load and while
customers buy. Which version placed an order is asked of the database, which version answers of the pods.
"""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import re
import threading
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import until
from tests.cluster.shop import INSTALL_SECONDS, REGISTRY, Load, Shop, run
from tests.cluster.test_shop import DIRECT, THROUGH_THE_GATEWAY
from tests.deploy.charts import GRAPH, tool
from tests.deploy.checked import CHECKOUT

CHANGED = {"order-service": "orders", "product-service": "products"}
CONTRACTED = "payment-service"
NEXT = "next"
BUYERS = 2
ORDERS_MIN = 5  # by each version, in each step that it serves
ANSWERS_MIN = 50  # by each pod, while both versions serve
REQUESTS_MIN = 10_000  # in all steps
STEP_SECONDS = 180
AVAILABLE_SECONDS = 30
PLACED = "SELECT placed_by, count(*) FROM orders GROUP BY 1"
RESERVED = "SELECT coalesce(reserved_by, 'before'), count(*) FROM reservations GROUP BY 1"


@dataclasses.dataclass
class Pod:
    name: str
    version: str
    answers: int


class Versions:
    """The shop, and what its versions are doing."""

    def __init__(self, shop: Shop):
        self.shop, self.kubectl = shop, shop.kubectl
        self.next = os.environ["STOA_NEXT_TAG"]
        self.before = {service: self.schema(database) for service, database in CHANGED.items()}
        self.sent = self.lost = 0

    def rows(self, database: str, sql: str) -> list[str]:
        ask = 'PGPASSWORD=$(cat /run/secrets/postgres-password) exec psql -X -A -t -F " " -h 127.0.0.1 -U postgres -d "$0" -c "$1"'
        return self.kubectl("exec", "postgres-0", "--", "bash", "-c", ask, database, sql).splitlines()

    def schema(self, database: str) -> int:
        [number] = self.rows(database, "SELECT max(number) FROM schema_migrations WHERE set_name = 'service'")
        return int(number)

    def schemas(self) -> dict[str, int]:
        return {service: self.schema(database) for service, database in CHANGED.items()}

    def counts(self) -> dict[str, collections.Counter]:
        """Orders and reservations by the version that wrote them."""
        asked = {"orders": PLACED, "products": RESERVED}
        return {database: collections.Counter({who: int(count) for who, count in (row.split() for row in self.rows(database, sql))}) for database, sql in asked.items()}

    def there(self, service: str) -> dict[str, dict]:
        return {pod["metadata"]["name"]: pod for pod in self.shop.pods() if pod["metadata"]["labels"]["app.kubernetes.io/name"] == service}

    def pods(self, service: str) -> list[Pod]:
        """The ready ones, by what each says of itself: its version, and how much it has answered."""
        port = GRAPH["services"][service]["port"] + 1000
        found = []
        for name, one in self.there(service).items():
            state = {condition["type"]: condition["status"] for condition in one["status"].get("conditions", [])}
            if one["metadata"].get("deletionTimestamp") or state.get("Ready") != "True":
                continue
            told = self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.kubectl.namespace}/pods/{name}:{port}/proxy/metrics")
            version = re.search(r'^stoa_build_info\{.*version="([^"]*)"', told, re.MULTILINE)[1]
            answers = re.findall(r"^stoa_http_server_requests_total\{.*\} (\S+)$", told, re.MULTILINE)
            found.append(Pod(name, version, int(sum(map(float, answers)))))
        return found

    def serving(self) -> dict[str, list[str]]:
        return {service: sorted(NEXT if pod.version == NEXT else "before" for pod in self.pods(service)) for service in CHANGED}

    def upgrade(self, tag: str, wait: bool = True) -> None:
        for service in CHANGED:
            self.shop.install(service, "replicas=2", tag=tag, wait=wait)

    def rollout(self, word: str, *services: str) -> None:
        self.kubectl("rollout", word, *(f"deployment/{service}" for service in services or CHANGED))

    def one_new_pod_each(self, *services: str) -> None:
        """The roll-out goes on until each has its first new pod, and stands still there: that pod is Ready, and asked, before it counts
        as available, so that no pod of before leaves meanwhile."""
        for service in services:
            before = set(self.there(service))
            self.available_after(service, AVAILABLE_SECONDS)
            self.rollout("resume", service)
            until(f"{service} has a new pod", lambda service=service, before=before: set(self.there(service)) - before)
            self.rollout("pause", service)
            self.available_after(service, 0)

    def available_after(self, service: str, seconds: int) -> None:
        self.kubectl("patch", "deployment", service, "--patch", json.dumps({"spec": {"minReadySeconds": seconds}}))

    def migration(self, service: str) -> dict:
        return self.kubectl.get("job", f"{service}-migrate")

    def migrated(self, service: str) -> dict:
        """What the last migration said at its end."""
        lines = [json.loads(line) for line in self.kubectl("logs", f"job/{service}-migrate").splitlines() if line.startswith("{")]
        [said] = [line for line in lines if line["event"] == "migrated"]
        return said

    def keep_buying(self, enough: threading.Event) -> list[dict]:
        bought = []
        while not enough.is_set():
            bought.append(self.shop.buy(5))
        return bought

    def placed_since(self, begun: collections.Counter) -> collections.Counter:
        for buyer in self.buying:
            if buyer.done():
                buyer.result()  # it ends of itself by a failure alone
        return self.counts()["orders"] - begun

    @contextlib.contextmanager
    def under_load(self, placing: str | None = None) -> Iterator[None]:
        """Requests and purchases for as long as the block lasts, and then until `placing` has placed enough: none is lost, all are
        paid and mailed."""
        first, begun = self.shop.buy(1), self.counts()["orders"] if placing else None
        through = [target.format(order=first["orders"][0]["id"]) for target in THROUGH_THE_GATEWAY]
        loads = [Load(self.kubectl.namespace, "load-of-api-gateway", 10, through, first["token"]),
                 *(Load(self.kubectl.namespace, f"load-of-{service}", 15, [DIRECT[service]], "") for service in CHANGED)]
        enough = threading.Event()
        with contextlib.ExitStack() as running, concurrent.futures.ThreadPoolExecutor(BUYERS) as buyers:
            for load in loads:
                running.enter_context(load)
            buying = [buyers.submit(self.keep_buying, enough) for _ in range(BUYERS)]
            self.buying = buying
            try:
                yield
                if placing:
                    until(f"{placing} places orders", lambda: self.placed_since(begun)[placing] >= ORDERS_MIN, STEP_SECONDS)
            finally:
                enough.set()
        bought = [first, *(one for buyer in buying for one in buyer.result())]
        became = [target for load in loads for target in load.targets]
        sent, lost = sum(target["sent"] for target in became), sum(target["lost"] for target in became)
        orders = [order["status"] for one in bought for order in one["orders"]]
        self.sent, self.lost = self.sent + sent, self.lost + lost
        print(f"{lost} of {sent} requests lost, {len(orders)} orders; {[target for target in became if target['lost']]}")
        assert lost == 0 and orders == ["paid"] * len(orders)
        for one in bought:
            self.shop.mailed(one)


@pytest.fixture(scope="module")
def versions(kubectl, tmp_path_factory) -> Versions:
    assert os.environ.get("STOA_SHOP_TAG") and os.environ.get("STOA_NEXT_TAG"), "no images: run tests/cluster/run"
    shop = Shop(kubectl, tmp_path_factory.mktemp("shop"))
    shop.open(replicas=1)
    for service in (*CHANGED, CONTRACTED):
        shop.install(service, "replicas=2")
    asking = ("api-gateway", *CHANGED)
    kubectl.apply(*(shop.load_pod(service) for service in asking))
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", *(f"pod/load-of-{service}" for service in asking))
    return Versions(shop)


def test_the_version_before_serves_on_its_schema(versions):
    assert versions.serving() == dict.fromkeys(CHANGED, ["before"] * 2)
    assert versions.before == {service: len(list((CHECKOUT / "services" / service / "migrations").glob("*.sql"))) for service in CHANGED}


def test_the_schema_comes_first_and_the_version_before_serves_on_it(versions):
    versions.rollout("pause")
    with versions.under_load():
        versions.upgrade(versions.next, wait=False)
        begun = versions.counts()["orders"]
        until("the version before places orders on the next schema", lambda: versions.placed_since(begun)["before"] >= ORDERS_MIN, STEP_SECONDS)
    for service in CHANGED:
        job = versions.migration(service)
        assert job["spec"]["template"]["spec"]["containers"][0]["image"] == f"{REGISTRY}/{service}:{versions.next}" and job["status"]["succeeded"] == 1
    assert versions.schemas() == {service: number + 1 for service, number in versions.before.items()}
    assert versions.serving() == dict.fromkeys(CHANGED, ["before"] * 2)


def test_both_versions_serve_at_the_same_time(versions):
    with versions.under_load():
        versions.one_new_pod_each(*CHANGED)
        both = dict.fromkeys(CHANGED, ["before"] * 2 + [NEXT])
        until("both versions serve", lambda: versions.serving() == both, STEP_SECONDS)
        rows, pods = versions.counts(), {pod.name: pod for service in CHANGED for pod in versions.pods(service)}

        def by_both() -> bool:
            written = {"orders": versions.placed_since(rows["orders"]), "products": versions.counts()["products"] - rows["products"]}
            answered = [pod.answers - pods[pod.name].answers for service in CHANGED for pod in versions.pods(service)]
            return min(answered) >= ANSWERS_MIN and all(counts[who] >= ORDERS_MIN for counts in written.values() for who in ("before", NEXT))
        until("both versions have placed orders and reserved stock", by_both, STEP_SECONDS)
        print({database: dict(counts - rows[database]) for database, counts in versions.counts().items()},
              [f"{pod.name} {pod.version}: {pod.answers - pods[pod.name].answers}" for service in CHANGED for pod in versions.pods(service)])
        assert versions.serving() == both


def test_the_roll_out_ends(versions):
    with versions.under_load(placing=NEXT):
        versions.rollout("resume")
        versions.shop.renewed()
        assert versions.serving() == dict.fromkeys(CHANGED, [NEXT] * 2)


def test_helm_goes_back_to_the_version_before_on_the_next_schema(versions):
    jobs = {service: versions.migration(service)["metadata"]["uid"] for service in CHANGED}
    with versions.under_load(placing="before"):
        for service in CHANGED:
            run(tool("helm"), "--namespace", versions.kubectl.namespace, "rollback", service, "--wait", "--timeout", f"{INSTALL_SECONDS}s")
        versions.shop.renewed()
        assert versions.serving() == dict.fromkeys(CHANGED, ["before"] * 2)
    assert {service: versions.migration(service)["metadata"]["uid"] for service in CHANGED} == jobs, "a migration ran"
    assert versions.schemas() == {service: number + 1 for service, number in versions.before.items()}


def test_so_does_git_whose_migration_finds_a_schema_ahead_of_it(versions):
    """What a commit that names the digests of before does: the chart with the old image, its Job included."""
    with versions.under_load(placing="before"):
        versions.upgrade(versions.next)
        assert versions.serving() == dict.fromkeys(CHANGED, [NEXT] * 2)
        versions.upgrade(versions.shop.tag)
        versions.shop.renewed()
        assert versions.serving() == dict.fromkeys(CHANGED, ["before"] * 2)
    for service, number in versions.before.items():
        assert versions.migration(service)["status"]["succeeded"] == 1
        said = versions.migrated(service)
        assert (said["schema"], said["needed"]) == (number + 1, number)
    assert versions.schemas() == {service: number + 1 for service, number in versions.before.items()}


def test_over_all_no_request_was_lost(versions):
    print(f"{versions.lost} of {versions.sent} requests lost over all")
    assert versions.sent >= REQUESTS_MIN and versions.lost == 0


def test_a_step_that_renames_what_the_version_before_reads_is_seen_at_once(versions):
    """What those above would see. The last of this file: payments fail until the roll-out ends, and so the step cannot be undone."""
    bought = versions.shop.buy(1)
    load = Load(versions.kubectl.namespace, "load-of-api-gateway", 10, [THROUGH_THE_GATEWAY[-1].format(order=bought["orders"][0]["id"])], bought["token"])
    before = set(versions.there(CONTRACTED))
    versions.rollout("pause", CONTRACTED)
    with load:
        versions.shop.install(CONTRACTED, "replicas=2", tag=versions.next, wait=False)
        versions.one_new_pod_each(CONTRACTED)
        until("the new pod serves", lambda: NEXT in [pod.version for pod in versions.pods(CONTRACTED)], STEP_SECONDS)
    [target] = load.targets
    print(f"{target['lost']} of {target['sent']} lost, {target['causes'][:2]}")
    assert target["lost"] > 0
    # One of them at least: a gateway that keeps its connection has asked no other in these seconds.
    failed = [json.loads(line)["detail"] for name in before for line in versions.kubectl("logs", name).splitlines() if '"http_handler_failed"' in line]
    assert "decline_reason" in " ".join(failed), failed[:3]
    versions.rollout("resume", CONTRACTED)
    versions.shop.renewed()
    [order] = versions.shop.buy(1)["orders"]
    assert order["status"] == "paid", "the version itself is right: it was the order of the steps"
