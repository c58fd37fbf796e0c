"""What a product that is read through the gateway costs there and in product-service: allocations and system calls."""

from __future__ import annotations

import pathlib

import pytest

from tests.counts.allocations import Count, by_place
from tests.counts.hot_path import TRACES, Wire, wait_until_asleep
from tests.counts.system_calls import Call, Trace

WARM_UP = 60  # until every buffer has its size
REQUESTS = 120
QUICKER_SHARE = 5  # one in five is not slowed by what else the machine does
RECORDED = 10  # requests of which it is shown who allocated
HOT_PATH = ("api-gateway", "product-service")


@pytest.fixture(scope="module")
def product_path(shop, staff) -> str:
    variant = shop.stock_product(staff, stock=5)
    listed = shop.http.get("/api/v1/products", params={"limit": 20}).json()["data"]
    [product] = [product["id"] for product in listed if variant in [one["id"] for one in product["variants"]]]
    return f"/api/v1/products/{product}"


@pytest.fixture
def pids(stack) -> dict[str, int]:
    return {service: stack.part(service).process.pid for service in HOT_PATH}


def read(wire: Wire, path: str, trace: str) -> None:
    head, _ = wire.ask("GET", path, {"traceparent": TRACES[trace]})
    assert head.startswith(b"HTTP/1.1 200 "), head


def allocations_of(wire: Wire, path: str, trace: str, counters, pids) -> dict[str, list[Count]]:
    """Of each request, by service."""
    found: dict[str, list[Count]] = {service: [] for service in pids}
    before = {service: counters[service].of_thread(pid) for service, pid in pids.items()}
    for _ in range(REQUESTS):
        read(wire, path, trace)
        wait_until_asleep(*pids.values())
        for service, pid in pids.items():
            after = counters[service].of_thread(pid)
            found[service].append(after - before[service])
            before[service] = after
    return found


def test_allocations_of_a_product_read(stack, product_path, counters, pids, ceilings) -> None:
    counted: dict[str, int] = {}
    places: dict[str, str] = {}
    with Wire(stack.url("api-gateway")) as wire:
        for trace in TRACES:
            for _ in range(WARM_UP):
                read(wire, product_path, trace)
            for service, each in allocations_of(wire, product_path, trace, counters, pids).items():
                counted[f"{service}, {trace}"] = min(one.allocations for one in each)
            for service, pid in pids.items():
                wait_until_asleep(*pids.values())
                counters[service].record(pid)
                for _ in range(RECORDED):
                    read(wire, product_path, trace)
                wait_until_asleep(*pids.values())
                places[f"{service}, {trace}"] = by_place(pid, counters[service].recorded(), RECORDED)
    assert all(count > 0 for count in counted.values()), f"a counter that counts nothing proves nothing: {counted}"
    ceilings.judge("allocations_per_product_read", counted, places.__getitem__)


def test_system_calls_of_a_product_read(stack, product_path, pids, ceilings, tmp_path: pathlib.Path) -> None:
    counted: dict[str, int] = {}
    calls: dict[str, str] = {}
    with Wire(stack.url("api-gateway")) as wire:
        for _ in range(WARM_UP):
            read(wire, product_path, "untraced")
        for service, pid in pids.items():
            trace = Trace(pid, tmp_path / service)
            with trace:
                for _ in range(REQUESTS):
                    read(wire, product_path, "untraced")
                    wait_until_asleep(*pids.values())
            requests = trace.requests(f'"GET {product_path} ')
            assert len(requests) == REQUESTS - 1, f"{service}: {len(requests)} of {REQUESTS - 1} requests seen"
            counted[service] = sorted(len(request) for request in requests)[len(requests) // QUICKER_SHARE]
            calls[service] = shown(requests, counted[service])
    ceilings.judge("system_calls_per_product_read", counted, calls.__getitem__)


def shown(requests: list[list[Call]], count: int) -> str:
    """The calls of one that had that number, in their order."""
    one = next((request for request in requests if len(request) == count), requests[0])
    return "\n".join(call.text[:150] for call in one)
