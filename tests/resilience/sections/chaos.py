"""Seeded chaos: buyers at two replicas of everything, while a schedule of faults breaks each part and each link."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Collection, Mapping

from stack import Stack

from tests.resilience.chaos import run as one_run
from tests.resilience.chaos.run import Healed, Outcome
from tests.resilience.chaos.schedule import Bout, Fault, schedule
from tests.resilience.section import Order, Section, keeping_logs
from tests.steady import quantile

TITLE = "seeded chaos"
SLOWEST_SHOWN = 8
# What may make a sender die between the mail and its commit, after which invariant 7 allows a repeat.
SENDING = ("notification-service", "mail-sink", "postgres", "notification-service-*>postgres")


@dataclasses.dataclass(frozen=True)
class Size:
    seeds: int
    orders: int
    faults: int
    per_second: float
    long_share: float
    disk_megabytes: int


SIZES = {
    "short": Size(seeds=1, orders=300, faults=16, per_second=15, long_share=0.0, disk_megabytes=640),
    "proof": Size(seeds=1, orders=10_400, faults=230, per_second=20, long_share=0.08, disk_megabytes=2_000),
    "long": Size(seeds=3, orders=10_400, faults=230, per_second=20, long_share=0.08, disk_megabytes=2_000),
}


def run_seed(order: Order, size: Size, seed: int, preset: str = "debug", environment: Mapping[str, str] | None = None) -> Outcome:
    bouts = schedule(seed, size.faults, size.orders, size.long_share)
    folder = order.folder / f"seed-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    text = (f"at order {bout.at_order}: {' and '.join(map(str, bout.faults))}" for bout in bouts)
    (folder / "schedule.txt").write_text("\n".join(text) + "\n")
    with Stack(profile="proof", replicas=2, preset=preset, environment={"*": environment or {}},
               linked=True, database_disk_megabytes=size.disk_megabytes) as stack, keeping_logs(stack, folder):  # fmt: skip
        order.say(f"seed {seed}: {size.faults} faults in {len(bouts)} bouts, {size.orders} orders")
        return one_run.run(stack, bouts, seed, size.orders, size.per_second, folder, order.say)


def run(order: Order) -> Section:
    size = SIZES[order.size]
    outcomes = {seed: run_seed(order, size, seed) for seed in range(order.seed, order.seed + size.seeds)}
    healed = [one for outcome in outcomes.values() for one in outcome.healed]
    heals = sorted(one.heal_seconds for one in healed if one.heal_seconds is not None)
    faults = [fault for one in healed for fault in one.bout.faults]
    section = Section()
    section.violations = [violation for outcome in outcomes.values() for violation in outcome.violations]
    section.figures = {
        "orders placed": sum(outcome.orders for outcome in outcomes.values()),
        "orders accepted": sum(len(outcome.witness.promised) for outcome in outcomes.values()),
        "faults": len(faults),
        "s heal p50": round(quantile(heals, 0.5), 2),
        "s heal p99": round(quantile(heals, 0.99), 2),
        "s until all was at rest": round(max(outcome.rest_seconds for outcome in outcomes.values()), 1),
    }
    section.lines = [
        f"Seed {', '.join(map(str, outcomes))}: {size.faults} faults in {len(healed) // len(outcomes)} bouts (of one fault or two that hold"
        " together), each begun at a number of orders; two replicas of every service, production settings, PostgreSQL on a"
        f" disk of {size.disk_megabytes:,} MB.",
        "",
        *by_kind(healed),
        "",
        *answers(outcomes.values()),
        "",
        *slowest(healed),
        "",
        *looked_at(outcomes.values(), faults),
    ]
    return section


def by_kind(healed: list[Healed]) -> list[str]:
    """A bout's time counts for each of its kinds."""
    times: dict[str, list[float]] = collections.defaultdict(list)
    count: collections.Counter[str] = collections.Counter()
    for one in healed:
        for fault in one.bout.faults:
            count[fault.kind] += 1
            if one.heal_seconds is not None:
                times[fault.kind].append(one.heal_seconds)
    lines = ["| fault | times | healed after, p50 | p99 | longest |", "|---|---|---|---|---|"]
    for kind, number in count.most_common():
        heal = sorted(times[kind])
        shown = [f"{value:.2f} s" for value in (quantile(heal, 0.5), quantile(heal, 0.99), heal[-1])] if heal else ["never"] * 3
        lines.append(f"| {kind} | {number} | {' | '.join(shown)} |")
    return lines


def answers(outcomes: Collection[Outcome]) -> list[str]:
    total: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for outcome in outcomes:
        for asked, heard in outcome.witness.answers.items():
            total[asked] += heard
    lines = ["| asked | heard (times) |", "|---|---|"]
    for asked, heard in sorted(total.items()):
        lines.append(f"| {asked} | {', '.join(f'{what} ({times:,})' for what, times in heard.most_common())} |")
    return lines


def slowest(healed: list[Healed]) -> list[str]:
    known = sorted((one for one in healed if one.heal_seconds is not None), key=lambda one: -one.heal_seconds)
    lines = ["Slowest to heal (an order accepted and settled, after the fault had ended):", ""]
    return lines + [f"- {one.heal_seconds:.2f} s: {describe(one.bout)}" for one in known[:SLOWEST_SHOWN]]


def describe(bout: Bout) -> str:
    return " and ".join(f"`{fault}`" for fault in bout.faults)


def looked_at(outcomes: Collection[Outcome], faults: list[Fault]) -> list[str]:
    checked: collections.Counter[str] = collections.Counter()
    told: collections.Counter[str] = collections.Counter()
    for outcome in outcomes:
        checked.update(outcome.checked)
        witness = outcome.witness
        told.update({"cancellations": len(witness.cancels), "refunds by staff": len(witness.refunds),
                     "adjustments of scarce stock": len(witness.restocked)})  # fmt: skip
    senders = sum(1 for fault in faults if any(part in fault.target for part in SENDING) or fault.target.startswith("*>postgres"))
    deaths = sum(outcome.database_deaths for outcome in outcomes)
    return [
        f"The audit at rest looked at {counted(checked)}. Looked up besides, by what each client was told: {counted(told)}."
        f" A sender of mails may have died before its commit in {senders} faults. A full disk ended PostgreSQL {deaths} times"
        " (it was started again).",
    ]


def counted(numbers: collections.Counter[str]) -> str:
    return ", ".join(f"{number:,} {what}" for what, number in numbers.items())
