"""One stack for all counts: every statement passes a tap, every allocation of the hot path is counted.

`--list` prints everything that was counted and of what it is made: `make counts`.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Iterator

import pytest

from tests.conftest import GENEROUS_LIMITS, Stack
from tests.counts.allocations import Counter
from tests.counts.ceilings import Ceilings
from tests.counts.statements import Tap
from stack.services import SERVICES_WITH_DATABASE

HOT_PATH = ("api-gateway", "product-service")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--list", action="store_true", help="print what was counted, and of what it is made")


_ceilings = Ceilings()


@pytest.fixture(scope="session")
def ceilings() -> Ceilings:
    return _ceilings


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--list"):
        terminalreporter.write_line("\n" + "\n".join(_ceilings.lines))


@pytest.fixture(scope="session")
def counters() -> Iterator[dict[str, Counter]]:
    """By service; each counts from its service's start on."""
    with tempfile.TemporaryDirectory(prefix="stoa-counts-") as folder:
        pathlib.Path(folder).chmod(0o711)
        yield {service: Counter(pathlib.Path(folder, service)) for service in HOT_PATH}


@pytest.fixture(scope="session")
def tap() -> Iterator[Tap]:
    with Tap() as tap:
        yield tap


@pytest.fixture(scope="session")
def stack(tap: Tap, counters: dict[str, Counter], otlp_sink: str) -> Iterator[Stack]:
    environment = {
        service: {"STOA_DATABASE_DSN": f"host=127.0.0.1 port={tap.port} dbname={database} user={service}"}
        for service, database in SERVICES_WITH_DATABASE.items()
    }
    for service, counter in counters.items():
        environment[service] = environment.get(service, {}) | counter.environment()
    environment["api-gateway"] |= GENEROUS_LIMITS
    # What production runs with; which requests are traced, a test says by the trace that it names.
    environment["*"] = {"STOA_TRACE_RATIO": "0.05", "STOA_OTLP_URL": otlp_sink}
    running = Stack(profile="test", preset=os.environ.get("STOA_TEST_PRESET", "debug"), environment=environment)
    tap.server_port = lambda: running.part("postgres").port
    with running:
        yield running
