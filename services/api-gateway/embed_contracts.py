"""Writes what the gateway publishes of contracts/ as one C++ source.

embed_contracts.py OUTPUT OPENAPI_FILE... -- PROBLEM_FILE...

The OpenAPI documents of the services become one (paths under /internal stay inside); the entries of
problems.d become one HTML page each and an index. A contradiction between two files ends the build.
"""

import html
import json
import pathlib
import re
import sys

import yaml

STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem;color:#222}"
    "code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}a{color:#0a58ca}"
    "table{border-collapse:collapse}td{padding:.3em 1em .3em 0;vertical-align:top}"
)


def page(title: str, body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>'
        f"{html.escape(title)}</title><style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def problem_page(problem: dict) -> str:
    return page(
        problem["title"],
        f"<h1>{html.escape(problem['title'])}</h1>"
        f"<p>HTTP status <strong>{problem['status']}</strong>, code <code>{html.escape(problem['code'])}</code></p>"
        f"<p>{html.escape(problem['meaning'])}</p>"
        '<p><a href="/docs/problems">All errors</a></p>',
    )


def index_page(problems: list[dict]) -> str:
    rows = "".join(
        f'<tr><td>{p["status"]}</td><td><a href="/docs/problems/{html.escape(p["code"])}">'
        f"<code>{html.escape(p['code'])}</code></a></td><td>{html.escape(p['title'])}</td></tr>"
        for p in problems
    )
    return page("Errors of the Stoa API", f"<h1>Errors of the Stoa API</h1><table>{rows}</table>")


def read_problems(files: list[str]) -> list[dict]:
    by_code: dict[str, dict] = {}
    for file in sorted(files):
        for problem in yaml.safe_load(pathlib.Path(file).read_text()) or []:
            if set(problem) != {"code", "status", "title", "meaning"}:
                sys.exit(f"{file}: an entry has code, status, title and meaning, got {sorted(problem)}")
            if not re.fullmatch(r"[a-z][a-z0-9_]*", problem["code"]):
                sys.exit(f"{file}: a code is snake_case, got {problem['code']}")
            if problem["code"] in by_code:
                sys.exit(f"{file}: {problem['code']} is described twice")
            by_code[problem["code"]] = problem
    return [by_code[code] for code in sorted(by_code)]


def with_refs(node, renamed: dict[str, str]):
    """The node with every $ref that `renamed` names pointing at its new place."""
    if isinstance(node, dict):
        return {
            key: renamed.get(value, value) if key == "$ref" and isinstance(value, str) else with_refs(value, renamed)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [with_refs(item, renamed) for item in node]
    return node


def merge_components(merged: dict, document: dict, service: str) -> dict:
    """Adds the document's components; a name that means something else already gets the service's prefix."""
    components = document.get("components", {})
    renamed = {
        f"#/components/{kind}/{name}": f"#/components/{kind}/{service.replace('-', '_')}_{name}"
        for kind, items in components.items()
        for name, item in items.items()
        if merged.setdefault(kind, {}).get(name, item) != item
    }
    for kind, items in components.items():
        for name, item in items.items():
            target = renamed.get(f"#/components/{kind}/{name}", f"#/components/{kind}/{name}").rsplit("/", 1)[1]
            merged[kind][target] = with_refs(item, renamed)
    return with_refs(document, renamed)


def merge_openapi(files: list[str]) -> dict:
    merged: dict = {
        "openapi": "3.1.0",
        "info": {"title": "Stoa", "version": "1", "description": "Every public endpoint, as the gateway serves it."},
        "servers": [{"url": "/"}],
        "tags": [],
        "paths": {},
        "components": {},
    }
    for file in sorted(files):
        service = pathlib.Path(file).stem
        document = merge_components(merged["components"], yaml.safe_load(pathlib.Path(file).read_text()), service)
        merged["tags"].append({"name": service, "description": document.get("info", {}).get("description", "")})
        for path, item in document.get("paths", {}).items():
            if path.startswith("/internal"):
                continue
            if path in merged["paths"]:
                sys.exit(f"{file}: {path} is served by two services")
            for operation in item.values():
                if isinstance(operation, dict):
                    operation.setdefault("tags", [service])
                    if "security" in document:
                        operation.setdefault("security", document["security"])
            merged["paths"][path] = item
    return merged


def literal(text: str) -> str:
    def escaped(byte: int) -> str:
        char = chr(byte)
        # '?' because of trigraphs; octal has at most three digits and cannot run on.
        return char if 0x20 <= byte < 0x7F and char not in '"\\?' else f"\\{byte:03o}"

    data = text.encode()
    pieces = [data[i : i + 4000] for i in range(0, len(data), 4000)] or [b""]
    return "\n".join('"' + "".join(map(escaped, piece)) + '"' for piece in pieces)


def main() -> None:
    output, *files = sys.argv[1:]
    split = files.index("--")
    openapi = json.dumps(merge_openapi(files[:split]), separators=(",", ":"), ensure_ascii=False, default=str)
    problems = read_problems(files[split + 1 :])
    rows = ",\n".join(f'{{"{p["code"]}", std::string_view{{{literal(problem_page(p))}}}}}' for p in problems)
    pathlib.Path(output).write_text(
        f"""// Written by embed_contracts.py.
#include <array>

#include "services/api-gateway/pages.hpp"

namespace stoa::gateway {{
namespace {{
constexpr std::array<ProblemPage, {len(problems)}> pages{{{{
{rows}
}}}};
}}  // namespace

std::span<const ProblemPage> problem_pages() {{ return pages; }}
std::string_view problem_index() {{
  return {literal(index_page(problems))};
}}
std::string_view openapi_json() {{
  return {literal(openapi)};
}}

}}  // namespace stoa::gateway
"""
    )


main()
