"""The bounds that contracts/http/product-service.yaml states are those that product-service keeps.

Each is asked at the bound, where it must take it, and one beyond, where it must refuse by the member's
pointer: a contract narrower or wider than the code turns red.
"""

from __future__ import annotations

import copy
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTRACT = yaml.safe_load((CHECKOUT / "contracts/http/product-service.yaml").read_text())
SCHEMAS = CONTRACT["components"]["schemas"]
NEW = SCHEMAS["NewProduct"]["properties"]
NEW_VARIANT = NEW["variants"]["items"]["properties"]
MONEY = SCHEMAS["Money"]["properties"]["amount"]
ADJUSTMENT = CONTRACT["paths"]["/api/v1/variants/{id}/stock-adjustments"]["post"]["requestBody"]["content"][
    "application/json"
]["schema"]["properties"]
# As many codes of ISO 4217 as a variant may have prices, and one more.
CURRENCIES = (
    "EUR USD GBP JPY CHF SEK NOK DKK PLN CZK HUF RON BGN ISK TRY ILS ZAR BRL MXN CAD AUD NZD SGD HKD CNY KRW INR THB "
    "MYR IDR PHP VND KWD"
).split()

Body = dict[str, Any]


def variant(**more: Any) -> Body:
    return {"sku": uuid.uuid4().hex, "prices": [{"amount": 100, "currency": "EUR"}]} | more


def product(**more: Any) -> Body:
    return {"name": "Teapot", "handle": f"t-{uuid.uuid4().hex}", "variants": [variant()]} | more


def unique(length: int) -> str:
    """Handles and SKUs name one thing in the shop."""
    return uuid.uuid4().hex.ljust(length, "x")[:length]


def prices(count: int) -> list[Body]:
    return [{"amount": 1, "currency": code} for code in CURRENCIES[:count]]


# What is bounded, by the schema that says so, and a body in which it has the size n.
TEXTS: dict[str, tuple[Body, Callable[[int], Body]]] = {
    "/name": (NEW["name"], lambda n: product(name="x" * n)),
    "/handle": (NEW["handle"], lambda n: product(handle=unique(n))),
    "/description": (NEW["description"], lambda n: product(description="x" * n)),
    "/category": (NEW["category"], lambda n: product(category="x" * n)),
    "/vendor": (NEW["vendor"], lambda n: product(vendor="x" * n)),
    "/image_url": (NEW["image_url"], lambda n: product(image_url="x" * n)),
    "/tags/0": (NEW["tags"]["items"], lambda n: product(tags=["x" * n])),
    "/variants/0/sku": (NEW_VARIANT["sku"], lambda n: product(variants=[variant(sku=unique(n))])),
    "/variants/0/options": (
        SCHEMAS["Options"]["additionalProperties"], lambda n: product(variants=[variant(options={"Size": "x" * n})]),
    ),
    "/variants/0/options ": (
        SCHEMAS["Options"]["propertyNames"], lambda n: product(variants=[variant(options={"x" * n: "S"})]),
    ),
}  # fmt: skip
COUNTS: dict[str, tuple[tuple[int, int], Callable[[int], Body]]] = {
    "/tags": ((0, NEW["tags"]["maxItems"]), lambda n: product(tags=["x"] * n)),
    "/variants": (
        (NEW["variants"]["minItems"], NEW["variants"]["maxItems"]),
        lambda n: product(variants=[variant(options={"Size": str(i)}) for i in range(n)]),
    ),
    "/variants/0/options": (
        (0, SCHEMAS["Options"]["maxProperties"]),
        lambda n: product(variants=[variant(options={str(i): "x" for i in range(n)})]),
    ),
    "/variants/0/prices": (
        (SCHEMAS["Prices"]["minItems"], SCHEMAS["Prices"]["maxItems"]),
        lambda n: product(variants=[variant(prices=prices(n))]),
    ),
    "/variants/0/stock": (
        (NEW_VARIANT["stock"]["minimum"], NEW_VARIANT["stock"]["maximum"]),
        lambda n: product(variants=[variant(stock=n)]),
    ),
    "/variants/0/prices/0/amount": (
        (MONEY["minimum"], MONEY["maximum"]),
        lambda n: product(variants=[variant(prices=[{"amount": n, "currency": "EUR"}])]),
    ),
}
BOUNDS = [
    *((pointer.strip(), low, high, make) for pointer, ((low, high), make) in COUNTS.items()),
    *((pointer.strip(), schema.get("minLength", 0), schema["maxLength"], make) for pointer, (schema, make) in TEXTS.items()),
]  # fmt: skip


