"""As much C++ as the rules need: where literals and comments are, and where functions begin and end."""

import dataclasses
import re

TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)
      |(?P<raw>R"(?P<delimiter>[^()\\\s]{0,16})\(.*?\)(?P=delimiter)")
      |(?P<string>"(?:\\.|[^"\\\n])*")
      |(?P<separator>(?<=[0-9a-fA-F])'(?=[0-9a-fA-F]))
      |(?P<character>'(?:\\.|[^'\\\n])+')""",
    re.DOTALL | re.VERBOSE,
)
SCOPE = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b[^()=]*$")
CONTROL = re.compile(r"\b(if|for|while|switch|catch)\b[^;{}]*$")
FUNCTION = re.compile(r"\)[^(){};=]*$|\)\s*->[^{};]*$")
CONSTRUCTOR = re.compile(r"\)\s*(noexcept)?\s*:(?!:).*$", re.DOTALL)


def blanked(text: str, keep_literals: bool = False) -> str:
    """The text with comments, and literals unless kept, replaced by blanks of the same length."""

    def blank(match: re.Match) -> str:
        found = match[0]
        if match["separator"] or (keep_literals and not match["comment"]):
            return found
        return re.sub(r"[^\n]", " ", found)

    return TOKEN.sub(blank, text)


@dataclasses.dataclass
class Function:
    line: int
    length: int
    head: str


def raw_literal_lines(text: str, first: int, last: int) -> int:
    """Lines of the range that lie inside of raw literals: SQL, not code."""
    count = 0
    for match in TOKEN.finditer(text):
        if match["raw"]:
            begin = text.count("\n", 0, match.start()) + 1
            if first <= begin <= last:
                count += match[0].count("\n")
    return count


def functions(code: str):
    """Every function of blanked code that is not inside of another, with its length in lines."""
    stack: list[tuple[str, int, str]] = []
    head_start = 0
    for at, character in enumerate(code):
        if character == "{":
            head = code[head_start:at]
            in_scope = all(kind == "scope" for kind, _, _ in stack)
            if in_scope and (SCOPE.search(head) or not head.strip()):
                kind = "scope"
            elif in_scope and not CONTROL.search(head) and (FUNCTION.search(head) or CONSTRUCTOR.search(head)):
                # In a constructor's list `member_{value}` is no body: what follows tells.
                kind = "initialiser" if is_initialiser(code, at, head) else "function"
            else:
                kind = "block"
            start = head_start if kind == "function" else at
            stack.append((kind, start, head))
            if not in_initialiser(stack):
                head_start = at + 1
        elif character == "}" and stack:
            was_initialiser = in_initialiser(stack)
            kind, start, head = stack.pop()
            if kind == "function":
                first = len(code[:start]) + len(head) - len(head.lstrip())
                begin = code.count("\n", 0, first) + 1
                yield Function(begin, code.count("\n", 0, at) + 2 - begin, " ".join(head.split()))
            if not was_initialiser:
                head_start = at + 1
        elif character == ";" and all(kind == "scope" for kind, _, _ in stack):
            head_start = at + 1


def in_initialiser(stack: list[tuple[str, int, str]]) -> bool:
    return any(kind == "initialiser" for kind, _, _ in stack)


def is_initialiser(code: str, at: int, head: str) -> bool:
    """Whether the brace at `at` initialises a member: its name stands directly before it, after ':' or ','."""
    return bool(re.search(r"[:,]\s*[\w:<>\s]*\w\s*$", head) and re.search(r"\)\s*(noexcept)?\s*:(?!:)", head, re.DOTALL))


def includes(text: str):
    """(line, name as written with its brackets) of every include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+([<"][^>"]+[>"])', line)
        if match:
            yield number, match[1]
