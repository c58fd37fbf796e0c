"""An independent client of the platform: what a shop's front end and back office would send.

It speaks only the public HTTP API (and the mail sink's), with httpx; nothing here shares code with
the services.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

T = TypeVar("T")

SETTLED = {"paid", "payment_failed", "cancelled"}
ADDRESS = {
    "name": "Ada Shopper",
    "line1": "Main Street 1",
    "city": "Berlin",
    "postal_code": "10115",
    "country": "DE",
}


def eventually(check: Callable[[], T | None], within: float = 30.0, what: str = "condition") -> T:
    """Polls `check` until it returns something true; fails after `within` seconds."""
    end = time.monotonic() + within
    pause = 0.01
    last: T | None = None
    while time.monotonic() < end:
        last = check()
        if last:
            return last
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)
    raise AssertionError(f"{what} did not come within {within} s; last seen: {last!r}")


class Person:
    """One signed-in user and their connection."""

    def __init__(self, base: str, email: str, tokens: dict[str, Any]) -> None:
        self.email = email
        self.id = tokens["user"]["id"]
        self.tokens = tokens
        self.http = httpx.Client(
            base_url=base,
            timeout=20.0,
            headers={"authorization": f"Bearer {tokens['access_token']}"},
        )

    def order(
        self,
        lines: list[tuple[str, int]],
        token: str = "tok_ok",
        key: str | None = None,
        headers: dict[str, str] | None = None,
        **extra: Any,
    ) -> httpx.Response:
        body = {
            "lines": [{"variant_id": variant, "quantity": quantity} for variant, quantity in lines],
            "currency": "EUR",
            "shipping_address": ADDRESS,
            "payment_method": {"token": token},
        } | extra
        return self.http.post(
            "/api/v1/orders",
            json=body,
            headers={"idempotency-key": key or str(uuid.uuid4())} | (headers or {}),
        )

    def see_order(self, order_id: str) -> dict[str, Any]:
        answer = self.http.get(f"/api/v1/orders/{order_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def wait_for(self, order_id: str, status: str, within: float = 30.0) -> dict[str, Any]:
        def reached() -> dict[str, Any] | None:
            answer = self.http.get(f"/api/v1/orders/{order_id}")
            if answer.status_code != 200:
                return None
            order = answer.json()
            if order["status"] in SETTLED and order["status"] != status and status in SETTLED:
                # paid may still become cancelled; the other settled states are final
                assert order["status"] == "paid", f"order ended as {order['status']}, not {status}"
            return order if order["status"] == status else None

        return eventually(reached, within, f"order {order_id} {status}")

    def payments(self, order_id: str) -> list[dict[str, Any]]:
        answer = self.http.get("/api/v1/payments", params={"order_id": order_id})
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


class Shop:
    """The public door, the mail sink, and the staff account that stocks the shelves."""

    def __init__(self, gateway: str, mail: str, demo_password: str = "stoa-demo-password") -> None:
        self.gateway = gateway
        self.http = httpx.Client(base_url=gateway, timeout=20.0)
        self.mail = httpx.Client(base_url=mail, timeout=10.0)
        self.demo_password = demo_password

    def sign_up(self, email: str | None = None, password: str = "correct horse battery") -> Person:
        email = email or f"buyer-{uuid.uuid4().hex[:12]}@example.test"
        answer = self.http.post(
            "/api/v1/auth/register", json={"email": email, "password": password, "name": "Ada Shopper"}
        )
        assert answer.status_code == 201, answer.text
        return Person(self.gateway, email, answer.json())

    def sign_in(self, email: str, password: str) -> Person:
        answer = self.http.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return Person(self.gateway, email, answer.json())

    def staff(self) -> Person:
        return self.sign_in("merchant@demo.stoa.test", self.demo_password)

    def stock_product(self, staff: Person, stock: int, price: int = 1250, name: str = "Teapot") -> str:
        """A new product with one variant; returns the variant's id."""
        answer = staff.http.post(
            "/api/v1/products",
            json={
                "name": f"{name} {uuid.uuid4().hex[:6]}",
                "description": "Cast iron, 0.8 l",
                "category": "kitchen",
                "variants": [
                    {
                        "sku": f"SKU-{uuid.uuid4().hex[:10]}",
                        "prices": [{"amount": price, "currency": "EUR"}],
                        "stock": stock,
                    }
                ],
            },
        )
        assert answer.status_code == 201, answer.text
        return answer.json()["variants"][0]["id"]

    def mails_to(self, address: str) -> list[dict[str, Any]]:
        answer = self.mail.get("/api/messages", params={"to": address, "limit": 100})
        assert answer.status_code == 200, answer.text
        return answer.json()["messages"]

    def wait_for_mail(self, address: str, subject_part: str, within: float = 30.0) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            for mail in self.mails_to(address):
                if subject_part.lower() in mail["subject"].lower():
                    return mail
            return None

        return eventually(found, within, f"mail '{subject_part}' to {address}")
