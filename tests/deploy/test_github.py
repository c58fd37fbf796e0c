"""Owners, templates and workflows: accepted by the published schemas and by git's own matching."""

from __future__ import annotations

import pathlib
import re
import sys

import pytest
import yaml

from tests.deploy.checked import ANYTHING, CHECKOUT
from tests.deploy.conftest import run, tree_files

GITHUB = CHECKOUT / ".github"
TEAM = re.compile(r"@([\w-]+)/[\w-]+")
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def schema_says(schema: str, file: pathlib.Path):
    program = pathlib.Path(sys.executable).parent / "check-jsonschema"
    return run(program, "--builtin-schema", schema, file)


def schemas_of(file: pathlib.Path) -> list[str]:
    if file.parent.name == "workflows":
        return ["vendor.github-workflows", "custom.github-workflows-require-timeout"]
    return ["vendor.github-issue-config" if file.name == "config.yml" else "vendor.github-issue-forms"]


FILES = sorted([*GITHUB.glob("workflows/*.y*ml"), *GITHUB.glob("ISSUE_TEMPLATE/*.y*ml")])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_file_is_what_its_schema_says(file, checked):
    checked("files of .github by schema", [file])
    for schema in schemas_of(file):
        done = schema_says(schema, file)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("file", "old", "new"), [
    ("workflows/ci.yml", "runs-on: ubuntu-24.04", "run-on: ubuntu-24.04"),
    ("workflows/ci.yml", "    timeout-minutes: 5\n", ""),
    ("ISSUE_TEMPLATE/bug.yml", "type: dropdown", "type: menu"),
    ("ISSUE_TEMPLATE/bug.yml", "description: It does not do", "describe: It does not do"),
    ("ISSUE_TEMPLATE/config.yml", "false", "no one"),
], ids=["key of a job", "timeout", "kind of a field", "key of a form", "not a boolean"])
def test_a_planted_fault_is_refused(tmp_path, file, old, new, refused, request):
    text = (GITHUB / file).read_text()
    assert old in text
    folder = tmp_path / pathlib.Path(file).parent
    folder.mkdir()
    planted = folder / pathlib.Path(file).name
    planted.write_text(text.replace(old, new))
    said = [done.stdout for done in (schema_says(schema, planted) for schema in schemas_of(planted)) if done.returncode != 0]
    refused("planted faults that GitHub's schemas refused", request.node.callspec.id, ANYTHING, said[0].partition("$.")[2] or said[0])


@pytest.fixture(scope="module")
def actionlint() -> pathlib.Path:
    done = run("deploy/toolbox/build", "actionlint")
    assert done.returncode == 0, done.stdout
    return pathlib.Path(done.stdout.strip().splitlines()[-1])


def test_actionlint_accepts_the_workflows(actionlint, checked):
    done = run(actionlint, "-no-color", *checked("workflows", sorted(GITHUB.glob("workflows/*.y*ml"))))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("needs: [changed, commits,", "needs: [changed, comits,", "comits"),
    ("toJSON(needs)", "toJSON(need)", 'undefined variable "need"'),
    ("github.event.pull_request.base.sha", "github.evnt.pull_request.base.sha", '"evnt" is not defined'),
    ("printf '%s' \"$TITLE\"", "printf '%s' '${{ github.event.pull_request.title }}'", "potentially untrusted"),
    ("pull_request:\n", "pull_requests:\n", "unknown Webhook event"),
])
def test_actionlint_refuses_a_planted_fault(actionlint, tmp_path, old, new, fault, refused):
    text = (GITHUB / "workflows/ci.yml").read_text()
    assert old in text
    planted = tmp_path / "ci.yml"
    planted.write_text(text.replace(old, new))
    done = run(actionlint, "-no-color", planted)
    assert done.returncode != 0, done.stdout
    refused("planted faults that actionlint refused", new.strip(), fault, done.stdout)


def zizmor_says(file: pathlib.Path):
    return run(pathlib.Path(sys.executable).parent / "zizmor", "--offline", "--no-progress", "--color=never", "--min-severity=medium", file)


def test_zizmor_finds_nothing_at_medium_and_above(checked):
    for file in checked("workflows", sorted(GITHUB.glob("workflows/*.y*ml"))):
        done = zizmor_says(file)
        assert done.returncode == 0 and "No findings" in done.stdout, done.stdout