@pytest.fixture(scope="module")
def http(stack, staff) -> httpx.Client:
    token = staff.tokens["access_token"]
    return httpx.Client(
        base_url=stack.url("product-service"), timeout=20.0, headers={"authorization": f"Bearer {token}"}
    )


def refused_at(answer: httpx.Response) -> set[str]:
    assert answer.status_code == 422, f"{answer.status_code}: {answer.text[:300]}"
    return {error["pointer"] for error in answer.json()["errors"]}


@pytest.mark.parametrize(("pointer", "low", "high", "make"), BOUNDS, ids=[f"{b[0]}-{b[1]}-{b[2]}" for b in BOUNDS])
def test_a_product_is_taken_up_to_its_bounds_and_no_further(http, pointer, low, high, make) -> None:
    for inside in (low, high):
        taken = http.post("/api/v1/products", json=make(inside))
        assert taken.status_code == 201, f"{inside}: {taken.text[:300]}"
    assert any(at.startswith(pointer) for at in refused_at(http.post("/api/v1/products", json=make(high + 1))))
    if low > 0:
        assert any(at.startswith(pointer) for at in refused_at(http.post("/api/v1/products", json=make(low - 1))))


def test_a_patch_has_the_bounds_of_a_new_product() -> None:
    for member, schema in SCHEMAS["ProductPatch"]["properties"].items():
        wanted, stated = copy.deepcopy(NEW[member]), copy.deepcopy(schema)
        for one in (wanted, stated):
            one.pop("type", None)
        if member == "status":
            # Not null: to a new product that is no status given, to a patch it is one taken away.
            assert stated["enum"] == [*filter(None, wanted["enum"]), "archived"]
        else:
            assert stated == wanted, member


def test_a_status_is_one_of_the_contract(http) -> None:
    for status in NEW["status"]["enum"]:
        assert http.post("/api/v1/products", json=product(status=status)).status_code == 201
    for status in ("archived", "sold", ""):
        assert refused_at(http.post("/api/v1/products", json=product(status=status))) == {"/status"}


def test_an_adjustment_is_taken_up_to_its_bounds_and_no_further(http) -> None:
    made = http.post("/api/v1/products", json=product()).json()
    path = f"/api/v1/variants/{made['variants'][0]['id']}/stock-adjustments"

    def adjust(delta: int = 1, reason: str = "x") -> httpx.Response:
        return http.post(path, json={"delta": delta, "reason": reason})

    for delta in (ADJUSTMENT["delta"]["maximum"], ADJUSTMENT["delta"]["minimum"]):
        assert adjust(delta).status_code == 200
    for delta in (ADJUSTMENT["delta"]["maximum"] + 1, ADJUSTMENT["delta"]["minimum"] - 1, ADJUSTMENT["delta"]["not"]["const"]):
        assert refused_at(adjust(delta)) == {"/delta"}
    for length in (ADJUSTMENT["reason"]["minLength"], ADJUSTMENT["reason"]["maxLength"]):
        assert adjust(reason="x" * length).status_code == 200
    for length in (ADJUSTMENT["reason"]["minLength"] - 1, ADJUSTMENT["reason"]["maxLength"] + 1):
        assert refused_at(adjust(reason="x" * length)) == {"/reason"}


@pytest.mark.parametrize("name", ["q", "category"])
def test_a_text_of_the_query_is_taken_up_to_its_bound_and_no_further(http, name) -> None:
    parameters = CONTRACT["paths"]["/api/v1/products"]["get"]["parameters"]
    bound = next(p["schema"]["maxLength"] for p in parameters if p.get("name") == name)
    assert http.get("/api/v1/products", params={name: "x" * bound}).status_code == 200
    assert http.get("/api/v1/products", params={name: "x" * (bound + 1)}).status_code == 400
