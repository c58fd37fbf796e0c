"""The short form of the section "backups", and its pure parts."""

from __future__ import annotations

from tests.resilience.section import Order
from tests.resilience.sections import backups
from tests.steady import Bought

GUIDE = """# Guide
## First
```bash
one
```
words
```bash
two
```
## No commands
## Second
```json
{}
```
```bash
three
```
"""


def test_the_commands_of_a_guide_are_found_by_their_heading():
    assert backups.blocks(GUIDE) == {"First": "one\ntwo\n", "Second": "three\n"}


def test_every_command_of_the_operators_guide_is_run():
    used = set(backups.HEADINGS.values())
    assert set(backups.blocks(backups.GUIDE.read_text())) == used


def test_what_reconcile_finds_is_in_its_last_line():
    first = "line 7 (capture …): not in our ledger\n9 lines, 8 entries, 0 on their way, 1 differences, 1 repaired\n"
    assert backups.differences(first) == ["1 differences in 9 lines"]
    assert backups.differences(first + "10 lines, 10 entries, 0 on their way, 0 differences, 0 repaired\n") == []


def test_what_a_restore_lost_is_what_the_database_does_not_know():
    kept, gone = (Bought("key", "tok_ok", [], 0, order_id=f"ord_0000000000000000000000000{n}") for n in (1, 2))
    assert backups.split([kept, gone], {"00000000-0000-0000-0000-000000000001"}) == ([kept], [gone])


def test_a_shop_goes_back_to_a_moment_and_gives_back_what_it_lost(tmp_path):
    section = backups.run(Order(seed=1, size="short", folder=tmp_path))
    assert section.violations == []
    assert section.figures["set back"] > 0 and section.figures["captures given back"] > 0
    assert section.figures["payments of lost orders refunded"] > 0
    assert section.figures["orders"] > section.figures["set back"]
