"""What the services really publish is what contracts/events promises."""

from __future__ import annotations

import json
import pathlib

import jsonschema
import pytest

from tests.broker import channel_of
from tests.shop import eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
ENVELOPE = {
    "specversion": str, "id": str, "source": str, "type": str, "time": str, "subject": str,
    "dataschema": str, "datacontenttype": str, "traceparent": str, "aggregateversion": int, "data": dict,
}  # fmt: skip


def schema_of(routing_key: str) -> dict:
    return json.loads((CHECKOUT / "contracts/events" / f"{routing_key}.json").read_text())


@pytest.fixture(scope="module")
def listener(stack):
    """A queue of our own that hears every fact."""
    heard: list[tuple[str, dict]] = []
    with channel_of(stack) as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "stoa.events", "#")

        def hear() -> list[tuple[str, dict]]:
            while True:
                method, _, body = channel.basic_get(queue, auto_ack=True)
                if method is None:
                    return heard
                heard.append((method.routing_key, json.loads(body)))

        yield hear


def test_a_journey_publishes_only_what_the_schemas_allow(listener, shop, staff) -> None:
    variant = shop.stock_product(staff, stock=3)
    buyer = shop.sign_up()
    paid = buyer.order([(variant, 1)]).json()
    declined = buyer.order([(variant, 1)], token="tok_declined").json()
    buyer.wait_for(paid["id"], "paid")
    buyer.wait_for(declined["id"], "payment_failed")
    buyer.http.post(f"/api/v1/orders/{paid['id']}/cancel")
    buyer.wait_for(paid["id"], "cancelled")
    buyer.http.delete("/api/v1/users/me")

    expected = {
        "user.registered", "user.deleted", "product.updated", "order.placed", "order.paid", "order.payment_failed",
        "order.cancel_requested", "order.cancelled", "payment.captured", "payment.declined", "payment.refunded",
    }  # fmt: skip
    eventually(lambda: expected <= {key for key, _ in listener()}, within=20, what=f"all of {sorted(expected)}")
    for key, event in listener():
        assert event["type"] == f"{key}.v1"
        assert event["id"].startswith("evt_")
        for member, kind in ENVELOPE.items():
            assert isinstance(event.get(member), kind), f"{key}: {member} is {event.get(member)!r}"
        jsonschema.validate(event["data"], schema_of(key))
        assert buyer.email not in json.dumps(event), f"{key} carries an e-mail address"


def test_the_examples_in_the_contracts_fit_their_schemas() -> None:
    files = sorted((CHECKOUT / "contracts/events").glob("*.json"))
    assert len(files) >= 14, [f.name for f in files]
    for file in files:
        schema = json.loads(file.read_text())
        assert schema.get("examples"), f"{file.name} has no example"
        for example in schema["examples"]:
            jsonschema.validate(example, schema)


def test_a_schema_refuses_what_it_does_not_name() -> None:
    schema = schema_of("order.placed")
    broken = dict(schema["examples"][0]) | {"order_id": 7}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)
