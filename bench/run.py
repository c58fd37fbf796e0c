#!/usr/bin/env python3
"""Measures the stack run as processes (profile bench, release preset): `make bench`.

Everything, the load generator included, shares this machine's cores, so the figure to compare is CPU
time per request by process; requests per second only within one run. Each row is repeated; the
table shows the median and the range. A calibration of the same run (a static file from nginx, a
pgbench transaction) makes figures of different machines comparable as ratios.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import datetime
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
import uuid

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tools")]

import psycopg  # noqa: E402
from stack import Stack  # noqa: E402
from stack.services import SERVICES  # noqa: E402

from bench import machine  # noqa: E402
from tests.shop import Shop, eventually  # noqa: E402

SERVERS = ["postgres", "redis", "rabbitmq"]
DATABASES = ["users", "products", "orders", "payments", "notifications"]
BUYERS = 400
CONNECTIONS = 32


class Bench:
    def __init__(self, stack: Stack, seconds: int, repeats: int, products: int) -> None:
        self.stack, self.seconds, self.repeats, self.products = stack, seconds, repeats, products
        self.shop = Shop(stack.url("api-gateway"), stack.url("mail-sink"))
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stoa-bench-"))
        self.rows: dict[str, dict] = {}
        self.random = random.Random(42)

    # ---- accounting -------------------------------------------------------------------------------

    def pids(self, part: str) -> list[int]:
        return [p.process.pid for p in self.stack.parts.values() if p.name == part and p.process.pid]

    def cpu(self) -> dict[str, float]:
        return {
            part: sum(machine.cpu_seconds(pid) for pid in self.pids(part))
            for part in [*SERVICES, *SERVERS, "payment-simulator", "mail-sink"]
        }

    def pss_mib(self, parts: list[str]) -> dict[str, float]:
        return {part: round(sum(machine.pss_bytes(pid) for pid in self.pids(part)) / 2**20, 1) for part in parts}

    def wrk(self, script: str, *arguments: str, seconds: int | None = None) -> dict:
        command = [
            "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds or self.seconds}s", "--latency",
            "-s", str(CHECKOUT / "bench/load" / script), self.stack.url("api-gateway"), "--", *arguments,
        ]  # fmt: skip
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return json.loads(printed.strip().splitlines()[-1])

    def measure(self, name: str, script: str, *arguments: str) -> None:
        self.wrk(script, *arguments, seconds=2)
        runs = []
        for _ in range(self.repeats):
            before = self.cpu()
            result = self.wrk(script, *arguments)
            after = self.cpu()
            if result["non_2xx"] or result["socket_errors"]:
                raise SystemExit(f"{name}: {result}: a figure over failed requests says nothing")
            cost = {part: (after[part] - before[part]) / result["requests"] * 1e6 for part in before}
            runs.append(result | {"cpu_us": cost, "rps": result["requests"] / result["seconds"]})
        self.record(name, runs)

    def record(self, name: str, runs: list[dict]) -> None:
        totals = [sum(v for k, v in run["cpu_us"].items() if k in SERVICES) for run in runs]
        everything = [sum(v for k, v in run["cpu_us"].items() if k in SERVICES + SERVERS) for run in runs]
        middle = sorted(runs, key=lambda run: sum(run["cpu_us"].values()))[len(runs) // 2]
        self.rows[name] = {
            "services_cpu_us": round(statistics.median(totals), 1),
            "services_range": [round(min(totals), 1), round(max(totals), 1)],
            "all_cpu_us": round(statistics.median(everything), 1),
            "rps": round(statistics.median(run["rps"] for run in runs)),
            "p50_us": middle.get("p50_us"),
            "p99_us": middle.get("p99_us"),
            "by_part": {k: round(v, 1) for k, v in middle["cpu_us"].items() if v >= 0.5},
        }
        row = self.rows[name]
        print(
            f"{name:<22} services {row['services_cpu_us']:>8} µs  all {row['all_cpu_us']:>8} µs  "
            f"{row['rps']:>6}/s  p50 {row['p50_us']} µs  p99 {row['p99_us']} µs  {row['by_part']}",
            flush=True,
        )

    def file(self, name: str, lines: list[str]) -> str:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    # ---- preparation ------------------------------------------------------------------------------

    def import_catalogue(self) -> None:
        csv = self.folder / "catalogue.csv"
        with csv.open("w") as file:
            subprocess.run(
                [str(CHECKOUT / "tools/catalogue-generator/catalogue-generator"), "--products", str(self.products),
                 "--variants", str(self.products * 5 // 2), "--seed", "42"],
                check=True, stdout=file,
            )  # fmt: skip
        staff = self.shop.staff()
        started = time.monotonic()
        with csv.open("rb") as body:
            answer = staff.http.post(
                "/api/v1/imports", params={"currency": "EUR"}, content=body, headers={"content-type": "text/csv"}
            )
        assert answer.status_code == 202, answer.text

        def finished() -> dict | None:
            job = staff.http.get(answer.headers["location"]).json()
            return job if job["status"] in ("completed", "failed") else None

        job = eventually(finished, within=300, what="the import")
        assert job["status"] == "completed", job
        self.rows["import"] = {"seconds": round(time.monotonic() - started, 2), "products": self.products}
        print(f"import of {self.products} products: {self.rows['import']['seconds']} s", flush=True)
        with psycopg.connect(self.stack.dsn("products", "postgres"), autocommit=True) as db:
            db.execute("ANALYZE")

    def sign_up_buyers(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            buyers = list(pool.map(lambda _: self.shop.sign_up(), range(BUYERS)))
        self.me = buyers[0]
        self.tokens = self.file("tokens", [buyer.tokens["access_token"] for buyer in buyers])

    def catalogue_paths(self) -> None:
        with psycopg.connect(self.stack.dsn("products")) as db:
            ids = [str(row[0]) for row in db.execute("SELECT id FROM products WHERE status = 'active' LIMIT 2000")]
            words = [row[0] for row in db.execute("SELECT word FROM search_words WHERE length(word) > 3 LIMIT 300")]
            variants = [
                str(row[0])
                for row in db.execute(
                    "SELECT v.id FROM variants v JOIN stock s ON s.variant_id = v.id "
                    "WHERE s.on_hand - s.reserved >= 100 LIMIT 5000"
                )
            ]
        self.product_paths = self.file("products", [f"/api/v1/products/{type_id('prd', i)}" for i in ids])
        self.list_paths = self.file("lists", ["/api/v1/products?limit=20"])
        self.search_paths = self.file(
            "searches", [f"/api/v1/products?limit=20&q={urllib.parse.quote(w)}" for w in words]
        )
        self.me_paths = self.file("me", ["/api/v1/users/me"])
        self.random.shuffle(variants)
        self.variants = self.file("variants", [type_id("var", v) for v in variants])

    # ---- rows -------------------------------------------------------------------------------------

    def reads(self) -> None:
        self.measure("product by id", "reads.lua", self.product_paths)
        self.measure("list of 20", "reads.lua", self.list_paths)
        self.measure("text search", "reads.lua", self.search_paths)
        self.measure("users/me", "reads.lua", self.me_paths, self.me.tokens["access_token"])

    def saga(self) -> None:
        """POST as fast as 32 connections go; the row counts what became paid, until the last one."""
        runs = []
        for _ in range(self.repeats):
            started = datetime.datetime.now(datetime.UTC)
            before, begin = self.cpu(), time.monotonic()
            posted = self.wrk("orders.lua", self.tokens, self.variants, uuid.uuid4().hex[:8])
            accepted_at = time.monotonic()
            with psycopg.connect(self.stack.dsn("orders"), autocommit=True) as db:
                def open_orders() -> bool:
                    return db.execute(
                        "SELECT count(*) FROM orders WHERE created_at >= %s AND status NOT IN "
                        "('paid', 'payment_failed', 'cancelled')", [started]
                    ).fetchone()[0] == 0  # fmt: skip

                eventually(open_orders, within=120, what="every order settled")
                settled_at = time.monotonic()
                paid = db.execute(
                    "SELECT count(*) FROM orders WHERE created_at >= %s AND status = 'paid'", [started]
                ).fetchone()[0]
            after = self.cpu()
            accepted = posted["requests"] - posted["non_2xx"]
            print(
                f"  accepted {accepted / (accepted_at - begin):.0f}/s, refused {posted['non_2xx']}, "
                f"paid {paid} in {settled_at - begin:.1f} s", flush=True,
            )  # fmt: skip
            cost = {part: (after[part] - before[part]) / max(paid, 1) * 1e6 for part in before}
            runs.append(posted | {"cpu_us": cost, "rps": paid / (settled_at - begin)})
        self.record("paid order (saga)", runs)

    def calibrate(self) -> None:
        www = self.folder / "www"
        www.mkdir()
        (www / "file.json").write_text('{"id":1}' * 40)
        self.folder.chmod(0o755)
        conf = self.folder / "nginx.conf"
        port = 20_000 + self.random.randrange(10_000)
        conf.write_text(
            f"worker_processes 1; daemon off; pid {self.folder}/nginx.pid; error_log /dev/null;"
            "events { worker_connections 512; } http { access_log off; keepalive_requests 10000000;"
            f"server {{ listen 127.0.0.1:{port}; root {www}; }} }}"
        )
        nginx = subprocess.Popen(["nginx", "-c", str(conf)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            before = machine.cpu_seconds(nginx.pid)
            printed = subprocess.run(
                ["wrk", "-t1", f"-c{CONNECTIONS}", "-d5s", f"http://127.0.0.1:{port}/file.json"],
                check=True, capture_output=True, text=True,
            ).stdout  # fmt: skip
            requests = int(printed.split(" requests in ")[0].split()[-1])
            self.rows["calibration nginx"] = {
                "services_cpu_us": round((machine.cpu_seconds(nginx.pid) - before) / requests * 1e6, 1),
                "rps": round(requests / 5),
            }
            print(f"calibration: nginx static file {self.rows['calibration nginx']}", flush=True)
        finally:
            nginx.terminate()
            nginx.wait(10)

    def count_statements(self) -> None:
        with psycopg.connect(self.stack.dsn("orders", "postgres"), autocommit=True) as db:
            db.execute("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
            db.execute("ALTER SYSTEM SET pg_stat_statements.track_planning = on")
        self.stack.restart("postgres")
        for database in DATABASES:
            with psycopg.connect(self.stack.dsn(database, "postgres"), autocommit=True) as db:
                db.execute("CREATE EXTENSION pg_stat_statements")

    def print_statements(self) -> None:
        """By time in all, of everything since the start."""
        with psycopg.connect(self.stack.dsn("orders", "postgres"), autocommit=True) as db:
            rows = db.execute(
                "SELECT d.datname, s.calls, s.total_exec_time, s.total_plan_time, s.rows, s.wal_bytes, s.shared_blks_hit,"
                " regexp_replace(left(s.query, 400), '\\s+', ' ', 'g')"
                " FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid"
                " ORDER BY s.total_exec_time + s.total_plan_time DESC LIMIT 30"
            ).fetchall()
        print("database       calls    ms in all  ms each  ms plan  rows/call  WAL/call  blocks/call  statement")
        for database, calls, run, plan, count, wal, blocks, text in rows:
            print(
                f"{database:<13} {calls:>6} {run + plan:>12.0f} {run / calls:>8.3f} {plan / calls:>8.3f} {count / calls:>10.1f}"
                f" {wal / calls:>9.0f} {blocks / calls:>12.1f}  {text[:150]}"
            )

    def memory(self, when: str) -> None:
        parts = self.pss_mib([*SERVICES, *SERVERS])
        services = round(sum(parts[s] for s in SERVICES), 1)
        self.rows[f"PSS {when}"] = {"services_mib": services, "stack_mib": round(sum(parts.values()), 1), "by_part": parts}
        print(f"PSS {when}: six services {services} MiB, with servers {sum(parts.values()):.0f} MiB  {parts}", flush=True)

    def starts(self) -> None:
        """From exec to /readyz, the dependencies being up."""
        times = {}
        for service in SERVICES:
            samples = []
            for _ in range(5):
                self.stack.stop(service)
                begin = time.perf_counter()
                self.stack.start(service)
                samples.append((time.perf_counter() - begin) * 1000)
            times[service] = round(statistics.median(samples), 1)
        self.rows["start to ready"] = {"ms": times}
        print(f"start to ready, ms: {times}", flush=True)


def type_id(prefix: str, text: str) -> str:
    """TypeID 0.3: Crockford base32 of the 128 bits, 26 characters."""
    number, digits = uuid.UUID(text).int, ""
    for _ in range(26):
        digits = "0123456789abcdefghjkmnpqrstvwxyz"[number & 31] + digits
        number >>= 5
    return f"{prefix}_{digits}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--products", type=int, default=10_000)
    parser.add_argument("--statements", action="store_true", help="PostgreSQL's time by statement, too (costs some)")
    parser.add_argument("--only", choices=["reads", "saga"], help="one group of rows; nothing is recorded")
    arguments = parser.parse_args()

    facts = machine.facts()
    print(facts, flush=True)
    with Stack(profile="bench", preset="release") as stack:
        bench = Bench(stack, arguments.seconds, arguments.repeats, arguments.products)
        if arguments.statements:
            bench.count_statements()
        bench.memory("idle")
        bench.starts()
        bench.calibrate()
        bench.import_catalogue()
        bench.sign_up_buyers()
        bench.catalogue_paths()
        if arguments.only != "saga":
            bench.reads()
        if arguments.only != "reads":
            bench.saga()
        if arguments.statements:
            bench.print_statements()
        bench.memory("after load")
        rows = bench.rows
    if arguments.only or arguments.statements:
        return
    results = CHECKOUT / "bench/results"
    results.mkdir(parents=True, exist_ok=True)
    line = {"at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "machine": facts, "rows": rows}
    with (results / "bench.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
