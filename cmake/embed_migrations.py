"""Writes SQL migrations as one C++ source: embed_migrations.py NAMESPACE OUTPUT FILE..."""

import pathlib
import re
import sys


def literal(text: str) -> str:
    # Pieces of at most 8,000 characters: compilers need not accept longer literals.
    pieces = [text[i : i + 8000] for i in range(0, len(text), 8000)] or [""]
    return "\n".join(f'R"migration({piece})migration"' for piece in pieces)


def main() -> None:
    namespace, output, *files = sys.argv[1:]
    rows = []
    for file in sorted(files, key=lambda f: pathlib.Path(f).name):
        match = re.fullmatch(r"(\d{4})_([a-z0-9_]+)\.sql", pathlib.Path(file).name)
        if not match:
            sys.exit(f"{file}: a migration is named NNNN_what_it_does.sql")
        rows.append((int(match[1]), match[2], pathlib.Path(file).read_text()))
    numbers = [number for number, _, _ in rows]
    if numbers != list(range(1, len(numbers) + 1)):
        sys.exit(f"migrations are numbered 0001.. without a gap, got {numbers}")
    body = ",\n".join(
        f'  ::stoa::postgres::Migration{{.number = {number}, .name = "{name}", .sql = {literal(sql)}}}'
        for number, name, sql in rows
    )
    pathlib.Path(output).write_text(
        f"""// Written by cmake/embed_migrations.py.
#include <array>
#include <span>

#include "servicekit/postgres/migrations.hpp"

namespace stoa::{namespace} {{
namespace {{
constexpr std::array all{{
{body}
}};
}}  // namespace

std::span<const ::stoa::postgres::Migration> migrations();
std::span<const ::stoa::postgres::Migration> migrations() {{ return all; }}

}}  // namespace stoa::{namespace}
"""
    )


main()
