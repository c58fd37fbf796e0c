"""The OpenTelemetry protocol 1.x for traces, as far as a receiver needs it: protobuf and JSON to plain spans.

Field numbers are those of opentelemetry/proto/trace/v1/trace.proto and common/v1/common.proto. Decoded by
hand: the generated Python classes are in no Debian package.
"""

import base64
import binascii
import struct

KINDS = ["unspecified", "internal", "server", "client", "producer", "consumer"]
STATUS_CODES = ["unset", "ok", "error"]


class Malformed(ValueError):
    """The bytes are no export request."""


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed("a varint has no end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7


def fields(data: bytes):
    """Yields (field number, value): int for varints, bytes for everything else."""
    at = 0
    while at < len(data):
        tag, at = read_varint(data, at)
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            value, at = read_varint(data, at)
        elif wire in (1, 5):
            size = 8 if wire == 1 else 4
            value, at = data[at : at + size], at + size
        elif wire == 2:
            size, at = read_varint(data, at)
            value, at = data[at : at + size], at + size
        else:
            raise Malformed(f"wire type {wire} is not in use")
        if at > len(data):
            raise Malformed("a field ends beyond its message")
        yield number, value


def any_value(data: bytes):
    for number, value in fields(data):
        if number == 1:
            return value.decode()
        if number == 2:
            return bool(value)
        if number == 3:
            return value - (1 << 64) if value >> 63 else value
        if number == 4:
            return struct.unpack("<d", value)[0]
    return None


def key_value(data: bytes) -> tuple[str, object]:
    key, content = "", None
    for number, value in fields(data):
        if number == 1:
            key = value.decode()
        elif number == 2:
            content = any_value(value)
    return key, content


def status(data: bytes) -> dict:
    result = {"code": "unset", "message": ""}
    for number, value in fields(data):
        if number == 2:
            result["message"] = value.decode()
        elif number == 3:
            result["code"] = STATUS_CODES[value]
    return result


def new_span() -> dict:
    return {
        "trace_id": "", "span_id": "", "parent_span_id": "", "name": "", "kind": "unspecified",
        "start_unix_nano": 0, "end_unix_nano": 0, "attributes": {}, "status": {"code": "unset", "message": ""},
    }


def span(data: bytes) -> dict:
    result = new_span()
    for number, value in fields(data):
        if number in (1, 2, 4):
            result[{1: "trace_id", 2: "span_id", 4: "parent_span_id"}[number]] = value.hex()
        elif number == 5:
            result["name"] = value.decode()
        elif number == 6:
            result["kind"] = KINDS[value]
        elif number in (7, 8):
            name = "start_unix_nano" if number == 7 else "end_unix_nano"
            result[name] = int.from_bytes(value, "little")
        elif number == 9:
            key, content = key_value(value)
            result["attributes"][key] = content
        elif number == 15:
            result["status"] = status(value)
    return result


def resource_of(data: bytes) -> dict:
    return dict(key_value(value) for number, value in fields(data) if number == 1)


def from_protobuf(data: bytes) -> list[dict]:
    """The spans of an ExportTraceServiceRequest. Raises Malformed."""
    spans = []
    try:
        for number, resource_spans in fields(data):
            if number != 1:
                continue
            resource, found = {}, []
            for inner, value in fields(resource_spans):
                if inner == 1:
                    resource = resource_of(value)
                elif inner == 2:
                    found += [span(one) for tag, one in fields(value) if tag == 2]
            spans += [{**one, "resource": resource} for one in found]
    except (AttributeError, TypeError, UnicodeDecodeError, IndexError, struct.error) as error:
        raise Malformed(str(error)) from error
    return spans


def json_value(value: dict):
    if "intValue" in value:
        return int(value["intValue"])
    for kind in ("stringValue", "boolValue", "doubleValue"):
        if kind in value:
            return value[kind]
    return None


def json_attributes(entries: list[dict]) -> dict:
    return {entry["key"]: json_value(entry.get("value", {})) for entry in entries}


def json_id(text: str) -> str:
    """OTLP/JSON writes ids in hexadecimal; protobuf's own JSON in base64."""
    if len(text) in (0, 16, 32):
        try:
            return binascii.unhexlify(text).hex()
        except binascii.Error:
            pass
    return base64.b64decode(text, validate=True).hex()


def json_enum(value, names: list[str]) -> str:
    return names[value] if isinstance(value, int) else str(value).rsplit("_", 1)[-1].lower()


def from_json(document: dict) -> list[dict]:
    """The same of OTLP/JSON. Raises Malformed."""
    spans = []
    try:
        for resource_spans in document.get("resourceSpans", []):
            resource = json_attributes(resource_spans.get("resource", {}).get("attributes", []))
            for scope_spans in resource_spans.get("scopeSpans", []):
                for one in scope_spans.get("spans", []):
                    given = one.get("status", {})
                    spans.append({
                        **new_span(),
                        "trace_id": json_id(one["traceId"]),
                        "span_id": json_id(one["spanId"]),
                        "parent_span_id": json_id(one.get("parentSpanId", "")),
                        "name": one.get("name", ""),
                        "kind": json_enum(one.get("kind", 0), KINDS),
                        "start_unix_nano": int(one.get("startTimeUnixNano", 0)),
                        "end_unix_nano": int(one.get("endTimeUnixNano", 0)),
                        "attributes": json_attributes(one.get("attributes", [])),
                        "status": {
                            "code": json_enum(given.get("code", 0), STATUS_CODES),
                            "message": given.get("message", ""),
                        },
                        "resource": resource,
                    })
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise Malformed(str(error)) from error
    return spans
