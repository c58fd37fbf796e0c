"""product-service asked directly, as a process with its own PostgreSQL and Redis behind it.

What schemathesis cannot know: who may do what, what a condition or a cursor means, and what an upload
that was cut short leaves behind.
"""

from __future__ import annotations

import json
import pathlib
import re
import socket
import time
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import psycopg
import pytest
import yaml

from tests.shop import Person, Shop, eventually

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTRACT = yaml.safe_load((CHECKOUT / "contracts/http/product-service.yaml").read_text())
METHODS = ("get", "post", "put", "patch", "delete")
MERGE_PATCH = {"content-type": "application/merge-patch+json"}
NOBODY = "0" * 26  # the identifier of an id that never was


class Api:
    """One caller at the service's own port."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, timeout=20.0, headers=headers)

    def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        return self.http.request(method, path, **more)


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]


def token_of(stack, service: str, audience: str = "product-service") -> str:
    """As a service mints it for a call: with its own key."""
    key_set = json.loads((stack.secrets / "service-jwks.json").read_text())["keys"]
    key_id = next(key["kid"] for key in key_set if key["service"] == service)
    now = int(time.time())
    claims = {"sub": service, "iss": service, "aud": audience, "iat": now, "exp": now + 600, "jti": uuid.uuid4().hex}
    pem = (stack.secrets / service / "service-key.pem").read_text()
    return jwt.encode(claims, pem, algorithm="RS256", headers={"kid": key_id, "typ": "service+jwt"})


@pytest.fixture(scope="module")
def url(stack) -> str:
    return stack.url("product-service")


@pytest.fixture(scope="module")
def anyone(url) -> Api:
    return Api(url)


@pytest.fixture(scope="module")
def customer(url, shop: Shop) -> Api:
    return Api(url, shop.sign_up().tokens["access_token"])


@pytest.fixture(scope="module")
def merchant(url, staff: Person) -> Api:
    return Api(url, staff.tokens["access_token"])


@pytest.fixture(scope="module")
def orders(url, stack) -> Api:
    return Api(url, token_of(stack, "order-service"))


@pytest.fixture
def make(merchant: Api) -> Callable[..., dict[str, Any]]:
    """Stores a product of one variant; `name` and the rest as given."""

    def store(**more: Any) -> dict[str, Any]:
        variant = {"sku": f"SKU-{uuid.uuid4().hex}", "prices": [{"amount": 1250, "currency": "EUR"}], "stock": 5}
        answer = merchant("POST", "/api/v1/products", json={"name": "Teapot", "variants": [variant]} | more)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return store


def etag_of(api: Api, product: dict[str, Any]) -> str:
    return api("GET", f"/api/v1/products/{product['id']}").headers["etag"]


# ---- who may do what ----
def routes() -> list[tuple[str, str, bool]]:
    """Method, path and whether the contract lets anybody in. Who may reserve stock is asked by a test of its own."""
    return [
        (method.upper(), path, operation.get("security") == [])
        for path, item in CONTRACT["paths"].items()
        for method, operation in item.items()
        if method in METHODS and not path.startswith("/internal/")
    ]


def concrete(path: str) -> str:
    prefix = {"products": "prd", "variants": "var", "imports": "imp"}[path.split("/")[3]]
    return path.replace("{id}", f"{prefix}_{NOBODY}")


@pytest.mark.parametrize(("method", "path", "public"), routes(), ids=lambda value: str(value))
def test_each_route_lets_in_whom_the_contract_says(anyone, customer, merchant, orders, method, path, public) -> None:
    target = concrete(path)
    if public:
        for api in (anyone, customer, merchant):
            assert api(method, target).status_code in (200, 404)
        return
    assert problem(anyone(method, target)) == (401, "token_missing")
    assert problem(customer(method, target)) == (403, "scope_missing")
    assert merchant(method, target).status_code not in (401, 403)
    assert orders(method, target).status_code == 403, "a service is no merchant"


RESERVATIONS = [("POST", "/internal/v1/reservations"), ("POST", f"/internal/v1/reservations/res_{NOBODY}/release")]


@pytest.mark.parametrize(("method", "path"), RESERVATIONS)
def test_reservations_are_for_order_service_alone(
    url, stack, anyone, customer, merchant, orders, method, path
) -> None:
    assert anyone(method, path).status_code == 401
    for api in (customer, merchant, Api(url, token_of(stack, "payment-service"))):
        assert api(method, path).status_code == 403
    assert Api(url, token_of(stack, "order-service", audience="user-service"))(method, path).status_code == 401
    assert orders(method, path).status_code not in (401, 403)


def test_a_token_that_nobody_signed_is_refused(url, staff) -> None:
    head, body, signature = staff.tokens["access_token"].split(".")
    forged = "".join(("A" if signature[0] != "A" else "B", signature[1:]))
    assert problem(Api(url, f"{head}.{body}.{forged}")("GET", "/api/v1/products")) == (401, "token_invalid")


def test_drafts_are_seen_by_staff_only(anyone, customer, merchant, make) -> None:
    path = f"/api/v1/products/{make(status='draft')['id']}"
    assert problem(anyone("GET", path)) == (404, "product_not_found")
    assert problem(customer("GET", path)) == (404, "product_not_found")
    seen = merchant("GET", path)
    assert seen.status_code == 200
    assert seen.headers["cache-control"] == "private, no-store"


# ---- conditions ----
@pytest.mark.parametrize("edit", ["patch", "delete", "variant", "prices"])
def test_an_edit_names_the_version_it_saw(merchant, make, edit) -> None:
    product = make()
    variant = product["variants"][0]["id"]
    method, path, more = {
        "patch": ("PATCH", f"/api/v1/products/{product['id']}", {"content": '{"vendor":"Fern"}', "headers": MERGE_PATCH}),
        "delete": ("DELETE", f"/api/v1/products/{product['id']}", {}),
        "variant": ("PATCH", f"/api/v1/variants/{variant}", {"content": '{"sku":"%s"}' % uuid.uuid4(), "headers": MERGE_PATCH}),
        "prices": ("PUT", f"/api/v1/variants/{variant}/prices", {"json": {"prices": [{"amount": 1, "currency": "EUR"}]}}),
    }[edit]  # fmt: skip

    def send(if_match: str | None) -> httpx.Response:
        headers = more.get("headers", {}) | ({"if-match": if_match} if if_match else {})
        return merchant(method, path, **(more | {"headers": headers}))

    seen = etag_of(merchant, product)
    assert problem(send(None)) == (428, "if_match_required")
    assert problem(send('"7-0123456789abcdef"')) == (412, "etag_mismatch")
    assert problem(send("nonsense")) == (412, "etag_mismatch")
    assert send(seen).status_code in (200, 204)
    assert problem(send(seen)) == (412, "etag_mismatch"), "it names a version that is gone"
    assert etag_of(merchant, product) != seen, "no reader is told the old one from the cache"


def test_what_is_unchanged_is_not_sent_again(anyone, merchant, make) -> None:
    product = make()
    path = f"/api/v1/products/{product['id']}"
    full = anyone("GET", path)
    for condition in (full.headers["etag"], f'"1-x", W/{full.headers["etag"]}', "*"):
        unchanged = anyone("GET", path, headers={"if-none-match": condition})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == full.headers["etag"]
    changed = merchant("PATCH", path, content='{"name":"Pot"}', headers=MERGE_PATCH | {"if-match": full.headers["etag"]})
    assert changed.status_code == 200, changed.text
    again = anyone("GET", path, headers={"if-none-match": full.headers["etag"]})
    assert (again.status_code, again.json()["name"]) == (200, "Pot")
    assert again.headers["etag"] == changed.headers["etag"]


def test_a_repeated_key_is_answered_with_the_first_bytes(merchant) -> None:
    body = {"name": "Cup", "variants": [{"sku": uuid.uuid4().hex, "prices": [{"amount": 1, "currency": "EUR"}]}]}
    key = {"idempotency-key": uuid.uuid4().hex}
    first = merchant("POST", "/api/v1/products", json=body, headers=key)
    again = merchant("POST", "/api/v1/products", json=body, headers=key)
    assert first.status_code == again.status_code == 201
    assert first.content == again.content and first.headers["location"] == again.headers["location"]
    assert again.headers.get("idempotent-replayed") == "true" and "idempotent-replayed" not in first.headers
    other = merchant("POST", "/api/v1/products", json=body | {"name": "Mug"}, headers=key)
    assert problem(other) == (422, "idempotency_key_reused")


# ---- lists ----
@pytest.mark.parametrize("sort", ["created_at", "-created_at", "price", "-price", "name", "-name"])
def test_a_list_is_read_page_by_page(anyone, make, sort) -> None:
    category = f"cat-{uuid.uuid4().hex}"
    made = [make(name=f"Cup {i}", category=category)["id"] for i in range(5)]
    target = f"/api/v1/products?category={category}&sort={sort}&limit=2"
    seen = []
    while target:
        page = anyone("GET", target)
        assert page.status_code == 200, page.text
        seen += [product["id"] for product in page.json()["data"]]
        assert page.json()["has_more"] == ("next_cursor" in page.json()) == ("link" in page.headers)
        link = re.fullmatch('<(.*)>; rel="next"', page.headers.get("link", ""))
        target = link.group(1) if link else None
    assert sorted(seen) == sorted(made), "each once"
    counted = anyone("GET", f"/api/v1/products?category={category}&sort={sort}&limit=2&include_total=estimate").json()
    assert counted["total"] == {"value": 5, "relation": "exact"} and "total" not in page.json()
    assert anyone("GET", f"/api/v1/products?q=,&include_total=estimate").json()["total"]["value"] == 0
    if sort.endswith("name") or sort.endswith("created_at"):
        assert seen == (made[::-1] if sort.startswith("-") else made)


def test_a_cursor_is_good_for_its_own_list(anyone, merchant, make) -> None:
    category = f"cat-{uuid.uuid4().hex}"
    variant = make(category=category)["variants"][0]["id"]
    make(category=category)
    cursor = anyone("GET", f"/api/v1/products?category={category}&limit=1").json()["next_cursor"]

    def listed(query: str) -> httpx.Response:
        return anyone("GET", f"/api/v1/products?{query}&limit=1")

    assert listed(f"category={category}&cursor={cursor}").status_code == 200
    for other in (f"cursor={cursor}", f"category={category}&sort=name&cursor={cursor}", "cursor=nonsense",
                  f"category={category}&cursor={cursor[:-1]}{'A' if cursor[-1] != 'A' else 'B'}x"):  # fmt: skip
        assert problem(listed(other)) == (400, "bad_cursor")
    movements = merchant("GET", f"/api/v1/variants/{variant}/stock-movements?cursor={cursor}")
    assert problem(movements) == (400, "bad_cursor")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "colour=red", "sort=size", "q=a&sort=name", "price[gte]=-1",
              "currency=XXX", "in_stock=maybe", "limit=1&limit=2", "include_total=exact"],
)  # fmt: skip
def test_a_parameter_that_says_nothing_is_400(anyone, query) -> None:
    assert anyone("GET", f"/api/v1/products?{query}").status_code == 400


def test_a_search_forgives_a_typo(anyone, make) -> None:
    word = "".join(chr(ord("a") + int(digit, 16)) for digit in uuid.uuid4().hex[:10])
    made = make(name=f"Quiet {word} lamp")
    for asked in (word, word.upper(), word[:6], word[1] + word[0] + word[2:], word[:-1] + "z", f"{word} queit"):
        found = anyone("GET", "/api/v1/products", params={"q": asked}).json()["data"]
        assert [product["id"] for product in found] == [made["id"]], asked
    assert anyone("GET", "/api/v1/products", params={"q": "zzzzqqqqxxxx"}).json()["data"] == []


# ---- imports ----
def kept_uploads(stack) -> int:
    with psycopg.connect(stack.dsn("products", "product-service")) as db:
        return db.execute("SELECT count(*) FROM imports WHERE state = 'receiving'").fetchone()[0]


def test_an_import_is_text_csv(stack, merchant) -> None:
    for media in ("application/json", "text/plain", None):
        headers = {"content-type": media} if media else {}
        answer = merchant("POST", "/api/v1/imports?currency=EUR", content="Handle\nx\n", headers=headers)
        assert problem(answer)[0] == 415
    csv = {"content-type": "text/csv"}
    assert problem(merchant("POST", "/api/v1/imports", content="x", headers=csv)) == (400, "bad_parameter")
    assert problem(merchant("POST", "/api/v1/imports?currency=EUR&colour=red", content="x", headers=csv))[0] == 400
    assert kept_uploads(stack) == 0


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_an_upload_that_was_cut_short_leaves_nothing(stack, url, staff, framing) -> None:
    """Enough comes that pieces of it are stored; then the connection is gone."""
    piece = b"cut,Cut,,,CUT,1.00,1\n" * 20_000
    announced = b"content-length: 10000000" if framing == "length" else b"transfer-encoding: chunked"
    sent = piece if framing == "length" else b"%x\r\n%b\r\n" % (len(piece), piece)
    address = httpx.URL(url)
    with socket.create_connection((address.host, address.port), timeout=10) as client:
        head = (
            b"POST /api/v1/imports?currency=EUR HTTP/1.1\r\nhost: test\r\ncontent-type: text/csv\r\n"
            b"authorization: Bearer %b\r\n%b\r\n\r\n" % (staff.tokens["access_token"].encode(), announced)
        )
        client.sendall(head + sent)
        eventually(lambda: kept_uploads(stack) == 1, within=10, what="the first pieces stored")
    eventually(lambda: kept_uploads(stack) == 0, within=10, what="nothing left of the upload")
    with psycopg.connect(stack.dsn("products", "product-service")) as db:
        orphans = db.execute("SELECT count(*) FROM import_chunks WHERE import_id NOT IN (SELECT id FROM imports)")
        assert orphans.fetchone()[0] == 0
        assert db.execute("SELECT count(*) FROM variants WHERE sku = 'CUT'").fetchone()[0] == 0


def test_an_import_is_told_until_its_end(merchant) -> None:
    handle = f"tea-{uuid.uuid4().hex}"
    body = f"Handle,Title,Variant SKU,Variant Price,Variant Inventory Qty\n{handle},Tea,{handle},free,1\n"
    headers = {"content-type": "text/csv", "idempotency-key": handle}
    taken = merchant("POST", "/api/v1/imports?currency=EUR", content=body, headers=headers)
    assert taken.status_code == 202, taken.text

    def ended() -> dict[str, Any] | None:
        seen = merchant("GET", taken.headers["location"])
        assert seen.headers["cache-control"] == "private, no-store"
        return seen.json() if seen.json()["status"] == "completed" else None

    report = eventually(ended, what="the import")
    assert report["products"] == {"created": 0, "updated": 0, "unchanged": 0, "refused": 1}
    assert [(p["line"], p["column"], p["code"]) for p in report["problems"]] == [(2, "Variant Price", "price_invalid")]
    again = merchant("POST", "/api/v1/imports?currency=EUR", content=body, headers=headers)
    assert (again.status_code, again.content) == (202, taken.content)
    other = merchant("POST", "/api/v1/imports?currency=USD", content=body, headers=headers)
    assert problem(other) == (422, "idempotency_key_reused")


# ---- stock ----
def reservation(variant: str, quantity: int) -> dict[str, Any]:
    number = uuid.uuid4().int >> 2  # 126 bits: the first character of a TypeID is at most 7
    digits = "0123456789abcdefghjkmnpqrstvwxyz"
    name = "".join(digits[number >> 5 * place & 31] for place in reversed(range(26)))
    buyer = "".join(reversed(name[1:]))
    return {"id": f"res_{name}", "origin": str(uuid.uuid4()), "buyer": f"usr_0{buyer}", "currency": "EUR",
            "lines": [{"variant_id": variant, "quantity": quantity}]}  # fmt: skip


def test_stock_is_reserved_released_and_journalled(merchant, orders, make) -> None:
    variant = make()["variants"][0]["id"]

    def level() -> tuple[int, int, int]:
        seen = merchant("GET", f"/api/v1/variants/{variant}/stock").json()
        return seen["on_hand"], seen["reserved"], seen["available"]

    wanted = reservation(variant, 3)
    first = orders("POST", "/internal/v1/reservations", json=wanted)
    assert first.status_code == 200, first.text
    assert first.json()["lines"][0]["unit_price"] == {"amount": 1250, "currency": "EUR"}
    assert orders("POST", "/internal/v1/reservations", json=wanted).content == first.content
    assert level() == (5, 3, 2)
    refused = orders("POST", "/internal/v1/reservations", json=reservation(variant, 3))
    assert problem(refused) == (409, "out_of_stock")

    adjust = f"/api/v1/variants/{variant}/stock-adjustments"
    too_much = merchant("POST", adjust, json={"delta": -3, "reason": "broken"})
    assert problem(too_much) == (409, "stock_below_reserved")
    assert merchant("POST", adjust, json={"delta": -2, "reason": "broken"}).json()["on_hand"] == 3
    for _ in range(2):
        released = orders("POST", f"/internal/v1/reservations/{wanted['id']}/release")
        assert released.status_code == 204
    assert level() == (3, 0, 3)
    assert problem(orders("POST", "/internal/v1/reservations", json=wanted)) == (409, "reservation_ended")
    journal = merchant("GET", f"/api/v1/variants/{variant}/stock-movements").json()["data"]
    assert [(line["kind"], line["delta"]) for line in journal] == [("adjustment", -2), ("initial", 5)]
    counted = merchant("GET", f"/api/v1/variants/{variant}/stock-movements?limit=1&include_total=estimate")
    assert counted.json()["total"] == {"value": 2, "relation": "exact"}
    assert "include_total=estimate" in counted.headers["link"], "the next page tells it, too"


def test_a_list_follows_what_was_sold_out(anyone, merchant, orders, make) -> None:
    """The cache forgets a product in the moment its last unit goes, and when one comes back."""
    product = make()
    path = f"/api/v1/products/{product['id']}"
    assert anyone("GET", path).json()["in_stock"] is True
    taken = reservation(product["variants"][0]["id"], 5)
    assert orders("POST", "/internal/v1/reservations", json=taken).status_code == 200
    assert anyone("GET", path).json()["in_stock"] is False
    orders("POST", f"/internal/v1/reservations/{taken['id']}/release")
    assert anyone("GET", path).json()["in_stock"] is True


# ---- the process ----
def test_the_admin_port_answers_and_the_public_one_does_not(stack, anyone) -> None:
    for path in ("/livez", "/startupz", "/readyz"):
        assert httpx.get(f"{stack.admin_url('product-service')}{path}").status_code == 200
        assert anyone("GET", path).status_code == 404
    metrics = httpx.get(f"{stack.admin_url('product-service')}/metrics").text
    assert 'stoa_reservations_total{outcome="reserved"}' in metrics
    assert anyone("GET", "/metrics").status_code == 404


def test_a_body_of_the_wrong_kind_changes_nothing(merchant) -> None:
    assert problem(merchant("POST", "/api/v1/products", content="{", headers={"content-type": "application/json"}))[0] == 400
    assert problem(merchant("POST", "/api/v1/products", content="{}", headers={"content-type": "text/csv"}))[0] == 415
    huge = b'{"name":"' + b"x" * (1 << 20) + b'"}'
    assert merchant("POST", "/api/v1/products", content=huge, headers={"content-type": "application/json"}).status_code == 413
    wrong = merchant("POST", "/api/v1/products", json={"name": "", "price": 1, "variants": []})
    assert wrong.status_code == 422 and wrong.json()["errors"][0]["pointer"] == "/price"
