"""What each buyer wants: a pure function of the seed and the number of the order."""

from __future__ import annotations

import dataclasses
import random

MANNERS = {"once": 40, "again": 15, "parallel": 15, "impatient": 24, "key reused": 6}
AFTERWARDS = {"nothing": 52, "cancel at once": 9, "cancel when settled": 9, "refund": 12, "look": 12, "look at others": 6}
TOKENS = {
    "tok_ok": 62, "tok_declined": 8, "tok_insufficient_funds": 2, "tok_slow": 2, "tok_timeout_after_capture": 4,
    "tok_error_then_ok": 6, "tok_refund_fails_once": 2, "tok_refund_timeout": 2,
    "tok_webhook_duplicate": 4, "tok_webhook_late": 4, "tok_webhook_reordered": 4,
}  # fmt: skip
WEBHOOK_TOKENS = ("tok_webhook_duplicate", "tok_webhook_late", "tok_webhook_reordered", "tok_timeout_after_capture")
SCARCE_SHARE = 0.35


@dataclasses.dataclass(frozen=True)
class Errand:
    number: int
    buyer: int
    lines: tuple[tuple[int, int], ...]  # index of a variant (scarce ones come first), quantity
    token: str
    manner: str
    afterwards: str
    impatience_seconds: float
    key: str


def errand(seed: int, number: int, buyers: int, scarce: int, plenty: int) -> Errand:
    chance = random.Random(f"errand {seed} {number}")

    def one_of(weights: dict[str, int]) -> str:
        return chance.choices(list(weights), list(weights.values()))[0]

    variants = chance.sample(range(scarce, scarce + plenty), chance.randint(1, 3))
    if chance.random() < SCARCE_SHARE:
        variants[0] = chance.randrange(scarce)
    return Errand(
        number=number,
        buyer=chance.randrange(buyers),
        lines=tuple((variant, chance.randint(1, 2)) for variant in variants),
        token=one_of(TOKENS),
        manner=one_of(MANNERS),
        afterwards=one_of(AFTERWARDS),
        impatience_seconds=chance.choice([0.02, 0.1, 0.4]),
        key=f"chaos-{seed}-{number}-{chance.getrandbits(64):016x}",
    )
