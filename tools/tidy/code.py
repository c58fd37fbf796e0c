"""The form of the sources."""

import ast
import re

from tidy import cpp
from tidy.tree import Finding, Tree, is_test, line_of, service_of

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
CODE_SUFFIXES = (".cpp", ".hpp", ".py", ".sh")
SWITCH = re.compile(r"\bswitch\s*\(")
MARK = re.compile(r"\b(TODO|FIXME|HACK)\b(?!\([^)]{3,}\):)")
FORBIDDEN_TEXT = [
    (re.compile(r"(?<![\w/.-])/(work|root|home/[a-z]\w*)/"), "a path of one machine"),
    (
        re.compile(
            r"\b(docker\.io/|ghcr\.io|quay\.io|gcr\.io|registry\.npmjs\.org|pypi\.org|files\.pythonhosted\.org"
            r"|proxy\.golang\.org|deb\.debian\.org|security\.debian\.org|archive\.ubuntu\.com)"
        ),
        "a registry's host: it comes from the machine's own configuration",
    ),
]


def is_script(tree: Tree, file: str) -> bool:
    return "." not in file.rsplit("/", 1)[-1] and tree.text(file).startswith("#!")


def source_files(tree: Tree) -> list[str]:
    return [file for file in tree.files if file.endswith(CODE_SUFFIXES) or is_script(tree, file)]


def is_python(tree: Tree, file: str) -> bool:
    return file.endswith(".py") or (is_script(tree, file) and "python" in tree.lines(file)[0])


def no_catch(tree: Tree):
    for file in tree.cpp():
        if service_of(file) is None or is_test(file) or file.endswith("/main.cpp"):
            continue
        for match in re.finditer(r"\bcatch\s*\(", tree.code(file)):
            line = line_of(tree.code(file), match.start())
            yield Finding(file, line, "no-catch", "errors are handled at two borders of servicekit, not here")


def closing_brace(code: str, start: int) -> int:
    depth = 0
    for at in range(code.index("{", start), len(code)):
        depth += {"{": 1, "}": -1}.get(code[at], 0)
        if depth == 0:
            return at
    return len(code)


def enum_default(tree: Tree):
    for file in tree.cpp():
        code = tree.code(file)
        for match in SWITCH.finditer(code):
            body = code[match.start() : closing_brace(code, match.start())]
            default = re.search(r"\bdefault\s*:", body)
            if default and re.search(r"\bcase\s+(\w+::)*[A-Z]\w*::\w+\s*:", body):
                line = line_of(code, match.start() + default.start())
                yield Finding(file, line, "enum-default", "a new enumerator must be a warning, not a default")


def unfinished(tree: Tree):
    for file in source_files(tree) + tree.having(".md", ".sql", ".yaml", ".cmake", "Makefile", "Dockerfile"):
        if file.startswith("tools/tidy/"):
            continue
        for number, line in enumerate(tree.lines(file), 1):
            if MARK.search(line):
                yield Finding(file, number, "unfinished", "finish it, or write TODO(why it waits): what")


def file_length(tree: Tree):
    for file in source_files(tree):
        length = len(tree.lines(file))
        if length > FILE_LINES_MAX:
            yield Finding(file, length, "file-length", f"{length} lines, at most {FILE_LINES_MAX}: split what changes apart")


def function_length(tree: Tree):
    for file in tree.cpp():
        for function in cpp.functions(tree.code(file)):
            length = function.length
            if length > FUNCTION_LINES_MAX:
                length -= cpp.raw_literal_lines(tree.text(file), function.line, function.line + function.length)
            if length > FUNCTION_LINES_MAX:
                message = f"{length} lines, at most {FUNCTION_LINES_MAX}: {function.head[-60:]}"
                yield Finding(file, function.line, "function-length", message)


def python_source(tree: Tree):
    for file in source_files(tree):
        if not is_python(tree, file):
            continue
        try:
            module = ast.parse(tree.text(file))
        except SyntaxError as error:
            yield Finding(file, error.lineno or 1, "python", str(error.msg))
            continue
        for node in ast.walk(module):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES_MAX:
                    yield Finding(file, node.lineno, "function-length", f"{length} lines: {node.name}")


def pragma_once(tree: Tree):
    for file in tree.having(".hpp"):
        if not re.search(r"^#pragma once$", tree.text(file), re.MULTILINE):
            yield Finding(file, 1, "pragma-once", "a header begins with #pragma once")


def include_block(file: str, name: str) -> int:
    if name.startswith("<"):
        return 1
    return 2 if name.startswith('"servicekit/') else 3


def include_order(tree: Tree):
    for file in tree.cpp():
        own_stem = re.sub(r"(_test)?\.[ch]pp$", "", file.rsplit("/", 1)[-1])
        previous = 0
        for position, (line, name) in enumerate(cpp.includes(tree.text(file))):
            if name.startswith('"') and not tree.exists(name.strip('"')):
                yield Finding(file, line, "include-order", f"{name}: includes are written from the repository's root")
            if name == f'"{file.removesuffix(".cpp")}.hpp"' and position > 0:
                yield Finding(file, line, "include-order", "a file's own header comes first")
            if position == 0 and name.endswith(f'/{own_stem}.hpp"'):
                continue
            block = include_block(file, name)
            if block < previous:
                yield Finding(file, line, "include-order", f"{name}: own, standard, third party, servicekit, the rest")
            previous = max(previous, block)


def forbidden_text(tree: Tree):
    for file in tree.files:
        if file.startswith("tools/tidy/") or file.endswith((".png", ".svg", ".ico", ".gz")):
            continue
        for number, line in enumerate(tree.lines(file), 1):
            for pattern, what in FORBIDDEN_TEXT:
                if pattern.search(line):
                    yield Finding(file, number, "forbidden-text", what)


RULES = [
    no_catch, enum_default, unfinished, file_length, function_length, python_source, pragma_once, include_order,
    forbidden_text,
]
