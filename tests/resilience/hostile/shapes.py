"""Hostile requests for one endpoint: each a request that would be served, but for one thing."""

from __future__ import annotations

import dataclasses
import urllib.parse
from collections.abc import Callable, Iterable, Iterator

from tests.resilience.hostile import documents
from tests.resilience.hostile.endpoints import Endpoint
from tests.resilience.hostile.market import CSV, Subject
from tests.resilience.hostile.tokens import hostile_service_tokens, hostile_user_tokens
from tests.resilience.hostile.wire import request

REFUSED = frozenset(range(400, 500))
CLOSED = 0  # without an answer
MIB = 1024 * 1024
SMALLEST_LIMIT = 64 * 1024  # of a body: the provider's events
SMUGGLED = b"GET /docs/problems HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n"
INJECTED = "' OR '1'='1'; DROP TABLE orders; --"


@dataclasses.dataclass(frozen=True)
class Shape:
    name: str
    family: str
    make: Callable[[], bytes | Iterable[bytes]]
    allowed: frozenset[int]  # statuses; CLOSED among them: the connection may be closed without one
    takes: bool = False  # nothing is wrong with it by the contract: what the contract promises is right, too
    sent: str = ""  # the text inside, which an answer may tell back


def framing(subject: Subject) -> Iterator[Shape]:
    """Where one reader sees one request, and another two (RFC 9112 section 11.2)."""
    method, target = subject.endpoint.method, subject.target(subject.ids())
    body = subject.body() or b""
    good = [f"{name}: {value}".encode() for name, value in subject.headers(body)]
    length = f"content-length: {len(body)}".encode()
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"

    def whole(*lines: bytes, line: bytes = b"", host: bytes = b"host: shop.test", rest: bytes = b"", end: bytes = b"\r\n") -> bytes:
        first = line or f"{method} {target} HTTP/1.1".encode()
        return end.join([first, *([host] if host else []), *good, *lines]) + end + end + rest + SMUGGLED

    coded = b"transfer-encoding: chunked"
    shapes = {
        "TwoLengths": whole(length, b"content-length: 0", rest=body),
        "TwoEqualLengths": whole(length, length, rest=body),
        "LengthList": whole(length + b", %d" % len(body), rest=body),
        "LengthWithSign": whole(b"content-length: +%d" % len(body), rest=body),
        "NegativeLength": whole(b"content-length: -1", rest=body),
        "HexLength": whole(b"content-length: 0x%x" % len(body), rest=body),
        "LengthOverflow": whole(b"content-length: 18446744073709551617", rest=body),
        "LengthAndChunked": whole(length, coded, rest=chunked),
        "ChunkedAndLength": whole(coded, length, rest=chunked),
        "TwoCodings": whole(coded, coded, rest=chunked),
        "UnknownCoding": whole(b"transfer-encoding: xchunked", rest=chunked),
        "CodingBeforeChunked": whole(b"transfer-encoding: gzip, chunked", rest=chunked),
        "CodingWithVerticalTab": whole(b"transfer-encoding:\x0bchunked", rest=chunked),
        "CodingSpaceBeforeColon": whole(b"transfer-encoding : chunked", rest=chunked),
        "CodingInAFold": whole(b"x: y\r\n transfer-encoding: chunked", rest=chunked),
        "ChunkedInHttp10": whole(coded, line=f"{method} {target} HTTP/1.0".encode(), rest=chunked),
        "BadChunkSize": whole(coded, rest=b"zz\r\n" + body + b"\r\n0\r\n\r\n"),
        "NegativeChunkSize": whole(coded, rest=b"-1\r\n" + body + b"\r\n0\r\n\r\n"),
        "HugeChunkSize": whole(coded, rest=b"fffffffffffffffff\r\n" + body + b"\r\n0\r\n\r\n"),
        "ChunkLongerThanItsSize": whole(coded, rest=b"1\r\nabc\r\n0\r\n\r\n"),
        "BareLfAfterChunkSize": whole(coded, rest=b"1\na\r\n0\r\n\r\n"),
        "EndlessChunkExtension": whole(coded, rest=b"1;" + b"x" * 20_000 + b"\r\na\r\n0\r\n\r\n"),
        "EndlessTrailer": whole(coded, rest=b"0\r\nx: " + b"x" * 20_000 + b"\r\n\r\n"),
        "SpaceBeforeColon": whole(b"x : y"),
        "NameWithoutColon": whole(b"just-a-name"),
        "EmptyName": whole(b": y"),
        "ObsFold": whole(b"x: y\r\n folded"),
        "NulInValue": whole(b"x: a\x00b"),
        "NulInName": whole(b"x\x00y: a"),
        "BareCrInValue": whole(b"x: a\rb"),
        "BareLf": whole(end=b"\n"),
        "NoHost": whole(host=b""),
        "TwoHosts": whole(b"host: evil.test"),
        "HostWithPath": whole(host=b"host: shop.test/evil"),
        "Http09": f"{method} {target}\r\n\r\n".encode() + SMUGGLED,
        "Http12": whole(line=f"{method} {target} HTTP/1.2".encode()),
        "Http2Preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SMUGGLED,
        "TwoSpaces": whole(line=f"{method}  {target} HTTP/1.1".encode()),
        "SpaceInTarget": whole(line=f"{method} {target} x HTTP/1.1".encode()),
        "AbsoluteTarget": whole(line=f"{method} http://evil.test{target} HTTP/1.1".encode()),
        "BytesInTarget": whole(line=f"{method} {target}".encode() + b"\xff\xfe HTTP/1.1"),
        "UnknownMethod": whole(line=f"BREW {target} HTTP/1.1".encode()),
        "LowerCaseMethod": whole(line=f"{method.lower()} {target} HTTP/1.1".encode()),
        "HugeHeader": whole(b"x: " + b"x" * 17 * 1024),
        "ManyHeaders": whole(*[b"a: b"] * 64),
        "UnknownExpectation": whole(length, b"expect: miracles", b"connection: close", rest=body),
    }
    status = {"EndlessChunkExtension": 431, "EndlessTrailer": 431, "HugeHeader": 431, "ManyHeaders": 431, "UnknownExpectation": 417}
    for name, raw in shapes.items():
        yield Shape(name, "framing", lambda raw=raw: raw, frozenset({status.get(name, 400)}))


