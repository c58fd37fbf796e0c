"""A base backup, an archive of every change, and the way back to a moment, while the shop is open.

The commands are those of docs/guides/restore.md. Somebody makes every price one cent; orders go on for a while; the
disk is lost. The shop goes back to the moment before the mistake; a server made from all of the archive tells what the
lost disk alone would have cost. Broker, provider and mailboxes stay where they were.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import re
import time
from collections.abc import Iterator

import httpx
import psycopg
from stack import Stack
from stack.process import own
from stack.process import run as run_as_server
from stack.servers import Postgres

from tests.judge import CHECKOUT, eventually_clean
from tests.resilience.lost_time import Checker, reconcile
from tests.resilience.section import Order, Section
from tests.shop import Shop, eventually
from tests.steady import Bought, Steady, outage
from tests.type_id import uuid_of

TITLE = "backups and the way back"

GUIDE = CHECKOUT / "docs/guides/restore.md"
RATE = {"short": 20.0, "proof": 40.0, "long": 40.0}
BEFORE_SECONDS = {"short": 3.0, "proof": 15.0, "long": 60.0}  # of orders after the backup, before the mistake
UNNOTICED_SECONDS = {"short": 3.0, "proof": 15.0, "long": 60.0}  # of orders after it
PAYMENTS_AWAY_SECONDS = 1.5  # so that messages of orders that will be gone wait in the broker
RESTORE_SECONDS = 60.0  # the goal
ARCHIVED_WITHIN_SECONDS = 15.0  # archive_timeout of the guide, and what a busy machine needs besides
BUYERS = {"short": 24, "proof": 60, "long": 60}
VARIANTS = 8
PRICE = 1250
SEGMENT = re.compile("[0-9A-F]{24}")
HEADINGS = {"archive": "Archive every change", "back up": "Take a base backup", "restore": "Restore", "rest": "Bring the rest to that moment"}
POSTGRES = "/usr/lib/postgresql/17/bin:/usr/bin:/bin"


def blocks(guide: str) -> dict[str, str]:
    """The commands of a guide by the heading above them."""
    found: dict[str, str] = {}
    for part in re.split(r"^## ", guide, flags=re.MULTILINE)[1:]:
        commands = re.findall(r"^```bash\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL)
        if commands:
            found[part.splitlines()[0]] = "".join(commands)
    return found


def differences(printed: str) -> list[str]:
    """What the last look of `payment-service reconcile` still finds."""
    last = re.findall(r"(\d+) lines, .* (\d+) differences, \d+ repaired", printed)[-1]
    return [f"{last[1]} differences in {last[0]} lines"] if int(last[1]) else []


def split(bought: list[Bought], known: set[str]) -> tuple[list[Bought], list[Bought]]:
    """Those that exist, and those that are gone."""
    there = [one for one in bought if uuid_of(one.order_id) in known]
    gone = [one for one in bought if uuid_of(one.order_id) not in known]
    return there, gone


@dataclasses.dataclass
class Restored:
    """What was measured."""

    backup_seconds: float = 0.0
    backup_megabytes: float = 0.0
    disk_lost: int = 0  # orders answered 201 that the end of the archive does not know
    disk_lost_seconds: float = 0.0
    gone: list[Bought] = dataclasses.field(default_factory=list)
    restore_seconds: float = 0.0
    away_seconds: float = 0.0
    given_back: int = 0
    charged_and_refunded: int = 0
    mails_unexplained: int = 0


class Backups:
    def __init__(self, order: Order, stack: Stack, shop: Shop, load: Steady) -> None:
        self.order, self.stack, self.shop, self.load = order, stack, shop, load
        self.commands = blocks(GUIDE.read_text())
        self.measured = Restored()
        self.violations: list[str] = []
        self.archive, self.backup = stack.folder / "archive", stack.folder / "backup"
        for folder in (self.archive, self.backup):
            folder.mkdir(mode=0o700)
            own(folder)

    def guide(self, step: str, server: Postgres | None = None, restored: pathlib.Path | None = None, until: str = "") -> None:
        """Runs the commands of a step as they stand, as the user whom the server runs as."""
        where = f"host={server.folder} port={server.port} user=postgres" if server else self.stack.dsn("postgres", "postgres")
        run_as_server(["bash", "-eu", "-c", self.commands[HEADINGS[step]]], {
            "PATH": POSTGRES, "SERVER": where, "ARCHIVE": str(self.archive), "BACKUP": str(self.backup),
            "RESTORED": str(restored or ""), "UNTIL": until, "REDIS_PORT": str(self.stack.part("redis").port),
            "REDISCLI_AUTH": self.stack.secret("redis-password")}, timeout=120)

    def known(self, dsn: str | None = None) -> set[str]:
        with psycopg.connect(dsn or self.stack.dsn("orders")) as db:
            return {str(order_id) for (order_id,) in db.execute("SELECT id FROM orders").fetchall()}

    def wait(self, seconds: float) -> None:
        self.load.wait_for_requests(int(self.load.rate * seconds), time.monotonic(), within=60 + seconds)

    # ---- the story ------------------------------------------------------------------------------------

    def archive_every_change(self) -> None:
        self.guide("archive")
        self.stack.restart("postgres")

    def back_up(self) -> None:
        began = time.monotonic()
        self.guide("back up")
        self.measured.backup_seconds = time.monotonic() - began
        self.measured.backup_megabytes = sum(file.stat().st_size for file in self.backup.rglob("*") if file.is_file()) / 2**20

    def archive_twice(self) -> None:
        """A crash between the copy and its record repeats it: that must succeed, and never replace a segment."""
        command = self.stack.sql(1, "SHOW archive_command")
        segment = next(file for file in sorted(self.archive.iterdir()) if SEGMENT.fullmatch(file.name))

        def archive(content: pathlib.Path) -> None:
            run_as_server(["bash", "-c", command.replace("%p", str(content)).replace("%f", segment.name)], {"PATH": POSTGRES})

        archive(segment)
        before = segment.read_bytes()
        try:
            archive(CHECKOUT / "README.md")
        except RuntimeError:
            pass
        else:
            self.violations.append("another segment of the same name is not refused")
        if segment.read_bytes() != before:
            self.violations.append("a segment of the archive was replaced")

    def mistake(self) -> tuple[str, float, str]:
        """The moment before it by the server's clock and by ours, and the segment that holds it."""
        ours = time.monotonic()
        with psycopg.connect(self.stack.dsn("products", "postgres"), autocommit=True) as db:
            [moment] = db.execute("SELECT clock_timestamp()::text").fetchone()
            db.execute("UPDATE prices SET amount_minor = 1")
            [segment] = db.execute("SELECT pg_walfile_name(pg_current_wal_lsn())").fetchone()
        return moment, ours, segment

    def lose_the_disk(self, mistaken_in: str) -> float:
        """Once the mistake is in the archive, and with orders in the broker that no payment was made for yet."""
        eventually(lambda: (self.archive / mistaken_in).exists(), within=ARCHIVED_WITHIN_SECONDS, what="the mistake is archived")
        for replica in (1, 2):
            self.stack.kill("payment-service", replica)
        self.wait(PAYMENTS_AWAY_SECONDS)
        self.stack.kill("postgres")
        return time.monotonic()

    @contextlib.contextmanager
    def restored(self, name: str, until: str) -> Iterator[Postgres]:
        """A server made of backup and archive, where no service finds it; ends with the block."""
        folder = self.stack.folder / name
        folder.mkdir(mode=0o700)
        own(folder)
        self.guide("restore", restored=folder / "data", until=until)
        with self.stack.beside(folder) as server:
            eventually(lambda: server.sql("SELECT pg_is_in_recovery()") == "f", within=RESTORE_SECONDS, what="the end of the recovery")
            yield server

    def go_back(self, moment: str) -> list[str]:
        """Returns the captures that nobody knows of any more."""
        began = time.monotonic()
        with self.restored("postgres-restored", until=moment) as server:
            self.guide("rest", server)
        self.stack.serve_from(server.folder)
        self.stack.start("postgres")
        self.measured.restore_seconds = time.monotonic() - began
        lost = self.captures_without_an_attempt()
        for replica in (1, 2):
            self.stack.start("payment-service", replica)
        return lost

    def give_back(self, lost: list[str]) -> None:
        """Every capture that the restore lost is named, and given back."""
        told = reconcile(self.stack, repair=False)
        unnamed = [key for key in lost if key not in told]
        if unnamed:
            self.violations.append(f"reconcile does not name {len(unnamed)} captures that were lost: {unnamed[:3]}")
        left = eventually_clean(lambda: differences(reconcile(self.stack, repair=True)), 30)
        if left:
            self.violations.append(f"reconcile --repair leaves {len(left)} differences: {left[:3]}")
        lines = self.statement()
        payments = {line["payment_id"] for line in lines if line["key"] in lost}
        refunded = sum(line["kind"] == "refund" and line["payment_id"] in payments for line in lines)
        if refunded != len(lost):
            self.violations.append(f"of {len(lost)} captures that were lost, the provider gave {refunded} back")
        self.measured.given_back = refunded

    def captures_without_an_attempt(self) -> list[str]:
        """Keys of the provider's captures, read while payment-service is away."""
        with psycopg.connect(self.stack.dsn("payments")) as db:
            ours = {str(one) for (one,) in db.execute("SELECT id FROM attempts").fetchall()}
        return [line["key"] for line in self.statement() if line["kind"] == "capture" and uuid_of(line["key"]) not in ours]

    def statement(self) -> list[dict]:
        """All lines of the provider's."""
        lines: list[dict] = []
        headers = {"authorization": f"Bearer {self.stack.secret('provider-key')}"}
        with httpx.Client(base_url=self.stack.url("payment-simulator"), headers=headers, timeout=20) as provider:
            while True:
                page = provider.get("/v1/statement", params={"limit": 1000, "after": lines[-1]["line"] if lines else 0}).json()
                lines += page["data"]
                if not page["has_more"]:
                    return lines

    # ---- the end --------------------------------------------------------------------------------------

    def count_what_the_archive_lacks(self, died: float) -> None:
        """What a lost disk alone costs: a server of its own, of all that the archive has."""
        with self.restored("postgres-archive", until="") as server:
            known = self.known(server.dsn("orders", "audit", self.stack.secret("audit-password")))
        _, gone = split([one for one in self.load.accepted() if one.answered_at < died], known)
        self.measured.disk_lost = len(gone)
        self.measured.disk_lost_seconds = died - min((one.answered_at for one in gone), default=died)
        if self.measured.disk_lost_seconds > ARCHIVED_WITHIN_SECONDS:
            self.violations.append(f"the archive is {self.measured.disk_lost_seconds:.1f} s behind")

    def judge(self, mistaken: float, died: float) -> None:
        accepted = self.load.accepted()
        there, gone = split(accepted, self.known())
        self.measured.gone = gone
        self.violations += [f"{one.order_id} was answered before the moment and is gone" for one in gone if one.answered_at < mistaken]
        self.violations += [f"{one.order_id} was answered after the restore and is gone" for one in gone if one.answered_at > died]
        cheap = [one.order_id for one in there if total_of(one) % PRICE]
        if cheap:
            self.violations.append(f"{len(cheap)} orders have the prices of the mistake: {cheap[:3]}")
        if not gone:
            self.violations.append("no order was lost: nothing was restored")
        if not any(one.answered_at > died for one in there):
            self.violations.append("no order was placed after the restore")
        lost = [one for one in self.load.since(died) if one.failed]
        self.measured.away_seconds = outage(lost)
        if self.measured.away_seconds > RESTORE_SECONDS:
            self.violations.append(f"the shop was away for {self.measured.away_seconds:.0f} s")
        self.measured.charged_and_refunded = self.payments_of_lost_orders()
        self.audit([one.order_id for one in there])

    def payments_of_lost_orders(self) -> int:
        """How many there are. Nothing may be kept of them."""
        known = self.known()

        def strangers() -> list[tuple[str, int]]:
            with psycopg.connect(self.stack.dsn("payments")) as db:
                rows = db.execute("SELECT order_id, captured_minor - refunded_minor FROM payments").fetchall()
            return [(str(order_id), kept) for order_id, kept in rows if str(order_id) not in known]

        left = eventually_clean(lambda: [order_id for order_id, kept in strangers() if kept], 40)
        if left:
            self.violations.append(f"money is kept for {len(left)} orders that are gone: {left[:3]}")
        return len(strangers())

    def audit(self, told: list[str]) -> None:
        checker = Checker(self.stack, self.shop, told, set_back=True)
        self.violations += eventually_clean(checker.violations, within=60)
        self.measured.mails_unexplained = checker.mails_of_the_lost_time


