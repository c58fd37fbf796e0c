"""The sink as an exporter and a test meet it."""

import json
import pathlib
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

FOLDER = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(FOLDER))
import otlp  # noqa: E402

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"


def length_delimited(field: int, content: bytes) -> bytes:
    assert len(content) < 128 * 128
    size = bytes([len(content)]) if len(content) < 128 else bytes([len(content) & 127 | 128, len(content) >> 7])
    return bytes([field << 3 | 2]) + size + content


def request_of(span: bytes) -> bytes:
    service = length_delimited(1, b"service.name") + length_delimited(2, length_delimited(1, b"order-service"))
    resource = length_delimited(1, length_delimited(1, service))
    return length_delimited(1, resource + length_delimited(2, length_delimited(2, span)))


PROTOBUF_SPAN = (
    length_delimited(1, bytes.fromhex(TRACE))
    + length_delimited(2, bytes.fromhex(SPAN))
    + length_delimited(4, bytes(range(8)))
    + length_delimited(5, b"place order")
    + bytes([6 << 3, 2])
    + bytes([7 << 3 | 1]) + (5).to_bytes(8, "little")
    + bytes([8 << 3 | 1]) + (9).to_bytes(8, "little")
    + length_delimited(9, length_delimited(1, b"lines") + length_delimited(2, b"\x18" + b"\xff" * 9 + b"\x01"))
    + length_delimited(15, length_delimited(2, b"gone") + bytes([3 << 3, 2]))
)

EXPECTED = {
    "trace_id": TRACE, "span_id": SPAN, "parent_span_id": "0001020304050607", "name": "place order",
    "kind": "server", "start_unix_nano": 5, "end_unix_nano": 9, "attributes": {"lines": -1},
    "status": {"code": "error", "message": "gone"}, "resource": {"service.name": "order-service"},
}

JSON_REQUEST = {"resourceSpans": [{
    "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "order-service"}}]},
    "scopeSpans": [{"spans": [{
        "traceId": TRACE, "spanId": SPAN, "parentSpanId": "0001020304050607", "name": "place order", "kind": 2,
        "startTimeUnixNano": "5", "endTimeUnixNano": "9",
        "attributes": [{"key": "lines", "value": {"intValue": "-1"}}],
        "status": {"code": 2, "message": "gone"},
    }]}],
}]}


def test_protobuf_and_json_say_the_same():
    assert otlp.from_protobuf(request_of(PROTOBUF_SPAN)) == [EXPECTED]
    assert otlp.from_json(JSON_REQUEST) == [EXPECTED]


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x7f", b"\x0b", request_of(PROTOBUF_SPAN)[:-3]])
def test_refuses_what_is_no_request(data):
    with pytest.raises(otlp.Malformed):
        otlp.from_protobuf(data)


@pytest.fixture
def sink():
    process = subprocess.Popen([FOLDER / "otlp-sink"], stdout=subprocess.PIPE, text=True)
    port = json.loads(process.stdout.readline())["port"]
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(10)
    process.stdout.close()


def call(method: str, url: str, body: bytes | None = None, content_type: str = "application/x-protobuf"):
    request = urllib.request.Request(url, body, {"content-type": content_type}, method=method)
    with urllib.request.urlopen(request, timeout=10) as response:
        return response.status, response.read()


def spans(url: str) -> list[dict]:
    return json.loads(call("GET", url)[1])["spans"]


def test_keeps_spans_by_trace_until_deleted(sink):
    assert call("POST", sink + "/v1/traces", request_of(PROTOBUF_SPAN)) == (200, b"")
    assert call("POST", sink + "/v1/traces", json.dumps(JSON_REQUEST).encode(), "application/json") == (200, b"{}")
    assert spans(f"{sink}/spans?trace_id={TRACE}") == [EXPECTED, EXPECTED]
    assert spans(f"{sink}/spans?trace_id={'0' * 32}") == []
    assert call("DELETE", sink + "/spans")[0] == 204
    assert spans(sink + "/spans") == []


@pytest.mark.parametrize(("path", "body", "kind", "status"), [
    ("/v1/traces", b"\xff", "application/x-protobuf", 400),
    ("/v1/traces", b"{", "application/json", 400),
    ("/v1/traces", b"", "text/plain", 415),
    ("/v1/metrics", b"", "application/x-protobuf", 404),
])
def test_refuses(sink, path, body, kind, status):
    with pytest.raises(urllib.error.HTTPError) as refused:
        call("POST", sink + path, body, kind)
    assert refused.value.code == status
    refused.value.close()
    assert spans(sink + "/spans") == []