def sizes(subject: Subject) -> Iterator[Shape]:
    """More than anybody needs: refused by what is announced, or as soon as it is too much."""
    endpoint, target = subject.endpoint, subject.target(subject.ids())
    headers = subject.headers(b"")
    limit = 64 * MIB if endpoint.media == "text/csv" else MIB
    head = request(endpoint.method, target, headers)[:-2]

    def flood() -> Iterator[bytes]:
        piece = b"a" * (64 * 1024)
        yield head + b"transfer-encoding: chunked\r\n\r\n"
        for _ in range(limit // len(piece) + 2):
            yield b"%x\r\n%s\r\n" % (len(piece), piece)
        yield b"0\r\n\r\n"

    announced = head + b"content-length: 1073741824\r\n\r\nabc"
    yield Shape("GigabyteAnnounced", "size", lambda: announced, frozenset({413}))
    early = {400, 401, 422} if "/webhooks/" in endpoint.path or endpoint.media == "text/csv" else set()  # judged as it comes
    yield Shape("BodyWithoutEnd", "size", flood, frozenset({413, CLOSED} | early))
    many = b"".join([head, b"a: b\r\n" * 300_000, b"\r\n"])
    yield Shape("ThreeHundredThousandHeaders", "size", lambda: many, frozenset({431, CLOSED}))
    long = request(endpoint.method, target + ("&" if "?" in target else "?") + "x=" + "y" * 9 * 1024, headers)
    yield Shape("HugeTarget", "size", lambda: long, frozenset({414}))


def tokens(subject: Subject) -> Iterator[Shape]:
    """Who may not ask: nobody's token, a stolen key's, another kind of caller's, too little of a role."""
    endpoint, market, body, target = subject.endpoint, subject.market, subject.body(), subject.target(subject.ids())
    unauthenticated = frozenset({401})

    def asked(name: str, token: str | bytes, allowed: frozenset[int], scheme: bytes = b"Bearer ") -> Shape:
        rest = [pair for pair in subject.headers(body, token="") if pair[0] != "authorization"]
        raw = token.encode() if isinstance(token, str) else token
        return Shape(name, "token", lambda: request(endpoint.method, target, [("authorization", scheme + raw), *rest], body), allowed)

    good = subject.token() if endpoint.access in ("signed_in", "scope") else market.mallory.tokens["access_token"]
    for name, token in hostile_user_tokens(market.keys, good).items():
        yield asked(name, token, frozenset({400, 401}) if "\x00" in token else unauthenticated)
    yield asked("Basic", b"bWU6bWU=", unauthenticated if endpoint.access != "anyone" else unauthenticated | REFUSED, b"Basic ")
    caller = endpoint.callers[0] if endpoint.callers else "notification-service"
    for name, token in hostile_service_tokens(market.keys, caller, endpoint.service).items():
        yield asked(name, token, unauthenticated)
    if endpoint.access == "anyone":
        return
    headers = [pair for pair in subject.headers(body) if pair[0] != "authorization"]
    yield Shape("NoToken", "token", lambda: request(endpoint.method, target, headers, body), unauthenticated)
    twice = [("authorization", f"Bearer {good}")] * 2
    yield Shape("TwoTokens", "token", lambda: request(endpoint.method, target, [*twice, *headers], body), frozenset({400, 401}))
    forbidden = frozenset({403})
    if endpoint.access == "service":
        yield asked("UserAtAnInternalEndpoint", market.staff.tokens["access_token"], forbidden)
        stranger = next(one for one in market.keys.service_kids if one not in endpoint.callers)
        yield asked("ServiceThatMayNot", market.keys.service(stranger, endpoint.service), forbidden)
    if endpoint.access == "scope":
        claimed = [("x-user-id", market.staff.id), ("x-user-roles", "admin"), ("x-user-scopes", "users:admin orders:read_all catalog:write")]
        mine = subject.headers(body, token=market.mallory.tokens["access_token"])
        yield Shape("CustomerAsStaff", "token", lambda: request(endpoint.method, target, mine, body), forbidden)
        yield Shape("CustomerWhoClaimsToBeStaff", "token", lambda: request(endpoint.method, target, [*claimed, *mine], body), forbidden)


def paths(subject: Subject) -> Iterator[Shape]:
    """What is another's, nobody's, or no id; and ways out of the tree."""
    endpoint, body, ids = subject.endpoint, subject.body(), subject.ids()
    missing = frozenset({404})

    def at(name: str, target: str | bytes, allowed: frozenset[int], takes: bool = False) -> Shape:
        return Shape(name, "path", lambda: request(endpoint.method, target, subject.headers(body), body), allowed, takes)

    path = subject.target(ids)
    bare, _, query = path.partition("?")
    end = f"?{query}" if query else ""
    yield at("Traversal", "/../../../../etc/passwd", missing)
    yield at("TraversalInside", f"{bare}/../../../etc/passwd{end}", frozenset({404, 405}))
    yield at("TraversalEncoded", f"{bare}/%2e%2e%2f%2e%2e%2fetc%2fpasswd{end}", frozenset({404, 405}))  # an id of that name
    yield at("TraversalToTheInside", f"/api/v1/orders/..%2f..%2f..{bare}", missing)
    yield at("BackslashInside", bare.replace("/", "/\\..\\", 1), frozenset({400, 404}))
    yield at("TwoSlashes", bare.replace("/", "//", 1), missing)
    yield at("SlashAtTheEnd", f"{bare}/{end}", missing)
    yield at("NulAtTheEnd", f"{bare}%00{end}", frozenset({400, 404}))
    yield at("BadEscape", f"{bare}%zz{end}", frozenset({400, 404}))
    if not ids:
        return
    for number, other in enumerate(subject.others()):
        yield at(f"OfOthers{number}", subject.target({"id": other, "code": "no_such_code"}), missing, takes=endpoint.access == "service")  # "none" is an answer
    for name, value in {
        "Sql": urllib.parse.quote(INJECTED, safe=""),
        "Template": urllib.parse.quote("{{7*7}}${7*7}<%= 7*7 %>", safe=""),
        "Nul": f"{ids['id']}%00",
        "NotUtf8": "%ff%fe",
        "LineEnd": f"{ids['id']}%0d%0aset-cookie:%20a=b",
        "Long": "x" * 4_000,
        "UpperCase": ids["id"].upper(),
        "Negative": "-1",
        "Star": "*",
    }.items():
        yield at(f"Id{name}", subject.target({"id": value, "code": value}), frozenset({400, 404}))


def queries(subject: Subject) -> Iterator[Shape]:
    """Parameters of the query: of the wrong type, twice, unknown, unreadable; and cursors of other lists."""
    endpoint = subject.endpoint
    known = endpoint.parameters("query")
    if endpoint.method != "GET" and not known:
        return
    body, target = subject.body(), subject.target(subject.ids())
    bare, _, good = target.partition("?")
    refused = frozenset({400})

    def with_query(name: str, query: str, allowed: frozenset[int] = refused, takes: bool = False, sent: str = "") -> Shape:
        own = [part for part in good.split("&") if part and part.split("=")[0] not in query]
        full = f"{bare}?{'&'.join([*own, query])}"
        return Shape(name, "query", lambda: request(endpoint.method, full, subject.headers(body), body), allowed, takes, sent)

    yield with_query("UnknownParameter", "role=admin", refused, takes=not known)
    yield with_query("BadEscape", "x=%zz", refused, takes=not known)
    for parameter in known:
        name, schema = urllib.parse.quote(parameter["name"], safe=""), parameter["schema"]
        text = documents.free_text(schema)
        for label, value in {
            "Sql": INJECTED,
            "Template": "{{7*7}}",
            "HugeNumber": "9" * 40,
            "Negative": "-1",
            "NotANumber": "NaN",
            "Long": "z" * 5_000,
        }.items():
            fits = documents.fits(value, schema)
            yield with_query(f"{label}In:{parameter['name']}", f"{name}={urllib.parse.quote(value, safe='')}", REFUSED if fits else refused, fits, value)
        for label, raw in {"Nul": "a%00b", "NotUtf8": "%ff", "BadEscape": "%e"}.items():
            yield with_query(f"{label}In:{parameter['name']}", f"{name}={raw}", refused, takes=text and label == "Nul")
        yield with_query(f"Twice:{parameter['name']}", f"{name}=1&{name}=2")
        if parameter["name"] == "cursor":
            stolen = subject.market.staff.http.get("/api/v1/products?limit=1&sort=name").json().get("next_cursor", "AAAA")
            yield with_query("CursorOfAnotherList", f"cursor={stolen}")


def headers(subject: Subject) -> Iterator[Shape]:
    """Headers that are believed too easily, and those that the contract names."""
    endpoint, body, target = subject.endpoint, subject.body(), subject.target(subject.ids())

    def sent_with(name: str, pairs: list[tuple[str, str | bytes]], allowed: frozenset[int] = REFUSED, takes: bool = True) -> Shape:
        replaced = {pair[0].lower() for pair in pairs}
        rest = [pair for pair in subject.headers(body) if pair[0] not in replaced]
        return Shape(name, "header", lambda: request(endpoint.method, target, [*pairs, *rest], body), allowed, takes)

    yield sent_with("RequestIdWithMarkup", [("x-request-id", "<script>alert(1)</script>")])
    yield sent_with("RequestIdLong", [("x-request-id", "a" * 5_000)])
    yield sent_with("TraceOfZeros", [("traceparent", "00-" + "0" * 32 + "-" + "0" * 16 + "-ff"), ("tracestate", "a=" + "b" * 4_000)])
    yield sent_with("MethodOverride", [("x-http-method-override", "DELETE"), ("x-method-override", "DELETE")])
    yield sent_with("UpgradeToHttp2", [("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")])
    yield sent_with("ForwardedByNobody", [("x-forwarded-for", INJECTED), ("forwarded", "for=evil;host=evil"), ("x-forwarded-host", "evil.test")])
    yield sent_with("RangeOfEverything", [("range", "bytes=" + ",".join(["0-"] * 500))])
    yield sent_with("AcceptOfNothing", [("accept", "*/*;q=" + "9" * 400), ("accept-encoding", "gzip;q=1e999")])
    if body is not None and endpoint.media:
        for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml", "application/x-www-form-urlencoded", ""):
            yield sent_with(f"MediaType:{kind or 'none'}", [("content-type", kind)], frozenset({415}), takes=False)
    for parameter in endpoint.parameters("header"):
        name = parameter["name"].lower()
        if name == "idempotency-key":
            for label, key in {"Empty": b"", "Long": b"k" * 256, "Blank": b"a b", "Bytes": b"\xc3\xa9\xff", "Tab": b"a\tb"}.items():
                yield sent_with(f"Key{label}", [(name, key)], frozenset({400}), takes=False)
        if name == "if-match":
            required = parameter.get("required", False)
            for label, tag in {"Made": b'"99999999999999999999"', "Sql": INJECTED.encode(), "Bytes": b'"\xff\xfe"'}.items():
                yield sent_with(f"Tag{label}", [(name, tag)], frozenset({400, 412}), takes=False)
            if required:
                rest = [pair for pair in subject.headers(body) if pair[0] != name]
                yield Shape("TagMissing", "header", lambda rest=rest: request(endpoint.method, target, rest, body), frozenset({428}))
        if name == "provider-signature":
            yield from signatures(subject, target)


def signatures(subject: Subject, target: str) -> Iterator[Shape]:
    body = subject.body() or b""
    good = subject.signature(body)
    stamp, digest = good.split(",")
    for name, value in {
        "Missing": None,
        "Empty": "",
        "Digits": f"{stamp},v1={'0' * 64}",
        "OfAnotherBody": subject.signature(body + b" "),
        "Old": subject.signature(body, at=int(stamp[2:]) - 3_600),
        "OfTomorrow": subject.signature(body, at=int(stamp[2:]) + 86_400),
        "TimeChanged": f"t={int(stamp[2:]) + 1},{digest}",
        "TimeHuge": f"t={'9' * 40},{digest}",
        "OfAnOlderScheme": good.replace("v1=", "v0="),
        "Cut": good[:-2],
    }.items():
        pairs = [("content-type", "application/json")] + ([("provider-signature", value)] if value is not None else [])
        yield Shape(f"Signature{name}", "header", lambda pairs=pairs: request("POST", target, pairs, body), frozenset({401}))


def too_large(raw: bytes) -> frozenset[int]:
    return frozenset({413} if len(raw) > SMALLEST_LIMIT else ())


def bodies(subject: Subject) -> Iterator[Shape]:
    endpoint = subject.endpoint
    target = subject.target(subject.ids())

    def with_body(name: str, raw: bytes, allowed: frozenset[int], takes: bool = False, sent: str = "") -> Shape:
        return Shape(name, "body", lambda: request(endpoint.method, target, subject.headers(raw), raw), allowed, takes, sent)

    if endpoint.media == "text/csv":
        for name, raw in documents.hostile_files(CSV).items():
            yield with_body(name, raw, REFUSED, takes=True)
        return
    document = subject.document()
    if document is None:
        return
    for name, raw in documents.unreadable(document).items():
        yield with_body(name, raw, too_large(raw) | {400})
    for name, changed, text in documents.changed(subject.document, endpoint.schema):
        fits = documents.fits(changed, endpoint.schema)
        raw = documents.written(changed)
        yield with_body(name, raw, REFUSED if fits else too_large(raw) | {400, 422}, fits, text)


FAMILIES = (framing, sizes, tokens, paths, queries, headers, bodies)


def shapes(subject: Subject) -> Iterator[Shape]:
    for family in FAMILIES:
        yield from family(subject)


def door_is_shut(endpoint: Endpoint, subject: Subject) -> Shape:
    """An internal endpoint, asked for at the public door with the right token."""
    body, target = subject.body(), subject.target(subject.ids())
    return Shape("FromOutside", "path", lambda: request(endpoint.method, target, subject.headers(body), body), frozenset({401, 404}))
