"""Buys in the shop as a new customer, through the public API: buy.py ADDRESS ORDERS

Runs in a pod beside the gateway, so it needs nothing but Python. Prints a JSON object: the customer's address of mail and token,
and for each order its number, status and seconds until that was reached.
"""

import json
import secrets
import sys
import time
import urllib.request

PAID_SECONDS_MAX = 60
ADDRESS = {"name": "Ada Shopper", "line1": "1 Harbour Street", "city": "Porto", "postal_code": "4000-001", "country": "PT"}


def main() -> None:
    shop, count = sys.argv[1], int(sys.argv[2])
    headers = {"content-type": "application/json"}

    def call(method: str, path: str, body: object = None, **more: str) -> dict:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(shop + path, data, headers | more, method=method), timeout=20) as answer:
            return json.load(answer)

    email = f"cluster-{secrets.token_hex(8)}@example.com"
    token = call("POST", "/api/v1/auth/register", {"email": email, "password": secrets.token_urlsafe(24), "name": "Ada Shopper"})["access_token"]
    headers["authorization"] = f"Bearer {token}"
    variants = [one for product in call("GET", "/api/v1/products?in_stock=true&limit=20")["data"] for one in product["variants"] if one["in_stock"]]
    orders = []
    for _ in range(count):
        variant = secrets.choice(variants)  # hundreds of orders would empty the first shelf
        begin = time.monotonic()
        order = call("POST", "/api/v1/orders", {"lines": [{"variant_id": variant["id"], "quantity": 1}], "currency": variant["prices"][0]["currency"],
                     "shipping_address": ADDRESS, "payment_method": {"token": "tok_ok"}}, **{"idempotency-key": secrets.token_hex(16)})
        while order["status"] == "pending" and time.monotonic() < begin + PAID_SECONDS_MAX:
            time.sleep(0.1)
            order = call("GET", f"/api/v1/orders/{order['id']}")
        orders.append({"id": order["id"], "number": order["number"], "status": order["status"], "seconds": round(time.monotonic() - begin, 2)})
    print(json.dumps({"email": email, "token": token, "orders": orders}))


main()
