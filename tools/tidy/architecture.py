"""Which way dependencies point: ARCHITECTURE.md's rule, by includes."""

import re

from tidy import cpp
from tidy.tree import Finding, Tree, is_test, line_of, service_of

APP_MUST_NOT_SEE = ("servicekit/http/", "servicekit/postgres/", "servicekit/redis/", "servicekit/messaging/")
FORBIDDEN_IN_DOMAIN = re.compile(r"\b(getenv|system_clock::now|steady_clock::now|co_await|std::random_device)\b")
SQL = re.compile(
    r"\b(SELECT\s+[\w*(\"']|INSERT\s+INTO\b|UPDATE\s+\w+\s+SET\b|DELETE\s+FROM\b|CREATE\s+TABLE\b|ALTER\s+TABLE\b|TRUNCATE\s)"
)
SQL_PLACES = re.compile(
    r"services/[^/]+/(adapters/)?pg_[a-z0-9_]+\.[ch]pp|servicekit/(postgres|testing)/.*|servicekit/messaging/detail/outbox_table\.cpp"
)
FORBIDDEN_FOLDERS = {"common", "utils", "util", "helpers", "misc", "base"}


def forbidden_include(file: str, include: str) -> str | None:
    """Why `file` must not include `include` (without brackets), or nothing."""
    service, parts = service_of(file), file.split("/")
    if file.startswith("servicekit/") and include.startswith("services/"):
        return "servicekit knows no service"
    if service is None:
        return None
    if include.startswith("services/") and not include.startswith(f"services/{service}/"):
        return "services meet in contracts/, over the wire"
    layer = parts[2]
    if layer == "domain":
        own = f"services/{service}/domain/"
        if "/" in include and not include.startswith(("servicekit/core/", own)):
            return "domain/ sees the standard library, servicekit/core and itself"
    if layer == "app" and include.startswith((f"services/{service}/adapters/", *APP_MUST_NOT_SEE)):
        return "app/ owns its ports; adapters fulfil them"
    return None


def dependency(tree: Tree):
    for file in tree.cpp():
        if is_test(file):
            continue
        for line, name in cpp.includes(tree.text(file)):
            why = forbidden_include(file, name.strip('<>"'))
            if why:
                yield Finding(file, line, "dependency", f"includes {name}: {why}")


def pure_domain(tree: Tree):
    for file in tree.cpp():
        if service_of(file) is None or file.split("/")[2] != "domain" or is_test(file):
            continue
        for match in FORBIDDEN_IN_DOMAIN.finditer(tree.code(file)):
            yield Finding(file, line_of(tree.code(file), match.start()), "pure-domain", f"uses {match[0]}: pass it in")


def sql_place(tree: Tree):
    for file in tree.cpp():
        if is_test(file) or SQL_PLACES.fullmatch(file) or file.startswith(("tools/", "bench/")):
            continue
        code, literals = tree.code(file), tree.code_with_literals(file)
        for match in SQL.finditer(literals):
            if code[match.start()] == " ":  # blanked: so it stands in a literal
                yield Finding(file, line_of(literals, match.start()), "sql-place", "SQL belongs into adapters/pg_*.cpp")


def folder_names(tree: Tree):
    seen = set()
    for file in tree.files:
        parts = file.split("/")[:-1]
        for depth, name in enumerate(parts):
            folder = "/".join(parts[: depth + 1])
            if name in FORBIDDEN_FOLDERS and folder not in seen:
                seen.add(folder)
                yield Finding(folder, 1, "folder-name", f'"{name}" says nothing: name what it hides')


RULES = [dependency, pure_domain, sql_place, folder_names]
