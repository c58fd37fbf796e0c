"""A catalogue of 10,000 products survives kill -9 in the middle of its import.

Profile `proof`. The witness is the file itself, read here with Python's own CSV reader: every product that
is not broken must be there exactly once, with its variants, prices and stock, and every broken row in the
report, by line and column.
"""

from __future__ import annotations

import csv
import json
import pathlib
import re
import subprocess
import time
from decimal import Decimal
from typing import Any

import psycopg

from tests.judge import eventually_clean
from tests.shop import Person, Shop, eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
PRODUCTS, VARIANTS, BROKEN = 10_000, 25_000, 20
FINISH_SECONDS = 180.0

# sku → handle, title, price in cents, quantity
Shelf = dict[str, tuple[str, str, int, int]]


def generate(folder: pathlib.Path) -> tuple[pathlib.Path, dict[str, Any]]:
    catalogue, expected = folder / "catalogue.csv", folder / "expected.json"
    with catalogue.open("w") as file:
        subprocess.run(
            [CHECKOUT / "tools/catalogue-generator/catalogue-generator", "--products", str(PRODUCTS),
             "--variants", str(VARIANTS), "--broken", str(BROKEN), "--expect", str(expected)],
            check=True, stdout=file,
        )  # fmt: skip
    return catalogue, json.loads(expected.read_text())


def read_shelf(catalogue: pathlib.Path, broken: set[str]) -> Shelf:
    shelf: Shelf = {}
    title = ""
    with catalogue.open(newline="") as file:
        for row in csv.DictReader(file):
            handle, sku = row["Handle"], row["Variant SKU"]
            title = row["Title"] or title
            image_only = not sku
            nameless = not re.fullmatch("[a-z0-9-]+", handle)  # of the broken ones, two lost their handle
            if image_only or nameless or handle in broken:
                continue
            cents = int(Decimal(row["Variant Price"]) * 100)
            shelf[sku] = (handle, title, cents, int(row["Variant Inventory Qty"]))
    return shelf


def stored_shelf(stack) -> Shelf:
    """As the audit's role reads it; on_hand is what the journal sums to, else the row is not equal."""
    with psycopg.connect(stack.dsn("products")) as db:
        rows = db.execute("""
            SELECT v.sku, p.handle, p.name, c.amount_minor, s.on_hand, s.reserved, m.total
            FROM products p JOIN variants v ON v.product_id = p.id
            JOIN prices c ON c.variant_id = v.id AND c.currency = 'EUR'
            JOIN stock s ON s.variant_id = v.id
            LEFT JOIN (SELECT variant_id, sum(delta) AS total FROM stock_movements GROUP BY 1) m
              ON m.variant_id = v.id
        """).fetchall()
    assert [row for row in rows if row[4] != row[6] or row[5] != 0] == [], "the journal sums to on_hand"
    shelf = {sku: (handle, name, cents, on_hand) for sku, handle, name, cents, on_hand, _, _ in rows}
    assert len(shelf) == len(rows), "each variant once"
    return shelf


def stored_products(stack) -> int:
    with psycopg.connect(stack.dsn("products")) as db:
        return db.execute("SELECT count(*) FROM products").fetchone()[0]


def progress(staff: Person, location: str) -> dict[str, Any] | None:
    """None while nobody answers: a killed service is behind the gateway."""
    answer = staff.http.get(location)
    assert answer.status_code in (200, 502, 503, 504), answer.text
    return answer.json() if answer.status_code == 200 else None


def test_kill_9_in_the_middle_of_an_import_loses_and_doubles_nothing(
    proof_stack, proof_shop: Shop, audit, tmp_path, record_property
) -> None:
    catalogue, expected = generate(tmp_path)
    staff = proof_shop.staff()
    began = time.monotonic()
    answer = staff.http.post(
        "/api/v1/imports",
        params={"currency": "EUR"},
        content=catalogue.read_bytes(),
        headers={"content-type": "text/csv"},
    )
    assert answer.status_code == 202, answer.text
    location = answer.headers["location"]

    def under_way() -> bool:
        seen = progress(staff, location)
        assert seen is None or seen["status"] in ("queued", "running"), f"it ended before it was killed: {seen}"
        return seen is not None and seen["products"]["created"] >= PRODUCTS // 3

    eventually(under_way, within=30, what="a third of the products")
    for replica in range(1, proof_stack.replicas + 1):
        proof_stack.kill("product-service", replica)
    at_the_kill = stored_products(proof_stack)
    assert 0 < at_the_kill < expected["products"], "the kill came in the middle"
    for replica in range(1, proof_stack.replicas + 1):
        proof_stack.restart("product-service", replica)

    def finished() -> dict[str, Any] | None:
        seen = progress(staff, location)
        return seen if seen and seen["status"] in ("completed", "failed") else None

    report = eventually(finished, within=FINISH_SECONDS, what="the end of the import")
    seconds = round(time.monotonic() - began, 1)
    record_property("seconds_with_a_kill", seconds)
    print(f"\n{PRODUCTS} products, {VARIANTS} variants, killed after {at_the_kill}: {seconds} s", flush=True)

    assert report["status"] == "completed", report
    assert report["products"] == {"created": expected["products"], "updated": 0, "unchanged": 0, "refused": BROKEN}
    assert report["bytes_done"] == report["bytes"] == catalogue.stat().st_size
    told = [(problem["line"], problem["column"], problem["code"]) for problem in report["problems"]]
    assert told == [(problem["line"], problem["column"], problem["code"]) for problem in expected["problems"]]
    assert len(told) == BROKEN and {problem["severity"] for problem in report["problems"]} == {"error"}

    wanted = read_shelf(catalogue, {problem["handle"] for problem in expected["problems"]})
    assert len(wanted) == expected["variants"]
    assert stored_shelf(proof_stack) == wanted
    assert stored_products(proof_stack) == expected["products"]
    sell_one_of_them(proof_stack, proof_shop)
    assert eventually_clean(audit) == []


def sell_one_of_them(stack, shop: Shop) -> None:
    """What was imported is for sale: found by its name, ordered, paid."""
    page = shop.http.get("/api/v1/products", params={"q": "nordic teapot", "limit": 1})
    assert page.status_code == 200, page.text
    variant = page.json()["data"][0]["variants"][0]["id"]
    buyer = shop.sign_up()
    order = buyer.order([(variant, 1)])
    assert order.status_code == 201, order.text
    buyer.wait_for(order.json()["id"], "paid", within=60)
