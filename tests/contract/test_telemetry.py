"""What the running services show and say is what contracts/telemetry promises."""

from __future__ import annotations

import json
import pathlib
import re

import httpx
import pytest
import yaml

from tests.shop import eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
HELM = CHECKOUT / "deploy/helm"
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


def followed() -> dict[str, str]:
    """The series behind the metric that each service's autoscaler follows."""
    rules = yaml.safe_load((HELM / "metrics-adapter.yaml").read_text())["rules"]
    series = {rule["name"]["as"]: rule["seriesQuery"].split("{")[0] for rule in rules}
    values = {service: yaml.safe_load((HELM / f"values/{service}.yaml").read_text()) for service in SERVICES}
    return {service: series[told["autoscaling"]["metric"]["name"]] for service, told in values.items() if "autoscaling" in told}


def test_what_autoscalers_follow_is_shown(stack, journey) -> None:
    """Beyond zero where it counts: a name that is shown and never moves would scale nothing."""
    assert len(followed()) >= 2
    for service, series in followed().items():
        shown = [float(value) for value in re.findall(rf"^{series}(?:\{{[^}}]*\}})? (\S+)$", metrics_of(stack, service), re.MULTILINE)]
        assert shown, f"{service} does not show {series}"
        assert sum(shown) > 0 or not series.endswith("_total"), f"{series} of {service} stays 0"


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

    def spans() -> list[dict]:
        return httpx.get(f"{otlp_sink}/spans").json()["spans"]
    told = eventually(spans, within=10, what="the first spans")
    assert {name for span in told for name in span["attributes"]} - known == set()
