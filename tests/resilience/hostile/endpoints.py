"""Every endpoint of the platform: the routes that the services mount, with what contracts/http promises of them."""

from __future__ import annotations

import dataclasses
import pathlib
import re
from typing import Any

import yaml

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
CALL = re.compile(r"\brouter\s*\.\s*(get|post|put|patch|del|head|options)\s*\(")
ROUTE = re.compile(CALL.pattern + r'\s*"(?P<path>[^"]+)",\s*(?P<access>.*?),\s*(?:\[this\]|to\(|show_\w+)', re.DOTALL)
SHARED_CALLER = re.compile(r"http::Access caller = (http::from_services\(\{.*?\}\))", re.DOTALL)
# What servicekit refuses before a route is asked; every operation may answer it.
GENERAL = ("http.yaml", "json.yaml", "auth.yaml")


@dataclasses.dataclass(frozen=True)
class Endpoint:
    service: str
    method: str
    path: str
    access: str  # anyone, signed_in, scope, service
    callers: tuple[str, ...]  # of access "service": who may
    operation: dict[str, Any]  # of the contract, references resolved; empty: none promised (it is internal)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def public(self) -> bool:
        return not self.path.startswith("/internal/")

    @property
    def media(self) -> str:
        """The type of its body, "" when it takes none."""
        return next(iter(self.operation.get("requestBody", {}).get("content", {})), "")

    @property
    def schema(self) -> dict[str, Any]:
        return self.operation.get("requestBody", {}).get("content", {}).get(self.media, {}).get("schema", {})

    def parameters(self, place: str) -> list[dict[str, Any]]:
        return [each for each in self.operation.get("parameters", []) if each["in"] == place]

    @property
    def statuses(self) -> set[int]:
        return {int(status) for status in self.operation.get("responses", {})}


def resolved(node: Any, document: dict[str, Any]) -> Any:
    if isinstance(node, list):
        return [resolved(each, document) for each in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = document
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolved(target, document)
    return {key: resolved(value, document) for key, value in node.items()}


def operations() -> dict[tuple[str, str, str], dict[str, Any]]:
    """(service, method, path) → operation, with the parameters of its path."""
    found = {}
    for file in sorted((CHECKOUT / "contracts/http").glob("*-*.yaml")):
        document = yaml.safe_load(file.read_text())
        for path, item in document["paths"].items():
            shared = resolved(item.get("parameters", []), document)
            for method, operation in item.items():
                if method != "parameters":
                    full = resolved(operation, document)
                    found[file.stem, method.upper(), path] = full | {"parameters": shared + full.get("parameters", [])}
    return found


def access_of(words: str, source: str) -> tuple[str, tuple[str, ...]]:
    if words == "caller":
        words = SHARED_CALLER.search(source)[1]
    if "from_services" in words:
        return "service", tuple(re.findall(r'"([a-z-]+)"', words))
    if "needs(" in words:
        return "scope", ()
    return words.rsplit("::", 1)[-1].strip(), ()


def routes_of(service: str, source: str) -> list[tuple[str, str, str, tuple[str, ...]]]:
    """(method, path, access, callers) of the lines that mount; one that cannot be read is an error, not left out."""
    calls = list(CALL.finditer(source))
    found = [ROUTE.match(source, call.start()) for call in calls]
    if None in found:
        lost = source[calls[found.index(None)].start() :][:80]
        raise ValueError(f"{service}: a route that this cannot read: {lost}")
    return [
        ("DELETE" if one[1] == "del" else one[1].upper(), one["path"], *access_of(" ".join(one["access"].split()), source))
        for one in found
    ]


def endpoints() -> list[Endpoint]:
    promised = operations()
    found = []
    for service in sorted(folder.name for folder in (CHECKOUT / "services").iterdir() if folder.is_dir()):
        for file in sorted((CHECKOUT / "services" / service).rglob("*.cpp")):
            if "tests" not in file.parts:
                for method, path, access, callers in routes_of(service, file.read_text()):
                    operation = promised.pop((service, method, path), {})
                    found.append(Endpoint(service, method, path, access, callers, operation))
    if promised:
        raise ValueError(f"promised, but mounted nowhere: {', '.join(' '.join(key) for key in promised)}")
    return found


def problem_codes() -> dict[str, int]:
    """Every error code of the platform → its status."""
    files = sorted((CHECKOUT / "contracts/http/problems.d").glob("*.yaml"))
    return {one["code"]: one["status"] for file in files for one in yaml.safe_load(file.read_text())}


def general_codes() -> set[str]:
    return {one["code"] for name in GENERAL for one in yaml.safe_load((CHECKOUT / "contracts/http/problems.d" / name).read_text())}
