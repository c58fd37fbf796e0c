"""Hostile input: its pure parts, and its short form on a real stack."""

from __future__ import annotations

import copy
import dataclasses

import pytest

from tests.resilience.hostile import documents, poison
from tests.resilience.hostile.endpoints import endpoints, routes_of
from tests.resilience.hostile.health import Pulse, compared
from tests.resilience.hostile.shapes import Shape
from tests.resilience.hostile.verdict import Judge
from tests.resilience.hostile.wire import Answer, Reply, parse, request
from tests.resilience.section import Order
from tests.resilience.sections import hostile

ENDPOINTS = {str(endpoint): endpoint for endpoint in endpoints()}
PROBLEM = (
    b'{"type":"/docs/problems/token_missing","title":"t","status":401,"detail":"d","code":"token_missing",'
    b'"retryable":false,"instance":"/x","trace_id":"1"}'
)
GOOD = Answer(401, {"content-type": "application/problem+json"}, PROBLEM)
SHAPE = Shape("AlgNone", "token", lambda: b"", frozenset({401}))


def test_every_shape_meets_every_endpoint_and_nothing_is_wrong_afterwards(tmp_path):
    section = hostile.run(Order(seed=1, size="short", folder=tmp_path))
    assert section.violations == []
    assert section.figures["endpoints"] == len(ENDPOINTS)
    assert section.figures["shapes"] >= 500
    assert section.figures["requests"] >= 43 * 100
    assert section.figures["trickling connections"] == 200
    assert section.figures["poison messages"] == 75


def test_every_route_of_the_code_is_an_endpoint_with_a_contract():
    assert len(ENDPOINTS) >= 43
    assert {endpoint.service for endpoint in ENDPOINTS.values()} == {
        "api-gateway", "user-service", "product-service", "order-service", "payment-service",
    }  # fmt: skip
    assert [name for name, endpoint in ENDPOINTS.items() if not endpoint.operation] == []
    assert {endpoint.access for endpoint in ENDPOINTS.values()} == {"anyone", "signed_in", "scope", "service"}
    assert ENDPOINTS["POST /internal/v1/reservations"].callers == ("order-service",)


def test_a_route_that_cannot_be_read_is_not_left_out():
    with pytest.raises(ValueError, match="cannot read"):
        routes_of("a-service", 'router.get(path_of(x), anyone, show_it);')


def reply(*answers: Answer, hung: bool = False) -> Reply:
    return Reply(answers, b"", hung, 1.0)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (reply(hung=True), "no end"),
        (reply(), "closed without an answer"),
        (reply(GOOD, GOOD), "2 answers"),
        (reply(dataclasses.replace(GOOD, status=200)), "answered 200"),
        (reply(dataclasses.replace(GOOD, status=500)), "answered 500"),
        (reply(dataclasses.replace(GOOD, headers={"content-type": "text/html"})), "as text/html"),
        (reply(dataclasses.replace(GOOD, body=b"<html>")), "no JSON"),
        (reply(dataclasses.replace(GOOD, body=PROBLEM.replace(b'"trace_id":"1"', b'"a":1'))), "without trace_id"),
        (reply(dataclasses.replace(GOOD, body=PROBLEM.replace(b"token_missing", b"made_up"))), "documented as None"),
        (reply(dataclasses.replace(GOOD, body=PROBLEM.replace(b'"d"', b'"ERROR: syntax error at or near"'))), "tells of the inside"),
        (reply(dataclasses.replace(GOOD, body=PROBLEM.replace(b'"d"', b'"/src/servicekit/a.cpp:3"'))), "tells of the inside"),
        (reply(dataclasses.replace(GOOD, headers=GOOD.headers | {"x-request-id": "<b>"})), "request id as it came"),
    ],
)
def test_what_is_wrong_with_an_answer_is_noticed(given, fault):
    found = Judge().faults(ENDPOINTS["GET /api/v1/orders"], SHAPE, given)
    assert any(fault in one for one in found), found


def test_a_documented_refusal_is_fine():
    assert Judge().faults(ENDPOINTS["GET /api/v1/orders"], SHAPE, reply(GOOD)) == []


def test_a_success_is_fine_only_where_the_contract_takes_what_was_sent():
    answer = reply(Answer(201, {}, b"{}"))
    taken = dataclasses.replace(SHAPE, allowed=frozenset({400, 422}), takes=True)
    assert Judge().faults(ENDPOINTS["POST /api/v1/orders"], taken, answer) == []
    assert Judge().faults(ENDPOINTS["POST /api/v1/orders"], dataclasses.replace(taken, takes=False), answer) != []


def test_the_contract_says_what_a_document_may_hold():
    schema = ENDPOINTS["POST /api/v1/orders"].schema
    good = {
        "lines": [{"variant_id": "var_01jd0000000000000000000000", "quantity": 1}],
        "currency": "EUR",
        "shipping_address": {"name": "A", "line1": "B", "city": "C", "postal_code": "1", "country": "DE"},
        "payment_method": {"token": "tok_ok"},
    }
    assert documents.fits(good, schema)
    made = list(documents.changed(lambda: copy.deepcopy(good), schema))
    assert len(made) >= 400
    assert [name for name, document, _ in made if name.startswith("Negative") and documents.fits(document, schema)] == []
    assert "SqlIn:shipping_address/name" in [name for name, document, _ in made if documents.fits(document, schema)]


def test_bytes_are_read_as_the_answers_they_are():
    raw = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 400 Bad Request\r\ncontent-length: 2\r\n\r\nabHTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    assert [(answer.status, answer.body) for answer in parse(raw)] == [(400, b"ab"), (200, b"x")]
    assert parse(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc") == ()
    assert request("GET", "/a", [("x", "y")], b"z").endswith(b"x: y\r\ncontent-length: 1\r\n\r\nz")


def test_every_queue_of_the_table_gets_its_poison():
    assert len(poison.queues()) == 5
    assert all(len(poison.poisons(key)) == 15 for key in poison.queues().values())


def test_a_service_that_died_grew_or_kept_connections_is_noticed():
    was = Pulse(pid=1, interruptions=0, mebibytes=40, descriptors=30, log_bytes=0)
    now = dict(restarted=dataclasses.replace(was, pid=2), grew=dataclasses.replace(was, mebibytes=400), kept=dataclasses.replace(was, descriptors=300))
    assert len(compared({name: was for name in now}, now)) == 3
    assert compared({"same": was}, {"same": was}) == []
