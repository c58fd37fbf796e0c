"""A shop with a catalogue and buyers, and the files from which the load generators read what to ask."""

from __future__ import annotations

import base64
import concurrent.futures
import hashlib
import hmac
import pathlib
import random
import subprocess
import time
import urllib.parse
import uuid

import psycopg
from stack import Stack
from stack.services import SERVICES_WITH_DATABASE

from bench.parts import CHECKOUT, Failed
from tests.shop import Person, Shop, eventually
from tests.type_id import type_id

SEED = 42
OPEN_ORDERS_MAX = 10  # of one buyer: product-service's open_reservations_max
IMPORT_SECONDS = 1800
LIST_PAGE = 20
NEW_LISTS = 400_000
NEW_LISTS_A_ROUND = 100_000  # a round begins so far behind the one before, whose pages are cached for ten seconds
SIGN_UPS_AT_ONCE = 4
PATIENCE = 10
PASSWORD = "correct horse battery"


def cursor(key: str, created_us: int, product: str) -> str:
    """The cursor behind that place of the list of the newest, as the shop itself would sign it: each place is
    a page that nobody asked for before, so no cache holds it, and the statement is the list's own."""
    payload = (product + str(created_us)).encode()
    mac = hmac.new(key.encode(), b"0\n\n\nEUR\n\n\n\0" + payload, hashlib.sha256).digest()[:16]
    return base64.urlsafe_b64encode(mac + payload).decode().rstrip("=")


class Market:
    """Open for buyers after `open`."""

    def __init__(self, stack: Stack, folder: pathlib.Path, products: int, buyers: int, variants: int = 5000) -> None:
        self.stack, self.folder, self.products, self.buyer_count, self.variants_max = stack, folder, products, buyers, variants
        self.url = stack.url("api-gateway")
        self.shop = Shop(self.url, stack.url("mail-sink"))
        self.random = random.Random(SEED)
        self.import_seconds = 0.0

    def open(self) -> None:
        self.import_catalogue(self.products)
        self.sign_up_buyers()
        self.write_files()

    def file(self, name: str, lines: list[str]) -> pathlib.Path:
        path = self.folder / name
        path.write_text("\n".join(lines) + "\n")
        return path

    def import_catalogue(self, products: int) -> None:
        """As a merchant would: a CSV through the public API."""
        csv = self.folder / "catalogue.csv"
        with csv.open("w") as file:
            subprocess.run(
                [CHECKOUT / "tools/catalogue-generator/catalogue-generator", "--products", str(products),
                 "--variants", str(products * 5 // 2), "--seed", str(SEED)],
                check=True, stdout=file,
            )  # fmt: skip
        staff = self.shop.staff()
        began = time.monotonic()
        answer = staff.http.post(
            "/api/v1/imports", params={"currency": "EUR"}, content=csv.read_bytes(), headers={"content-type": "text/csv"}
        )
        assert answer.status_code == 202, answer.text

        def finished() -> dict | None:
            job = staff.http.get(answer.headers["location"]).json()
            return job if job["status"] in ("completed", "failed") else None

        job = eventually(finished, within=IMPORT_SECONDS, what="the import")
        assert job["status"] == "completed", job
        self.import_seconds = time.monotonic() - began
        csv.unlink()
        self.analyse()

    def analyse(self) -> None:
        """What autovacuum does within a minute of such a change."""
        for database in SERVICES_WITH_DATABASE.values():
            with psycopg.connect(self.stack.dsn(database, "postgres"), autocommit=True) as db:
                db.execute("ANALYZE")

    def sign_up_buyers(self) -> None:
        with concurrent.futures.ThreadPoolExecutor(SIGN_UPS_AT_ONCE) as pool:
            self.buyers = list(pool.map(lambda _: self._sign_up(), range(self.buyer_count)))
        self.tokens = self.file("tokens", [buyer.tokens["access_token"] for buyer in self.buyers])
        self.emails = self.file("emails", [buyer.email for buyer in self.buyers])

    def _sign_up(self) -> Person:
        """A machine that is busy may refuse once; nobody measures this."""
        for _ in range(PATIENCE):
            answer = self.shop.http.post("/api/v1/auth/register", json={
                "email": f"buyer-{uuid.uuid4().hex[:12]}@example.test", "password": PASSWORD, "name": "Ada Shopper"})
            if answer.status_code == 201:
                return Person(self.url, answer.json()["user"]["email"], answer.json())
            if answer.status_code not in (429, 503):
                break
            time.sleep(1)
        raise Failed(f"nobody can sign up: {answer.status_code} {answer.text}")

    def new_cursor(self, key: str, created_us: int, product: uuid.UUID) -> str:
        """Right beside a product that is on sale."""
        return cursor(key, created_us, str(uuid.UUID(int=product.int ^ self.random.getrandbits(40))))

    def write_files(self) -> None:
        with psycopg.connect(self.stack.dsn("products")) as db:
            ids = [
                str(row[0])
                for row in db.execute("SELECT id FROM products WHERE status = 'active' ORDER BY md5(id::text) LIMIT 2000")
            ]
            places = db.execute(
                "SELECT (extract(epoch FROM created_at) * 1000000)::bigint, id FROM products WHERE status = 'active' "
                "ORDER BY created_at, id OFFSET %s LIMIT 5000", [LIST_PAGE],
            ).fetchall()  # fmt: skip
            words = [row[0] for row in db.execute("SELECT word FROM search_words WHERE length(word) > 3 LIMIT 300")]
            self.variants = [
                type_id("var", str(row[0]))
                for row in db.execute(
                    "SELECT v.id FROM variants v JOIN stock s ON s.variant_id = v.id "
                    "WHERE s.on_hand - s.reserved >= 100 LIMIT %s", [self.variants_max]
                )  # fmt: skip
            ]
        key = self.stack.secret("cursor-key")
        cursors = [self.new_cursor(key, *self.random.choice(places)) for _ in range(NEW_LISTS)]
        self.random.shuffle(self.variants)
        self.variants_file = self.file("variants", self.variants)
        self.product_paths = self.file("products", [f"/api/v1/products/{type_id('prd', i)}" for i in ids])
        self.list_paths = self.file("list", ["/api/v1/products?limit=20"])
        self.new_list_paths = self.file("new-lists", [f"/api/v1/products?limit=20&cursor={c}" for c in cursors])
        self.search_words = self.file("words", [urllib.parse.quote(word) for word in words])
        self.me_paths = self.file("me", ["/api/v1/users/me"])
