"""The shop that is attacked: somebody whom nothing may happen to, an attacker with an account, staff, services."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
import uuid
from typing import Any

from tests.resilience.hostile.endpoints import Endpoint
from tests.resilience.hostile.tokens import Keys
from tests.shop import ADDRESS, Person, Shop

NOBODY = "01jd0000000000000000000000"  # of a TypeID that nothing has
VICTIMS_ORDERS = 3


class Market:
    """Values for every parameter and body; a request made of them would be served."""

    def __init__(self, stack) -> None:
        self.stack = stack
        self.keys = Keys(stack)
        self.shop = Shop(stack.url("api-gateway"), stack.url("mail-sink"))
        self.staff = self.shop.staff()
        self.told: list[str] = []  # every order that somebody was answered 201
        self._lock = threading.Lock()
        self.variant = self.shop.stock_product(self.staff, stock=100_000)
        self.victim, self.mallory = self.shop.sign_up(), self.shop.sign_up()
        self.victims = [self.buy(self.victim) for _ in range(VICTIMS_ORDERS)]
        self.own, self.to_cancel, self.to_refund = (self.buy(self.mallory) for _ in range(3))
        self.import_id = self._import()
        self.seen = self.look()

    def buy(self, person: Person) -> str:
        answer = person.order([(self.variant, 1)])
        assert answer.status_code == 201, answer.text
        self.tell(answer.json()["id"])
        person.wait_for(answer.json()["id"], "paid")
        return answer.json()["id"]

    def tell(self, order: str) -> None:
        with self._lock:
            self.told.append(order)

    def _import(self) -> str:
        headers = {"content-type": "text/csv", "idempotency-key": str(uuid.uuid4())}
        answer = self.staff.http.post("/api/v1/imports?currency=EUR", content=CSV, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def look(self) -> list[Any]:
        """What is the victim's; the same before and after."""
        orders = [self.victim.see_order(order) for order in self.victims]
        payments = [self.victim.payments(order) for order in self.victims]
        me = self.victim.http.get("/api/v1/users/me")
        assert me.status_code == 200, me.text
        return [*orders, *payments, me.json()]

    def product(self, product: str = "") -> tuple[str, str, str]:
        """Of one product: its id, its variant's, its ETag now."""
        if not product:
            price = {"amount": 1250, "currency": "EUR"}
            body = {"name": "Kettle", "variants": [{"sku": f"K-{uuid.uuid4().hex}", "prices": [price], "stock": 50}]}
            product = self.staff.http.post("/api/v1/products", json=body).json()["id"]
        answer = self.staff.http.get(f"/api/v1/products/{product}")
        return product, answer.json()["variants"][0]["id"], answer.headers["etag"]


CSV = b"Handle,Title,Variant SKU,Variant Price,Variant Inventory Qty\nhostile-mug,Mug,MUG-1,9.00,5\n"


def made_up(kind: str) -> str:
    return f"{kind}_0" + "".join(random.choices("0123456789abcdefghjkmnpqrstvwxyz", k=25))


