"""Writes the titles of contracts/http/problems.d as one C++ table: embed_problem_titles.py OUTPUT FILE..."""

import pathlib
import sys

import yaml


def literal(text: str) -> str:
    def escaped(byte: int) -> str:
        char = chr(byte)
        # Octal escapes have at most three digits and cannot run on; '?' because of trigraphs.
        return char if 0x20 <= byte < 0x7F and char not in '"\\?' else f"\\{byte:03o}"

    return '"' + "".join(map(escaped, text.encode())) + '"'


def main() -> None:
    output, *files = sys.argv[1:]
    titles = {
        problem["code"]: problem["title"]
        for file in sorted(files)
        for problem in yaml.safe_load(pathlib.Path(file).read_text()) or []
    }
    rows = "\n".join(f"  Title{{{literal(code)}, {literal(titles[code])}}}," for code in sorted(titles))
    pathlib.Path(output).write_text(
        f"""// Written by embed_problem_titles.py.
#include <algorithm>
#include <array>

#include "servicekit/http/detail/render.hpp"

namespace stoa::http::detail {{
namespace {{
struct Title {{
  std::string_view code;
  std::string_view text;
}};
constexpr std::array titles{{
{rows}
}};
}}  // namespace

std::string_view contract_title(std::string_view code) {{
  const auto* const found = std::ranges::lower_bound(titles, code, {{}}, &Title::code);
  return found != titles.end() && found->code == code ? found->text : std::string_view{{}};
}}

}}  // namespace stoa::http::detail
"""
    )


main()
