"""Messages that cannot be done, in every queue: each ends among the dead letters with its reason, and the rest passes by."""

from __future__ import annotations

import json
import pathlib
import uuid

import pika
import yaml

from tests.broker import channel_of
from tests.shop import eventually

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
TOPOLOGY = CHECKOUT / "contracts/events/topology.yaml"
REASON = "x-stoa-reason"
# Three retries (0.5, 2 and 8 s) and a batch done one by one, on a machine that does much else.
DEAD_SECONDS_MAX = 90


def queues() -> dict[str, str]:
    """Queue → a routing key that leads there."""
    services = yaml.safe_load(TOPOLOGY.read_text())["services"]
    return {
        f"{service}.{purpose}": keys[0] for service, parts in services.items() for purpose, keys in parts.get("queues", {}).items()
    }


def envelope(key: str, **changes: object) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": f"evt_{uuid.uuid4().hex[:26]}",
        "source": "order-service",
        "type": f"{key}.v1",
        "time": "2026-01-01T00:00:00.000Z",
        "subject": "ord_01jd0000000000000000000000",
        "datacontenttype": "application/json",
        "aggregateversion": 1,
        "data": {},
    } | changes


def poisons(key: str) -> dict[str, bytes]:
    def whole(**changes: object) -> bytes:
        return json.dumps(envelope(key, **changes)).encode()

    good = whole().decode()
    return {
        "empty": b"",
        "not UTF-8": b"\xff\xfe\x00",
        "cut": good[:-1].encode(),
        "a bomb of arrays": b"[" * 100_000,
        "a bomb inside": whole().replace(b'"data": {}', b'"data": ' + b"[" * 5_000 + b"]" * 5_000),
        "a list": b"[]",
        "a member twice": good.replace("{", '{"id": "evt_x", ', 1).encode(),
        "an unknown version": whole(type=f"{key}.v999"),
        "an unknown type": whole(type="root.exec.v1"),
        "an id of nobody's": whole(id="'; DROP TABLE inbox; --"),
        "a subject with NUL": good.replace("ord_01", "ord\\u0000").encode(),
        "a version of the far future": whole(aggregateversion=10**30),
        "no data": whole(data=None),
        "data of another type": whole(data={"order_id": -1, "amount": {"amount": -(2**63), "currency": "\u0000"}, "user_id": []}),
        "a mebibyte": whole(data={"reservation_id": "A" * 1024 * 1024}),
    }


def put(stack) -> dict[str, int]:
    """Queue → messages put there, past the exchange."""
    with channel_of(stack) as channel:
        channel.confirm_delivery()
        for queue, key in queues().items():
            for body in poisons(key).values():
                channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2), mandatory=True)
    return {queue: len(poisons(key)) for queue, key in queues().items()}


def buried(stack, sent: dict[str, int]) -> list[str]:
    """Waits until all are dead letters, and takes them away: explained. Says what is wrong."""
    found = []
    with channel_of(stack) as channel:

        def dead(queue: str) -> int:
            return channel.queue_declare(f"{queue}.dead", passive=True).method.message_count

        for queue, count in sent.items():
            try:
                eventually(lambda q=queue, n=count: dead(q) >= n, within=DEAD_SECONDS_MAX, what=f"{count} dead letters of {queue}")
            except AssertionError:
                found.append(f"{queue}: {dead(queue)} of {count} poison messages are dead letters after {DEAD_SECONDS_MAX} s")
            while True:
                method, properties, body = channel.basic_get(f"{queue}.dead", auto_ack=True)
                if method is None:
                    break
                if not (properties.headers or {}).get(REASON):
                    found.append(f"{queue}: a dead letter without a reason: {body[:60]!r}")
            if left := channel.queue_declare(queue, passive=True).method.message_count:
                found.append(f"{queue}: {left} messages still wait")
    return found
