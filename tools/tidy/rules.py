"""All rules, and what they find."""

from tidy import architecture, code, contracts, migrations, promises
from tidy.allowed import ALLOWED
from tidy.tree import Finding, Tree

ALL = architecture.RULES + code.RULES + contracts.RULES + migrations.RULES + promises.RULES


def check(tree: Tree, allowed: dict[tuple[str, str], str] = ALLOWED) -> list[Finding]:
    found, used = [], set()
    for rule in ALL:
        for finding in rule(tree):
            key = (finding.rule, finding.file)
            if key in allowed:
                used.add(key)
            else:
                found.append(finding)
    for rule_name, file in allowed.keys() - used:
        found.append(Finding(file, 1, "allowed", f"{rule_name} finds nothing here any more: remove the exception"))
    return sorted(found)
