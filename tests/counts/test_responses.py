"""How many bytes the main endpoints answer with, head and body apart: a header or a field that creeps in is seen."""

from __future__ import annotations

import json
import uuid

import pytest

from tests.counts.hot_path import Wire
from tests.shop import ADDRESS, eventually

PASSWORD = "correct horse battery"


def shown_head(head: bytes) -> str:
    return "\n".join(f"{len(line) + 2:>5}  {line.decode()[:100]}" for line in head.split(b"\r\n") if line)


def shown_body(body: bytes) -> str:
    """Each member with its bytes, name included; of a list its first."""
    def members(value, path: str) -> list[str]:
        if isinstance(value, dict):
            return [line for name, inner in value.items() for line in members(inner, f"{path}/{name}")]
        if isinstance(value, list):
            return [f"       {path}: {len(value)} of"] + (members(value[0], f"{path}/0") if value else [])
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return [f"{len(text.encode()) + len(path.rpartition('/')[2]) + 3:>5}  {path}: {text[:60]}"]

    return "\n".join(members(json.loads(body), "")) if body else ""


def json_of(answer: tuple[bytes, bytes]) -> dict:
    return json.loads(answer[1])


@pytest.fixture(scope="module")
def answers(stack, staff) -> dict[str, tuple[bytes, bytes]]:
    """Head and body, by what was asked."""
    category = f"counts-{uuid.uuid4().hex[:8]}"
    products = [stocked(staff, f"Kettle {number:02}", category) for number in range(20)]
    email = f"buyer-{uuid.uuid4().hex[:12]}@example.test"
    json_type = {"content-type": "application/json"}
    account = {"email": email, "password": PASSWORD}
    answers: dict[str, tuple[bytes, bytes]] = {}
    with Wire(stack.url("api-gateway")) as wire:
        def ask(name: str, status: int, method: str, path: str, headers: dict[str, str], body: dict | None = None) -> dict:
            answers[name] = wire.ask(method, path, headers, json.dumps(body).encode() if body else b"")
            head = answers[name][0]
            assert head.startswith(f"HTTP/1.1 {status} ".encode()), head + answers[name][1]
            return json_of(answers[name])

        ask("registration", 201, "POST", "/api/v1/auth/register", json_type, account | {"name": "Ada Shopper"})
        tokens = ask("login", 200, "POST", "/api/v1/auth/login", json_type, account)
        signed_in = {"authorization": f"Bearer {tokens['access_token']}"}
        ask("who am I", 200, "GET", "/api/v1/users/me", signed_in)
        ask("product", 200, "GET", f"/api/v1/products/{products[0]['id']}", {})
        ask("list of 20 products", 200, "GET", f"/api/v1/products?category={category}&limit=20", {})
        order = ask("order placed", 201, "POST", "/api/v1/orders", signed_in | json_type | {"idempotency-key": str(uuid.uuid4())}, {
            "lines": [{"variant_id": products[0]["variants"][0]["id"], "quantity": 1}], "currency": "EUR",
            "shipping_address": ADDRESS, "payment_method": {"token": "tok_ok"}})  # fmt: skip
        eventually(lambda: json_of(wire.ask("GET", f"/api/v1/orders/{order['id']}", signed_in))["status"] == "paid", what="paid")
        ask("order paid", 200, "GET", f"/api/v1/orders/{order['id']}", signed_in)
        ask("list of one order", 200, "GET", "/api/v1/orders?limit=20", signed_in)
        ask("payments of an order", 200, "GET", f"/api/v1/payments?order_id={order['id']}", signed_in)
        ask("not signed in", 401, "GET", "/api/v1/users/me", {})
        ask("no such path", 404, "GET", "/api/v1/nothing", {})
    return answers


def test_bytes_of_the_heads(answers, ceilings) -> None:
    counted = {name: len(head) for name, (head, _) in answers.items()}
    ceilings.judge("header_bytes", counted, lambda name: shown_head(answers[name][0]))


def test_bytes_of_the_bodies(answers, ceilings) -> None:
    counted = {name: len(body) for name, (_, body) in answers.items()}
    ceilings.judge("body_bytes", counted, lambda name: shown_body(answers[name][1]))


def stocked(staff, name: str, category: str) -> dict:
    """A product whose every member has the same length each time."""
    answer = staff.http.post("/api/v1/products", json={
        "name": name, "description": "Cast iron, 0.8 l", "category": category, "variants": [
            {"sku": f"SKU-{uuid.uuid4().hex[:10]}", "prices": [{"amount": 1250, "currency": "EUR"}], "stock": 5}]})  # fmt: skip
    assert answer.status_code == 201, answer.text
    return answer.json()