@pytest.mark.parametrize(("old", "new", "rule"), [
    ("actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683", "actions/checkout@main", "unpinned-uses"),
    ("run: deploy/check", "run: echo ${{ github.event.pull_request.title }}", "template-injection"),
    ("  contents: read", "  contents: write", "excessive-permissions"),
    ("  pull_request:\n", "  pull_request_target:\n", "dangerous-triggers"),
])
def test_zizmor_refuses_a_planted_fault(tmp_path, old, new, rule, refused):
    text = (GITHUB / "workflows/ci.yml").read_text()
    assert old in text
    folder = tmp_path / ".github/workflows"
    folder.mkdir(parents=True)
    (folder / "ci.yml").write_text(text.replace(old, new))
    done = zizmor_says(folder / "ci.yml")
    assert done.returncode != 0, done.stdout
    refused("planted faults that zizmor refused", new.strip(), f"[{rule}]", done.stdout)


# What a job may besides reading the source. Only the one that signs gets an identity.
RIGHTS = {"images": {"packages": "write"}, "sign": {"packages": "write", "id-token": "write"}, "signatures": {"packages": "read"}, "proposals": {"packages": "read"}}
# Looked up as the commits of the tags beside them; another one has to be looked up, too.
KNOWN_ACTIONS = {
    "actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683": "v4.2.2",
    "actions/cache@0057852bfaa89a56745cba8c7296529d2fc39830": "v4.3.0",
    "actions/upload-artifact@ea165f8d65b6e75b540449e92b4886f43607fa02": "v4.6.2",
    "actions/download-artifact@d3f86a106a0bac45b974a628896c90dbdf5c8093": "v4.3.0",
}


def faults_of_workflow(text: str) -> list[str]:
    """What a schema does not know: pins, rights, and expressions that a shell would run."""
    workflow = yaml.safe_load(text)
    found = [] if workflow.get("permissions") == {"contents": "read"} else ["permissions of the workflow are not contents: read"]
    used = set(re.findall(r"uses: (\S+@\S+) # (\S+)$", text, re.MULTILINE))
    found += [f"{uses} # {tag} is not a known action" for uses, tag in sorted(used) if KNOWN_ACTIONS.get(uses) != tag]
    if re.search(r"\bcancel-in-progress: true", text) and workflow["name"] != "ci":
        found.append("a run in flight would be cancelled")
    for name, job in workflow["jobs"].items():
        rights = job.get("permissions", {"contents": "read"})
        if rights != {"contents": "read"} and rights != {"contents": "read"} | RIGHTS.get(name, {}):
            found.append(f"{name}: more rights than it needs: {rights}")
        if "secrets." in str(job) and "environment" not in job:
            found.append(f"{name}: a secret outside an environment, which says who may use it")
        for step in job["steps"]:
            uses = step.get("uses")
            if uses and not uses.startswith("./") and not PINNED.fullmatch(uses):
                found.append(f"{name}: {uses} is not pinned to 40 hex")
            if uses and "actions/checkout@" in uses and step.get("with", {}).get("persist-credentials") is not False:
                found.append(f"{name}: the checkout keeps its token")
            if "${{" in step.get("run", ""):
                found.append(f"{name}: an expression inside run: is code of whoever wrote it; pass it through env")
    return found


@pytest.mark.parametrize("file", sorted(GITHUB.glob("workflows/*.y*ml")), ids=lambda file: file.name)
def test_a_workflow_is_pinned_and_has_few_rights(file, checked):
    checked("workflows", [file])
    assert faults_of_workflow(file.read_text()) == []


