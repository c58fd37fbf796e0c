"""ci.yml as a runner runs it: act decides by its expressions and needs, on commits of a copy of the tree.

The real steps of `changed`, `commits`, `secrets` and `gate` run. Those that compile, or that are this suite, are played by
a command; actions and containers are left out, because their code is GitHub's, not ours.
"""

from __future__ import annotations

import json
import pathlib
import re
import sys

import pytest
import yaml

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import Scratch, run
from tests.deploy.test_secrets import PLANTED

REAL = {"changed", "commits", "secrets", "gate"}
RESULT = re.compile(r"\|\s+(\w+)\s+(success|failure|skipped|cancelled)$", re.MULTILINE)


def runnable(text: str, source: pathlib.Path, failing: str | None) -> str:
    workflow = yaml.safe_load(text)
    workflow["on"] = workflow.pop(True)  # YAML 1.1 reads `on` as true
    for name, job in workflow["jobs"].items():
        job["runs-on"] = "self-hosted"
        for key in ("container", "strategy"):
            job.pop(key, None)
        if name in REAL:
            checkout = {"run": f"cp -a {source}/. ."}
            steps = [checkout if "actions/checkout@" in step.get("uses", "") else step for step in job["steps"]]
            job["steps"] = [step for step in steps if "run" in step and not step["run"].startswith("apt-get ")]
        else:
            job["steps"] = [{"run": "false" if name == failing else "true"}]
    return yaml.safe_dump(workflow)


def acted(scratch: Scratch, tmp_path: pathlib.Path, failing: str | None = None) -> tuple[int, dict[str, str], str]:
    """Exit code, what the gate saw of each job, and all that was said."""
    workflow, event = tmp_path / "ci.yml", tmp_path / "event.json"
    workflow.write_text(runnable((CHECKOUT / ".github/workflows/ci.yml").read_text(), scratch.folder, failing))
    before, after = scratch.git("rev-parse", "HEAD~1", "HEAD").split()
    event.write_text(json.dumps({"before": before, "after": after}))
    done = run(pathlib.Path(sys.executable).parent / "act", "push", "-P", "self-hosted=-self-hosted", "-W", workflow, "-e", event,
               cwd=scratch.folder, HOME=str(tmp_path))
    return done.returncode, dict(RESULT.findall(done.stdout)), done.stdout


CODE = {"check", "unit", "journey", "sanitizers", "images", "scan"}


@pytest.mark.parametrize(("message", "file", "text", "failing", "skipped", "closed_by"), [
    ("docs: a figure", "docs/figure.md", "a line\n", None, CODE - {"check", "journey"}, None),
    ("feat: a folder that nobody knows", "novel/file.xyz", "a line\n", None, set(), None),
    ("fix(order-service): a total", "services/order-service/domain/order.cpp", "// more\n", "unit", set(), "unit"),
    ("more", "docs/figure.md", PLANTED["a password"] + "\n", None, CODE - {"check", "journey"}, "commits, secrets"),
], ids=["a guide", "an unknown path", "a failing test", "a secret and a bad message"])
def test_the_workflow_runs(scratch, tmp_path, checked, message, file, text, failing, skipped, closed_by):
    scratch.change(file, text)
    scratch.commit(message)
    code, results, output = acted(scratch, tmp_path, failing)
    assert set(results) == set(yaml.safe_load((CHECKOUT / ".github/workflows/ci.yml").read_text())["jobs"]) - {"gate"}, output[-4000:]
    assert {name for name, result in results.items() if result == "skipped"} == skipped, output[-4000:]
    assert {name for name, result in results.items() if result == "failure"} == set(closed_by.split(", ") if closed_by else []), output[-4000:]
    assert (code == 0) == (closed_by is None)
    assert (f"gate: closed by {closed_by}" if closed_by else "gate: open") in output
    checked("runs of the workflow", [f"{message}: {file}"])
