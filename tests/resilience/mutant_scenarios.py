"""Which play is driven for which mutant, and what the mutant switches off, in words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from tests.resilience import mutant_plays as plays
from tests.resilience.mutant_plays import Play


@dataclasses.dataclass(frozen=True)
class Scenario:
    """`defence`: what the mutant switches off, in words. `heals`: seconds for which something may wait after
    the play, where they are more than usual."""

    defence: str
    service: str
    drive: Callable[[Play], None]
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    heals: float = 0.0
    short: bool = False  # one of the few that `make test` tries


ORDER, PAYMENT, PRODUCT, MAIL = "order-service", "payment-service", "product-service", "notification-service"


def crash_at(point: str) -> dict[str, str]:
    return {"STOA_CRASH_AT": point}


SCENARIOS = {
    "consumer.ack_before_commit": Scenario(
        "a message is acknowledged after its effect is committed",
        MAIL, plays.crash_while_buying, crash_at("notification.accept.before_commit"), short=True,
    ),
    "notification.lease_off": Scenario(
        "a mail is claimed by one sender until its lease ends", MAIL, plays.mail_slowly
    ),
    "notification.message_id_per_try": Scenario(
        "a mail that is sent again has its first Message-ID",
        MAIL, plays.crash_after_mailing, crash_at("notification.mail.after_send"), heals=30,
    ),
    "order.foreign_order_shown": Scenario(
        "an order is shown to its customer alone", ORDER, plays.ask_for_the_order_of_another
    ),
    "order.inbox_off": Scenario("an event is claimed in the inbox by its effect", ORDER, plays.deliver_a_payment_twice, short=True),
    "order.key_apart": Scenario(
        "the idempotency key is stored in the transaction of the order",
        ORDER, plays.repeat_the_key_after_a_crash, crash_at("order.place.before_commit"),
    ),
    "order.overdue_forgotten": Scenario(
        "an order that waits too long is looked at",
        ORDER, plays.lose_an_order_on_its_way_to_payment, {"STOA_PENDING_DEADLINE_SECONDS": "2"},
    ),
    "order.reservation_not_of_key": Scenario(
        "the reservation's id follows from the idempotency key", ORDER, plays.one_key_many_times_at_once
    ),
    "order.tombstone_over_order": Scenario(
        "a reservation that an order holds is never abandoned", ORDER, plays.pay_after_the_reservation_is_due
    ),
    "order.transition_unguarded": Scenario(
        "an order moves only from the states of the rule", ORDER, plays.cancel_before_the_provider_answers
    ),
    "outbox.delete_before_confirm": Scenario(
        "the relay deletes an event when the broker has confirmed it",
        ORDER, plays.crash_while_buying, crash_at("outbox.before_publish:2"),
    ),
    "payment.attempt_key_changed": Scenario(
        "an attempt that is repeated has its first key", PAYMENT, plays.buy_from_a_silent_provider
    ),
    "payment.capture_not_booked": Scenario("a capture is booked in its transaction", PAYMENT, plays.buy, short=True),
    "payment.closed_record_ignored": Scenario(
        "an order that was closed before it was placed is not charged", PAYMENT, plays.place_after_its_cancel
    ),
    "payment.late_capture_kept": Scenario(
        "a capture that is late for its order is given back", PAYMENT, plays.cancel_before_the_provider_answers
    ),
    "payment.refund_key_changed": Scenario(
        "a refund that is repeated has its first key", PAYMENT, plays.refund_by_a_silent_provider
    ),
    "payment.refund_without_cap": Scenario(
        "a refund counts against what was captured before the provider is called", PAYMENT, plays.refund_all_of_it_twice, short=True
    ),
    "payment.started_skipped": Scenario(
        "an attempt that was started is taken up again",
        PAYMENT, plays.crash_while_buying, crash_at("payment.open.after_commit"),
    ),
    "payment.unknown_is_declined": Scenario(
        "no answer of the provider is no refusal", PAYMENT, plays.buy_from_a_slow_provider
    ),
    "postgres.aborted_not_resent": Scenario(
        "a statement that was never executed is sent again", ORDER, plays.read_beside_one_that_fails
    ),
    "product.expiry_without_order": Scenario(
        "a reservation expires when no order holds it", PRODUCT, plays.pay_after_the_reservation_is_due
    ),
    "product.reserve_read_then_write": Scenario(
        "stock is read and reserved under one lock", PRODUCT, plays.race_for_the_last_ones
    ),
    "product.sale_not_in_journal": Scenario("a sale is written into the journal of movements", PRODUCT, plays.buy, short=True),
    "product.settle_unlocked": Scenario(
        "those that settle one reservation take turns", PRODUCT, plays.settle_by_event_and_by_sweep
    ),
    "product.settled_settles_again": Scenario(
        "a reservation that is settled stays so", PRODUCT, plays.tell_the_end_again
    ),
}  # fmt: skip
