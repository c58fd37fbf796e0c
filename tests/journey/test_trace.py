"""One trace id from the HTTP request to the mail."""

from __future__ import annotations

import secrets

from tests.shop import Shop, eventually


def test_one_trace_leads_from_the_request_to_the_mail(shop: Shop, staff, spans) -> None:
    variant = shop.stock_product(staff, stock=1)
    buyer = shop.sign_up()
    trace_id = secrets.token_hex(16)
    order = buyer.order(
        [(variant, 1)], headers={"traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"}
    ).json()
    buyer.wait_for(order["id"], "paid")
    mail = shop.wait_for_mail(buyer.email, order["number"])
    assert trace_id in str(mail["headers"])

    wanted = {"api-gateway", "order-service", "product-service", "payment-service", "notification-service"}

    def complete() -> set[str] | None:
        seen = {span["resource"]["service.name"] for span in spans(trace_id)}
        return seen if wanted <= seen else None

    eventually(complete, within=30, what=f"spans of {wanted}")