@pytest.mark.parametrize(("file", "old", "new", "fault"), [
    ("release", "      id-token: write\n", "      id-token: write\n      contents: write\n", "more rights"),
    ("release", "    permissions:\n      contents: read\n      packages: write\n    steps", "    permissions: write-all\n    steps", "more rights"),
    ("release", "permissions:\n  contents: read\n", "permissions:\n  contents: read\n  id-token: write\n", "permissions of the workflow"),
    ("release", "    environment: release\n", "", "a secret outside an environment"),
    ("deploy", "cancel-in-progress: false", "cancel-in-progress: true", "in flight would be cancelled"),
    ("deploy", "11bd71901bbe5b1630ceea73d27597364c9af683", "11bd71901bbe5b1630ceea73d27597364c9af684", "not a known action"),
    ("nightly", "ea165f8d65b6e75b540449e92b4886f43607fa02 # v4.6.2", "ea165f8d65b6e75b540449e92b4886f43607fa02 # v5", "not a known action"),
    ("nightly", "STEPS: ${{ matrix.steps }}\n        shell: bash\n        run: read -ra", "A: b\n        shell: bash\n        run: echo ${{ matrix.steps }}; read -ra", "expression inside run"),
])
def test_other_planted_workflows_are_refused(file, old, new, fault, refused):
    text = (GITHUB / f"workflows/{file}.yml").read_text()
    assert old in text and faults_of_workflow(text) == []
    refused("planted workflows", f"{file}: {new.strip().splitlines()[-1] if new else 'without ' + old.strip()}", fault, faults_of_workflow(text.replace(old, new)))


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683", "actions/checkout@v4", "not pinned"),
    ("contents: read", "contents: write", "permissions"),
    ("persist-credentials: false", "persist-credentials: true", "keeps its token"),
    ("run: deploy/check", "run: echo ${{ github.event.pull_request.title }}", "expression inside run"),
])
def test_a_planted_workflow_is_refused(old, new, fault, refused):
    text = (GITHUB / "workflows/ci.yml").read_text()
    assert old in text
    refused("planted workflows", f"ci: {new}", fault, faults_of_workflow(text.replace(old, new)))


def test_all_workflows_are_there(checked):
    assert [file.stem for file in checked("workflows", sorted(GITHUB.glob("workflows/*.y*ml")))] == ["ci", "deploy", "nightly", "proposals", "release"]


def test_the_jobs_of_ci_are_those_that_changed_knows():
    """Each job that a change may not need is skipped by name; a misspelt name would skip it for ever."""
    jobs = yaml.safe_load((GITHUB / "workflows/ci.yml").read_text())["jobs"]
    told = {name: re.findall(r"outputs\.jobs\), '(\w+)'", job.get("if", "")) for name, job in jobs.items()}
    from tests.deploy.test_changed import changed
    assert {name for name, found in told.items() if found} == set(changed.CODE)
    assert all(found in ([], [name]) for name, found in told.items())
    assert jobs.keys() == set(changed.JOBS) | {"changed", "gate"}


def test_nightly_runs_steps_that_exist(checked):
    known = set(re.findall(r"^step_(\w+)\(\)", (CHECKOUT / "tools/test").read_text(), re.MULTILINE))
    matrix = yaml.safe_load((GITHUB / "workflows/nightly.yml").read_text())["jobs"]["proof"]["strategy"]["matrix"]["steps"]
    assert set(" ".join(checked("steps of the night", matrix)).split()) <= known and len(known) >= 12


def test_a_workflow_calls_what_exists(checked):
    """Commands of the checkout that a workflow names are there, and can be run."""
    for file in sorted(GITHUB.glob("workflows/*.y*ml")):
        for word in checked("commands of workflows", re.findall(r"(?<![\w/])(?:tools|deploy)/(?!environments/)[\w/-]+", "\n".join(
                step.get("run", "") for job in yaml.safe_load(file.read_text())["jobs"].values() for step in job["steps"]))):
            assert (CHECKOUT / word).is_file() and (CHECKOUT / word).stat().st_mode & 0o111, word


def owner_lines(text: str) -> list[tuple[str, list[str]]]:
    lines = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line[0], line[1:]) for line in lines]


def files_of_pattern(pattern: str, folder: pathlib.Path) -> set[str]:
    """By git's own matching, whose patterns CODEOWNERS shares."""
    listing = folder / "pattern"
    listing.write_text(pattern + "\n")
    done = run("git", "ls-files", "--cached", "--ignored", f"--exclude-from={listing}")
    assert done.returncode == 0, done.stdout
    return set(done.stdout.splitlines())


def faults_of_owners(text: str, folder: pathlib.Path, files: set[str]) -> list[str]:
    """Teams of one organisation, every file owned, no line that decides nothing: the last that matches a file does."""
    found, last = [], {}
    for number, (pattern, owners) in enumerate(owner_lines(text)):
        found += [f"{owner} is no team" for owner in owners if not TEAM.fullmatch(owner)]
        if not owners:
            found.append(f"{pattern} has no owner")
        last |= dict.fromkeys(files_of_pattern(pattern, folder), number)
    found += [f"{pattern} decides about no file" for number, (pattern, _) in enumerate(owner_lines(text)) if number not in last.values()]
    organisations = {match[1] for _, owners in owner_lines(text) for owner in owners if (match := TEAM.fullmatch(owner))}
    found += [f"teams of {len(organisations)} organisations"] if len(organisations) != 1 else []
    unowned = files - last.keys()
    return found + ([f"{len(unowned)} files have no owner: {sorted(unowned)[:3]}"] if unowned else [])


