"""What a migration may take away. It runs while the version before it serves, and that one may come back."""

import re

from tidy.tree import Finding, Tree, line_of

# Comments, literals, and the bodies of functions; that of a DO is judged, since it runs now.
BLANKED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\bAS\s+\$(\w*)\$.*?\$\1\$", re.DOTALL | re.IGNORECASE)
MARK = re.compile(r"^--\s*contract since \d+\.\d+\.\d+: \S", re.MULTILINE)
NAME = r'(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?"?(\w+)"?'
MADE = re.compile(rf"\bCREATE\s+(?:UNLOGGED\s+)?TABLE\s+{NAME}", re.IGNORECASE)
INDEX = re.compile(rf"\bCREATE\s+(?:UNIQUE\s+)?INDEX\s+(?:CONCURRENTLY\s+)?{NAME}", re.IGNORECASE)
# Where a statement begins, also within a DO or a WITH.
BEGIN = r"(?:^|\b(?:BEGIN|THEN|ELSE|LOOP)\b|\()\s*"
# A statement about one table, which may be as new as the migration.
OF_TABLE = [re.compile(pattern + NAME, re.IGNORECASE) for pattern in (
    r"\bALTER\s+TABLE\s+", r"\bCREATE\s+UNIQUE\s+INDEX\s+\w+\s+ON\s+", BEGIN + r"DELETE\s+FROM\s+",
    BEGIN + r"TRUNCATE\s+(?:TABLE\s+)?", BEGIN + r"REVOKE\s+[\w\s,]+?\s+ON\s+(?:TABLE\s+)?")]
DROPPED_INDEX = re.compile(rf"\bDROP\s+INDEX\s+(?:CONCURRENTLY\s+)?{NAME}", re.IGNORECASE)
WHOLE = [
    (re.compile(r"\bDROP\s+(?!NOT\s+NULL)(\w+)", re.IGNORECASE), "drops: the version before may use it"),
    (re.compile(r"\bRENAME\b", re.IGNORECASE), "renames: the version before asks for the old name"),
    (re.compile(BEGIN + r"(?:TRUNCATE|DELETE\s+FROM)\b", re.IGNORECASE), "deletes rows"),
    (re.compile(BEGIN + r"REVOKE\b", re.IGNORECASE), "takes a right away"),
    (re.compile(r"\bCREATE\s+UNIQUE\s+INDEX\b", re.IGNORECASE), "forbids what the version before may write"),
]
ACTION = [
    (re.compile(r"\bALTER\s+(?:COLUMN\s+)?\w+\s+(?:SET\s+DATA\s+)?TYPE\b", re.IGNORECASE), "changes a type under the version before"),
    (re.compile(r"\bSET\s+NOT\s+NULL\b", re.IGNORECASE), "forbids the NULL that the version before may write"),
    (re.compile(r"\bADD\s+(?:CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b", re.IGNORECASE), "forbids what the version before may write"),
    (re.compile(r"\bADD\s+(?!.*\b(?:DEFAULT|GENERATED)\b).*\bNOT\s+NULL\b", re.IGNORECASE | re.DOTALL), "demands a column that the version before does not write"),
]


def blanked(sql: str) -> str:
    return BLANKED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), sql)


def statements(sql: str):
    """(its text without comments and literals, the comments before it, where it begins)"""
    code, begin = blanked(sql), 0
    for end in [match.start() for match in re.finditer(";", code)] + [len(code)]:
        first = re.search(r"\S", code[begin:end])
        if first:
            yield code[begin:end], sql[begin : begin + first.start()], begin + first.start()
        begin = end + 1


def actions(statement: str) -> list[str]:
    """Those of an ALTER TABLE: split at the commas outside of parentheses."""
    parts, depth = [""], 0
    for character in statement:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def harm(statement: str, made: set[str], rebuilt: set[str]) -> str | None:
    """What it does to the version before, if anything."""
    tables = [match[1].lower() for pattern in OF_TABLE if (match := pattern.search(statement))]
    if tables and set(tables) <= made:
        return None
    dropped = DROPPED_INDEX.search(statement)
    if dropped and dropped[1].lower() in rebuilt:
        return None
    for pattern, what in WHOLE:
        if pattern.search(statement):
            return what
    if re.search(r"\bALTER\s+TABLE\b", statement, re.IGNORECASE):
        for action in actions(statement):
            for pattern, what in ACTION:
                if pattern.search(action):
                    return what
    return None


def contract_steps(tree: Tree):
    for file in tree.having(".sql"):
        if "/migrations/" not in file:
            continue
        sql = tree.text(file)
        made = {name.lower() for name in MADE.findall(blanked(sql))}
        rebuilt = {name.lower() for name in INDEX.findall(blanked(sql))}
        for statement, comments, at in statements(sql):
            what = harm(statement, made, rebuilt)
            if what and not MARK.search(comments):
                message = f'{what}: wait until nothing needs it, then say "-- contract since X.Y.Z: why" above, X.Y.Z being the release that needed it no more'
                yield Finding(file, line_of(sql, at), "contract-step", message)


RULES = [contract_steps]