def total_of(one: Bought) -> int:
    return json.loads(next(iter(one.bodies)))["total"]["amount"]


def run(order: Order) -> Section:
    with Stack(profile="proof", replicas=2) as stack:
        order.say("the stack is up")
        shop = Shop(stack.url(), stack.url("mail-sink"))
        staff = shop.staff()
        variants = [shop.stock_product(staff, 1_000_000, price=PRICE) for _ in range(VARIANTS)]
        buyers = [shop.sign_up() for _ in range(BUYERS[order.size])]
        doors = [stack.url("api-gateway", replica) for replica in (1, 2)]
        with Steady(doors, buyers, variants, order.seed, RATE[order.size]) as load:
            backups = Backups(order, stack, shop, load)
            backups.archive_every_change()
            backups.wait(1)
            backups.back_up()
            order.say(f"base backup of {backups.measured.backup_megabytes:.0f} MB")
            backups.wait(BEFORE_SECONDS[order.size])
            backups.archive_twice()
            moment, mistaken, segment = backups.mistake()
            backups.wait(UNNOTICED_SECONDS[order.size])
            died = backups.lose_the_disk(segment)
            order.say(f"the mistake was at {moment}, the disk is gone")
            lost = backups.go_back(moment)
            order.say(f"back after {backups.measured.restore_seconds:.1f} s")
            backups.give_back(lost)
            backups.wait(3)
        backups.count_what_the_archive_lacks(died)
        backups.judge(mistaken, died)
    return page(backups)


