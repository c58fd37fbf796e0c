"""What the guides tell a reader to type is typed here."""
import os
import pathlib
import subprocess

import pytest

from tests.docs.run_blocks import GuideError, blocks_of, script_of

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
GUIDES = sorted((CHECKOUT / "docs/phases").glob("*.md"))
RUNNABLE = [guide for guide in GUIDES if blocks_of(guide.read_text(), "run")]


def bash(script: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(["bash", "-c", script], text=True, capture_output=True, check=False, timeout=300,
                          cwd=CHECKOUT, env=os.environ | environment)


def test_there_are_guides_and_most_can_be_run():
    assert len(RUNNABLE) >= 2


@pytest.mark.parametrize("guide", RUNNABLE, ids=lambda guide: guide.stem)
def test_the_commands_of_a_guide_work(guide, stack):
    done = bash(script_of(guide, "run"), **stack.client_environment())
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


GUIDE = """# A guide
```bash run
value=1
```
```bash
exit 9  # only shown
```
```bash run-on-host
exit 8
```
```bash run
test "$value" = 1
false
echo never
```
"""


def test_blocks_share_a_shell_and_only_the_marked_ones_run(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text(GUIDE)
    done = bash(script_of(guide, "run"))
    assert done.returncode == 1 and "never" not in done.stdout
    assert "guide.md: the block in line 12 failed: false" in done.stderr


def test_a_guide_without_a_marked_block_is_refused(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text("```bash\ntrue\n```\n")
    with pytest.raises(GuideError, match="no block is marked"):
        script_of(guide, "run")


def test_a_refusal_that_bash_would_not_notice_is_refused(tmp_path):
    guide = tmp_path / "guide.md"
    guide.write_text("```bash run\ntrue\n! true\n```\n")
    with pytest.raises(GuideError, match=r"guide.md:3: bash goes on"):
        script_of(guide, "run")


def test_an_unclosed_block_is_refused():
    with pytest.raises(GuideError, match="line 1 has no end"):
        blocks_of("```bash run\ntrue\n", "run")
