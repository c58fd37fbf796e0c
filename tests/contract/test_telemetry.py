"""What the running services show and say is what contracts/telemetry promises."""

from __future__ import annotations

import json
import pathlib
import re

import httpx
import pytest
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
SERVICES = ["api-gateway", "user-service", "product-service", "order-service", "payment-service", "notification-service"]
TYPE_LINE = re.compile(r"^# TYPE (\w+) (\w+)$", re.MULTILINE)
SAMPLE = re.compile(r"^(\w+)\{([^}]*)\}", re.MULTILINE)
LABEL = re.compile(r'(\w+)="')
HISTOGRAM_PART = re.compile(r"_(bucket|sum|count)$")


def promised(name: str) -> dict:
    return yaml.safe_load((CHECKOUT / "contracts/telemetry" / f"{name}.yaml").read_text())


@pytest.fixture(scope="module")
def journey(shop, staff):
    """Enough has happened that every service has something to tell."""
    variant = shop.stock_product(staff, stock=3)
    buyer = shop.sign_up()
    paid = buyer.order([(variant, 1)]).json()
    buyer.wait_for(paid["id"], "paid")


def metrics_of(stack, service: str) -> str:
    return httpx.get(f"{stack.admin_url(service)}/metrics").raise_for_status().text


@pytest.mark.parametrize("service", SERVICES)
def test_metrics_and_their_labels_are_promised(stack, journey, service) -> None:
    known, text = promised("metrics"), metrics_of(stack, service)
    shown = dict(TYPE_LINE.findall(text))
    assert shown.keys() - known.keys() == set()
    assert {name: kind for name, kind in shown.items() if known[name]["type"] != kind} == {}
    for name, labels in SAMPLE.findall(text):
        metric = name if name in known else HISTOGRAM_PART.sub("", name)
        assert set(LABEL.findall(labels)) <= {*known[metric]["labels"], "le"}, name


@pytest.mark.parametrize("service", SERVICES)
def test_every_log_line_is_json_of_promised_fields(stack, journey, service) -> None:
    known = promised("log-fields")
    lines = [line for line in stack.logs(service, lines=500).splitlines() if line.strip()]
    assert lines
    for line in lines:
        entry = json.loads(line)
        assert {"ts", "level", "event", "service"} - entry.keys() == set(), line
        assert entry.keys() - known.keys() == set(), line
        assert entry["service"] == service
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["ts"])


def test_span_attributes_are_promised(otlp_sink, journey) -> None:
    known = {name for span in promised("spans").values() for name in span.get("attributes", [])}
    spans = httpx.get(f"{otlp_sink}/spans").json()["spans"]
    assert spans
    assert {name for span in spans for name in span["attributes"]} - known == set()
