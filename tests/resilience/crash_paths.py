"""The order in which a path passes its points: neighbours are what two ends at once are tried with."""

from __future__ import annotations

from tests.resilience.crash import BY_COMMAND, Place, points, services_of


def around(*names: str, of: str = "commit") -> list[str]:
    return [f"{name}.{when}_{of}" for name in names for when in ("before", "after")]


RELAY = ["outbox.before_publish", "outbox.after_publish", "outbox.after_confirm", "outbox.before_delete", "outbox.after_delete"]
ACK = ["consumer.before_ack", "consumer.after_ack"]
PATHS = {
    "an order": [
        "order.reserve.before_call", *around("product.reserve"), "order.reserve.after_call", *around("order.place"),
        *RELAY, *around("payment.open"), *ACK, *around("payment.charge", of="call"), *around("payment.end"),
        *around("order.apply"), *ACK, *around("product.settle"), "product.settle.before_ack", *ACK,
        *around("notification.accept"), *around("notification.mail", of="send"), *around("notification.sent"),
    ],
    "a refusal after reserving": [
        *around("order.abandon"), "order.release.before_call", *around("product.release"), "order.release.after_call",
    ],
    "a cancel of a paid order": [
        *around("order.cancel"), *around("payment.close"), *around("payment.refund", of="call"), *around("payment.refund"),
        *around("order.apply"),
    ],
    "a cancel before the money": [
        *around("order.cancel"), *around("payment.close"), *around("payment.void_charge", of="call"), *around("payment.end_closed"),
        *around("order.apply"),
    ],
    "a charge without an answer": [
        *around("payment.charge", of="call"), *around("payment.postpone"), *around("payment.ask_charge", of="call"),
        *around("payment.webhook"), *around("payment.webhook_effect"), *around("payment.end"),
    ],
    "a refund": [
        *around("payment.refund_request"), *around("payment.refund", of="call"), *around("payment.postpone_refund"),
        *around("payment.ask_refund", of="call"), *around("payment.refund"),
    ],
    "an import": [*around(*(f"product.import{step}" for step in ("_begin", "_chunk", "_queue", "", "_end"))), *RELAY],
    "a sweep of orders": [*around("order.sweep", of="claim"), *around("order.repeat_cancel")],
    "a sweep of reservations": ["product.sweep.after_answer", *around("product.release")],
    "a fact that cannot be done": ["consumer.before_reroute_confirm"],
}  # fmt: skip


def neighbours() -> list[tuple[Place, Place]]:
    """Each two that follow each other on a path, once; a point of the kit in the service beside it."""
    found: dict[tuple[Place, Place], None] = {}
    for path in PATHS.values():
        placed: list[Place] = []
        for point in path:
            services = services_of(point)
            last = placed[-1].service if placed else ""
            placed.append(Place(point, last if last in services else services[0]))
        found |= dict.fromkeys(zip(placed, placed[1:]))
    return list(found)


def missing() -> list[str]:
    """Points of the sources that no path passes, and names that no source has."""
    known = {point for point in points() if not point.startswith(BY_COMMAND)}
    return sorted(known ^ {point for path in PATHS.values() for point in path})
