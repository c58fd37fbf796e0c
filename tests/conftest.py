"""The stacks that the suites across services run against.

`STOA_STACK_STATE` names a running stack's state file; without it each session starts its own with
tools/stack and takes it down again. `STOA_TEST_REPLICAS` (default 1) is the number of replicas,
`STOA_TEST_PRESET` (debug) the build, `STOA_TEST_SANITIZER_LOG` where its sanitizer reports.
"""

from __future__ import annotations

import functools
import os
import pathlib
import socket
import subprocess
import sys

import httpx
import pytest

from tests.judge import violations
from tests.shop import Shop, eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT / "tools"))

import sanitizers  # noqa: E402  (tools, found by the line above)
from stack import Stack  # noqa: E402

# What a suite of many buyers from one address needs; the limiter itself stays on.
GENEROUS_LIMITS = {
    f"STOA_LIMIT_{what}_PER_MINUTE": "100000000" for what in ("ADDRESS", "USER", "AUTH", "ORDERS", "IMPORTS")
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def otlp_sink():
    """Receives the spans of every service."""
    port = free_port()
    sink = subprocess.Popen([str(CHECKOUT / "tools/otlp-sink/otlp-sink"), "--port", str(port)])
    url = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{url}/spans").status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(answers, within=10, what="the OTLP sink")
        yield url
    finally:
        sink.terminate()
        sink.wait(10)


@pytest.fixture(scope="session")
def stack(otlp_sink):
    """Profile `test`: functional tests only."""
    replicas = int(os.environ.get("STOA_TEST_REPLICAS", "1"))
    environment = {"*": {"STOA_OTLP_URL": otlp_sink}, "api-gateway": GENEROUS_LIMITS}
    if log := os.environ.get("STOA_TEST_SANITIZER_LOG"):
        environment["*"] |= sanitizers.options(pathlib.Path(log))
    preset = os.environ.get("STOA_TEST_PRESET", "debug")
    with Stack(profile="test", replicas=replicas, preset=preset, environment=environment) as running:
        yield running


@pytest.fixture(scope="session")
def shop(stack) -> Shop:
    return Shop(stack.url("api-gateway"), stack.url("mail-sink"))


@pytest.fixture(scope="session")
def staff(shop):
    return shop.staff()


@pytest.fixture
def spans(otlp_sink):
    def of_trace(trace_id: str) -> list[dict]:
        return httpx.get(f"{otlp_sink}/spans", params={"trace_id": trace_id}).json()["spans"]

    return of_trace


@pytest.fixture(scope="module")
def proof_stack():
    """Production settings on disk, short deadlines: the only kind of stack a durability claim may rest on."""
    replicas = int(os.environ.get("STOA_TEST_REPLICAS", "1"))
    with Stack(profile="proof", replicas=replicas) as running:
        yield running


@pytest.fixture(scope="module")
def proof_shop(proof_stack) -> Shop:
    return Shop(proof_stack.url("api-gateway"), proof_stack.url("mail-sink"))


@pytest.fixture
def audit(proof_stack):
    """What tools/audit finds at rest."""
    return functools.partial(violations, proof_stack)
