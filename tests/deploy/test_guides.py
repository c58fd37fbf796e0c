"""What the guides of delivery tell a reader to type is typed here, in a copy of the tree."""

from __future__ import annotations

import re

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import run
from tests.deploy.test_branch_rules import github  # noqa: F401  (a fixture)
from tests.docs.run_blocks import blocks_of, script_of

MARK = "run-in-deploy"
GUIDES = [guide for guide in sorted((CHECKOUT / "docs/phases").glob("*.md")) if blocks_of(guide.read_text(), MARK)]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.stem)
def test_the_commands_of_a_guide_work(guide, scratch, github, checked):  # noqa: F811
    checked("blocks of guides", [f"{guide.name}:{block.line}" for block in blocks_of(guide.read_text(), MARK)])
    done = run("bash", "-c", script_of(guide, MARK), cwd=scratch.folder, REPOSITORY="owner/shop",
               GITHUB_TOKEN="token-of-a-test", STOA_GITHUB_API=f"http://127.0.0.1:{github.server_port}")
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_guide_of_this_phase_is_among_them_and_shows_nothing_untyped(checked):
    assert "01-foundation.md" in [guide.name for guide in checked("guides", GUIDES)]
    fences = re.findall(r"^```(\S.*)$", (CHECKOUT / "docs/phases/01-foundation.md").read_text(), re.MULTILINE)
    # The first alone is not typed: it opens the copy in which the others are.
    assert len(fences) >= 8 and fences[0] == "bash" and set(fences[1:]) == {f"bash {MARK}"}


def test_a_command_that_fails_is_named(scratch, tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text(f"```bash {MARK}\ntrue\n```\ntext\n```bash {MARK}\ntools/commits scopes | grep -x no-such-folder\n```\n")
    done = run("bash", "-c", script_of(guide, MARK), cwd=scratch.folder)
    assert done.returncode == 1 and "the block in line 6 failed" in done.stdout
