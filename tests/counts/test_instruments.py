"""The counters count what they say: given what is known, they tell it."""

from __future__ import annotations

import pathlib
import struct

import pytest

from tests.counts.ceilings import Ceilings
from tests.counts.statements import Executed, Conversation, Messages
from tests.counts.system_calls import Trace


def message(kind: str, body: bytes = b"") -> bytes:
    return kind.encode() + struct.pack("!I", 4 + len(body)) + body


def bind(statement: bytes, *values: bytes) -> bytes:
    parts = [struct.pack("!i", len(value)) + value for value in values]
    return message("B", b"\0" + statement + b"\0" + struct.pack("!HH", 0, len(values)) + b"".join(parts) + struct.pack("!H", 0))


EXECUTE = message("E", b"\0" + struct.pack("!I", 0))
SYNC, READY, BOUND = message("S"), message("Z", b"I"), message("2")


def spoken(*turns: tuple[str, bytes]) -> list[Executed]:
    """What is told of a conversation; each turn is cut into pieces of three bytes."""
    done: list[Executed] = []
    conversation = Conversation({"user": "order-service"}, done.append)
    sides = {"client": (Messages(), conversation.client_says), "server": (Messages(), conversation.server_says)}
    for side, said in turns:
        messages, hear = sides[side]
        for at in range(0, len(said), 3):
            for kind, body in messages.feed(said[at : at + 3]):
                hear(kind, body)
    assert not any(isinstance(item, Executed) for item in conversation.pending)
    return done


PREPARE = message("P", b"s1\0UPDATE  a\n SET b = $1\0" + struct.pack("!H", 0)) + SYNC


def test_two_statements_of_one_pipeline_are_two_statements_and_one_round_trip():
    done = spoken(
        ("client", PREPARE + bind(b"s1", b"1") + EXECUTE + bind(b"s1", b"22") + EXECUTE + SYNC),
        ("server", message("1") + READY + BOUND + message("C", b"UPDATE 3\0") + BOUND + message("C", b"UPDATE 0\0") + READY),
    )
    assert [(one.text, one.values, one.rows, one.waits) for one in done] == [
        ("UPDATE a SET b = $1", (b"1",), 3, True),
        ("UPDATE a SET b = $1", (b"22",), 0, False),
    ]


def test_what_is_said_after_an_answer_is_a_round_trip_of_its_own():
    once = [("client", bind(b"s1", b"1") + EXECUTE + SYNC), ("server", BOUND + message("C", b"UPDATE 1\0") + READY)]
    done = spoken(("client", PREPARE), ("server", message("1") + READY), *once, *once)
    assert [one.waits for one in done] == [True, True]


def test_what_stands_behind_a_failed_statement_is_passed_over():
    done = spoken(
        ("client", PREPARE + bind(b"s1", b"1") + EXECUTE + bind(b"s1", b"2") + EXECUTE + SYNC + bind(b"s1", b"3") + EXECUTE + SYNC),
        ("server", message("1") + READY + message("E", b"\0") + READY + BOUND + message("C", b"UPDATE 1\0") + READY),
    )
    assert [(one.values, one.failed, one.rows) for one in done] == [((b"1",), True, 0), ((b"2",), False, 0), ((b"3",), False, 1)]


def test_a_simple_query_is_one_statement():
    done = spoken(("client", message("Q", b"BEGIN\0")), ("server", message("C", b"BEGIN\0") + READY))
    assert [(one.text, one.rows) for one in done] == [("BEGIN", 0)]


def test_calls_are_cut_where_the_loop_receives_a_request(tmp_path: pathlib.Path):
    lines = r"""7  epoll_wait(5, [], 128, 0) = 0
7  recvmsg(9, {msg_iov=[{iov_base="GET /a HTTP/1.1\r\n"...}]}, 0) = 11
8  write(1, "GET /a", 6 <unfinished ...>
7  sendmsg(9, <unfinished ...>
8  <... write resumed>)              = 6
7  <... sendmsg resumed>{msg_iovlen=1}, 0) = 11
7  recvmsg(9,  <unfinished ...>
7  <... recvmsg resumed>{msg_iov=[{iov_base="GET /a HTTP/1.1\r\n"...}]}, 0) = 11
7  sendmsg(9, {msg_iovlen=1}, 0) = 11
7  epoll_wait(5, [], 128, 0) = 0
7  recvmsg(9, {msg_iov=[{iov_base="GET /a HTTP/1.1\r\n"...}]}, 0) = 11
"""
    (tmp_path / "trace").write_text(lines)
    requests = Trace(7, tmp_path / "trace").requests('"GET /a ')
    assert [[call.name for call in request] for request in requests] == [["recvmsg", "sendmsg"], ["recvmsg", "sendmsg", "epoll_wait"]]


@pytest.fixture
def judge(tmp_path: pathlib.Path):
    file = tmp_path / "ceilings.yaml"
    file.write_text("""
s: {what: w, because: the reason, where_to_look: "look here", ceilings: {
  a: {exactly: 5, because: a's reason}, b: {at_most: 7, because: b's reason}}}
""")
    return lambda **counted: Ceilings(file).judge("s", counted, lambda name: f"parts of {name}")


def test_a_count_at_its_ceiling_passes(judge):
    judge(a=5, b=7)
    judge(a=5, b=3)


@pytest.mark.parametrize(
    ("counted", "said"),
    [
        ({"a": 6, "b": 7}, "a: 6, ceiling 5: 1 more"),
        ({"a": 4, "b": 7}, "a: 4, ceiling 5: 1 fewer"),
        ({"a": 5, "b": 9}, "b: 9, ceiling 7: 2 more"),
        ({"a": 5}, "b: not counted any more"),
        ({"a": 5, "b": 7, "c": 1}, "c: 1, but ceilings.yaml has no ceiling"),
    ],
)
def test_a_count_beside_its_ceiling_says_by_how_much_and_where_to_look(judge, counted, said):
    with pytest.raises(AssertionError) as failure:
        judge(**counted)
    assert said in str(failure.value)
    assert "the reason" in str(failure.value) and "look here" in str(failure.value)