@pytest.fixture(scope="module")
def tracked() -> set[str]:
    done = run("git", "ls-files", "--cached")
    return set(done.stdout.splitlines()) & set(tree_files())


def test_every_file_has_an_owner_and_every_line_a_file(tmp_path, tracked, checked):
    checked("owned files", tracked)
    assert faults_of_owners((GITHUB / "CODEOWNERS").read_text(), tmp_path, tracked) == []


@pytest.mark.parametrize(("old", "new", "fault"), [
    ("/deploy/ ", "/deployment/ ", "/deployment/ decides about no file"),
    ("@your-organisation/stoa-platform", "@somebody", "@somebody is no team"),
    ("/tools/                        @your-organisation/", "/tools/ @another/", "teams of 2 organisations"),
    ("*                              @your-organisation/stoa-maintainers", "", "files have no owner"),
    ("/SECURITY.md                   ", "*  ", "/services/ decides about no file"),
], ids=["no file", "a person", "two organisations", "no default", "the general last"])
def test_planted_owners_are_refused(tmp_path, tracked, old, new, fault, refused, request):
    text = (GITHUB / "CODEOWNERS").read_text()
    assert old in text
    refused("planted owners", request.node.callspec.id, fault, faults_of_owners(text.replace(old, new), tmp_path, tracked))


def test_the_pull_request_asks_for_a_proof():
    text = (GITHUB / "PULL_REQUEST_TEMPLATE.md").read_text()
    assert all(heading in text for heading in ("## Why", "## What", "## How it was proven")) and "- [ ]" in text


def faults_of_form(name: str, data: bytes) -> list[str]:
    """What .editorconfig promises and a machine can see. Inputs of the fuzz targets have no form."""
    if b"\0" in data or not data or name.startswith("tests/fuzz/corpus/"):
        return []
    found = [] if data.endswith(b"\n") else [f"{name}: no newline at the end"]
    if b"\r\n" in data and not name.endswith(".csv"):
        found.append(f"{name}: CRLF")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return [*found, f"{name}: not UTF-8"]
    if not name.endswith((".md", ".csv")) and re.search(r"[ \t]\r?$", text, re.MULTILINE):
        found.append(f"{name}: whitespace at the end of a line")
    if name.endswith((".py", ".cpp", ".hpp", ".yml", ".yaml", ".json")) and re.search(r"^\t", text, re.MULTILINE):
        found.append(f"{name}: a tab as indent")
    return found


def test_files_have_the_form_that_editors_are_told(checked):
    names = checked("files by form", tree_files())
    assert [fault for name in names for fault in faults_of_form(name, (CHECKOUT / name).read_bytes())] == []


@pytest.mark.parametrize(("name", "data"), [
    ("a.py", b"x = 1"), ("a.py", b"x = 1\r\n"), ("a.py", b"x = '\xff'\n"), ("a.py", b"x = 1 \n"), ("a.py", b"if x:\n\ty = 1\n"),
], ids=["end", "crlf", "latin-1", "space", "tab"])
def test_planted_forms_are_refused(name, data, refused, request):
    found = faults_of_form(name, data)
    assert len(found) == 1
    refused("planted forms of files", request.node.callspec.id, ANYTHING, found)


def attribute(name: str, of: str) -> str:
    return run("git", "check-attr", of, "--", name).stdout.strip().rsplit(": ", 1)[1]


def test_git_keeps_bytes_of_csv_and_stores_text_with_lf(scratch):
    assert (attribute("deploy/demo/catalogue.csv", "text"), attribute("tools/up", "eol")) == ("unset", "lf")
    for name in ("note.txt", "table.csv"):
        (scratch.folder / name).write_bytes(b"one\r\n")
    scratch.git("-c", "core.safecrlf=false", "add", "note.txt", "table.csv")
    assert scratch.git("cat-file", "-s", ":note.txt").strip() == "4"
    assert scratch.git("cat-file", "-s", ":table.csv").strip() == "5"
