"""Accounts and sessions through the public door."""

from __future__ import annotations

from tests.shop import Shop, eventually


def test_refresh_rotates_and_reuse_ends_the_session(shop: Shop) -> None:
    buyer = shop.sign_up()
    first = buyer.tokens["refresh_token"]
    second = shop.http.post("/api/v1/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]
    third = shop.http.post("/api/v1/auth/refresh", json={"refresh_token": second})
    assert third.status_code == 200
    reuse = shop.http.post("/api/v1/auth/refresh", json={"refresh_token": first})
    assert reuse.status_code == 401
    dead = shop.http.post("/api/v1/auth/refresh", json={"refresh_token": third.json()["refresh_token"]})
    assert dead.status_code == 401, "the whole family is revoked"


def test_a_revoked_session_is_refused_everywhere_within_seconds(shop: Shop) -> None:
    buyer = shop.sign_up()
    assert buyer.http.get("/api/v1/orders").status_code == 200
    assert buyer.http.post("/api/v1/auth/logout-all").status_code == 204
    for path in ("/api/v1/users/me", "/api/v1/orders"):
        eventually(lambda: buyer.http.get(path).status_code == 401, within=10, what=f"401 at {path}")


def test_login_tells_no_difference_between_unknown_and_wrong(shop: Shop) -> None:
    buyer = shop.sign_up()
    wrong = shop.http.post("/api/v1/auth/login", json={"email": buyer.email, "password": "not the password"})
    unknown = shop.http.post(
        "/api/v1/auth/login", json={"email": "nobody@example.test", "password": "not the password"}
    )
    assert wrong.status_code == unknown.status_code == 401
    drop = {"trace_id", "instance"}
    assert {k: v for k, v in wrong.json().items() if k not in drop} == {
        k: v for k, v in unknown.json().items() if k not in drop
    }


def test_an_erased_account_is_gone(shop: Shop) -> None:
    buyer = shop.sign_up()
    assert buyer.http.delete("/api/v1/users/me").status_code == 204
    again = shop.http.post(
        "/api/v1/auth/login", json={"email": buyer.email, "password": "correct horse battery"}
    )
    assert again.status_code == 401


def test_a_customer_may_not_write_the_catalogue(shop: Shop) -> None:
    buyer = shop.sign_up()
    answer = buyer.http.post("/api/v1/products", json={"name": "x", "variants": []})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


def test_internal_routes_have_no_door(shop: Shop) -> None:
    buyer = shop.sign_up()
    for path in ("/internal/v1/revocations", "/metrics", "/readyz", "/internal/v1/reservations"):
        assert buyer.http.get(path).status_code == 404