def page(backups: Backups) -> Section:
    measured = backups.measured
    return Section(
        figures={
            "orders": len(backups.load.accepted()),
            "set back": len(measured.gone),
            "captures given back": measured.given_back,
            "payments of lost orders refunded": measured.charged_and_refunded,
            "seconds to restore": round(measured.restore_seconds, 1),
            "orders lost with the disk alone": measured.disk_lost,
        },
        lines=[
            f"{backups.load.rate:g} requests a second all the while, 4 of 10 an order; the commands of [the guide](../guides/restore.md).",
            "",
            "| | |",
            "|---|--:|",
            f"| base backup under load | {measured.backup_seconds:.1f} s, {measured.backup_megabytes:.0f} MB |",
            f"| a lost disk, restored to the archive's end: orders lost | {measured.disk_lost}, of the last {measured.disk_lost_seconds:.1f} s |",
            f"| orders after the moment of the restore, all set back | {len(measured.gone)} |",
            f"| from the start of the restore to a server that takes writes | {measured.restore_seconds:.1f} s |",
            f"| seconds from the first failed request to the last | {measured.away_seconds:.1f} |",
            f"| captures that only the provider knew, named and given back by `reconcile --repair` | {measured.given_back} |",
            f"| payments made for orders that are gone (their messages had stayed in the broker), refunded by themselves | {measured.charged_and_refunded} |",
            f"| mails of the lost time, in mailboxes and in no table | {measured.mails_unexplained} |",
        ],
        violations=backups.violations,
    )