class Subject:
    """One endpoint with what a request to it needs. Each has a product of its own: ETags change."""

    def __init__(self, market: Market, endpoint: Endpoint) -> None:
        self.market, self.endpoint = market, endpoint
        self.product, self.variant, self.etag = "", "", ""
        if endpoint.method != "GET" and ("/products/{id}" in endpoint.path or "/variants/{id}" in endpoint.path):
            self.product_of_now()
        # Who erases themselves or ends their sessions is nobody else, and somebody else afterwards.
        self.alone = endpoint.path in ("/api/v1/users/me", "/api/v1/auth/logout-all")
        self.person = market.shop.sign_up() if self.alone else market.mallory

    def refresh(self, status: int) -> None:
        """After an answer: the ETag is another, or the session has ended."""
        if self.alone and status == 204:
            self.person = self.market.shop.sign_up()
        if self.product and status in (200, 412):
            self.product_of_now()

    def product_of_now(self) -> None:
        self.product, self.variant, self.etag = self.market.product(self.product)

    def token(self) -> str:
        market, endpoint = self.market, self.endpoint
        if endpoint.access == "service":
            return market.keys.service(endpoint.callers[0], endpoint.service)
        person = {"scope": market.staff, "signed_in": self.person}.get(endpoint.access)
        return person.tokens["access_token"] if person else ""

    def ids(self) -> dict[str, str]:
        """Prefix of the path → the id of something that the caller may have."""
        market = self.market
        payment = lambda order: market.mallory.payments(order)[0]["id"]  # noqa: E731
        path = self.endpoint.path
        if path.endswith("/refunds"):
            return {"id": payment(market.to_refund)}
        if path.endswith("/cancel"):
            return {"id": market.to_cancel}
        for prefix, make in {
            "/api/v1/payments": lambda: payment(market.own),
            "/api/v1/orders": lambda: market.own,
            "/api/v1/imports": lambda: market.import_id,
            "/api/v1/products": lambda: self.product or market.product()[0],
            "/api/v1/variants": lambda: self.variant or market.variant,
            "/internal/v1/orders": lambda: market.own,
            "/internal/v1/users": lambda: market.mallory.id,
            "/internal/v1/reservations": lambda: f"res_{NOBODY}",
            "/docs": lambda: "out_of_stock",
        }.items():
            if path.startswith(prefix):
                return {"id": make(), "code": make()} if "{" in path else {}
        return {}

    def others(self) -> list[str]:
        """Ids of others, and of nothing, for the `{id}` of the path."""
        market, path = self.market, self.endpoint.path
        kinds = {"orders": "ord", "payments": "pay", "products": "prd", "variants": "var", "imports": "imp", "users": "usr"}
        kind = next((short for name, short in kinds.items() if f"/{name}/{{id}}" in path), "res")
        nothing = [f"{kind}_{NOBODY}"] if kind != "res" else []  # what nobody reserved is given back all the same
        wrong = [f"xyz_{NOBODY}", market.victim.id if kind != "usr" else market.own]
        if self.endpoint.access != "signed_in":
            return nothing + wrong
        victims = {"ord": market.victims[0], "pay": market.victim.payments(market.victims[0])[0]["id"]}
        return [victims[kind]] * (kind in victims) + nothing + wrong

    def target(self, ids: dict[str, str]) -> str:
        path = self.endpoint.path
        for name, value in ids.items():
            path = path.replace(f"{{{name}}}", value)
        needed = {"/api/v1/imports": "?currency=EUR", "/api/v1/payments": f"?order_id={self.market.own}"}
        return path + (needed.get(path, "") if self.endpoint.method in ("GET", "POST") else "")

    def headers(self, body: bytes | None, token: str | None = None) -> list[tuple[str, str]]:
        token = self.token() if token is None else token
        headers = [("authorization", f"Bearer {token}")] if token else []
        if body is not None:
            headers.append(("content-type", self.endpoint.media or "application/json"))
        if self.endpoint.path == "/api/v1/webhooks/psp" and body is not None:
            headers.append(("provider-signature", self.signature(body)))
        for parameter in self.endpoint.parameters("header"):
            if parameter["name"] == "Idempotency-Key":
                headers.append(("idempotency-key", str(uuid.uuid4())))
            elif parameter["name"] == "If-Match" and self.etag:
                headers.append(("if-match", self.etag))
        return headers

    def signature(self, body: bytes, at: int | None = None) -> str:
        at = int(time.time()) if at is None else at
        secret = self.market.stack.secret("provider-webhook-secret").encode()
        return f"t={at},v1={hmac.new(secret, f'{at}.'.encode() + body, hashlib.sha256).hexdigest()}"

    def document(self) -> Any:
        """The body of a request that would be served, as JSON; None when it takes no JSON."""
        market = self.market
        order = {
            "lines": [{"variant_id": market.variant, "quantity": 1}],
            "currency": "EUR",
            "shipping_address": dict(ADDRESS),
            "payment_method": {"token": "tok_ok"},
        }
        price = {"amount": 1250, "currency": "EUR"}
        account = {"email": f"m-{uuid.uuid4().hex}@example.test", "password": "correct horse battery", "name": "Mallory"}
        bodies = {
            "POST /api/v1/orders": order,
            "POST /internal/v1/reservations/{id}/abandon": {"origin": str(uuid.uuid4())},
            "POST /internal/v1/reservations": {
                "id": made_up("res"),
                "origin": str(uuid.uuid4()),
                "buyer": made_up("usr"),
                "currency": "EUR",
                "lines": [{"variant_id": market.variant, "quantity": 1}],
            },
            "POST /api/v1/payments/{id}/refunds": {"amount": {"amount": 1, "currency": "EUR"}, "reason": "chipped"},
            "POST /api/v1/webhooks/psp": {"id": f"evt_{uuid.uuid4().hex}", "type": "payment.captured", "data": {"key": str(uuid.uuid4())}},
            "POST /api/v1/products": {"name": "Kettle", "variants": [{"sku": f"K-{uuid.uuid4().hex}", "prices": [price], "stock": 5}]},
            "PATCH /api/v1/products/{id}": {"name": "Kettle"},
            "PATCH /api/v1/variants/{id}": {"options": {"Size": "L"}},
            "PUT /api/v1/variants/{id}/prices": {"prices": [price]},
            "POST /api/v1/variants/{id}/stock-adjustments": {"delta": 1, "reason": "counted"},
            "POST /api/v1/auth/register": account,
            "POST /api/v1/auth/login": {"email": account["email"], "password": account["password"]},
            "POST /api/v1/auth/refresh": {"refresh_token": "rt_" + "A" * 43},
            "POST /api/v1/auth/logout": {"refresh_token": "rt_" + "A" * 43},
            "PATCH /api/v1/users/me": {"name": "Mallory"},
        }
        return bodies.get(str(self.endpoint))

    def body(self) -> bytes | None:
        if self.endpoint.media == "text/csv":
            return CSV
        document = self.document()
        return None if document is None else json.dumps(document).encode()
