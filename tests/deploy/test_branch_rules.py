"""The rules of branches: accepted by GitHub's own description, and of jobs that exist."""

from __future__ import annotations

import http.server
import importlib.machinery
import importlib.util
import json
import pathlib
import re
import shutil
import threading

import jsonschema
import pytest
import yaml

from tests.deploy.checked import ANYTHING, CHECKOUT
from tests.deploy.conftest import must, run

RULESETS = sorted((CHECKOUT / ".github/rulesets").glob("*.json"))
WORKFLOWS = sorted((CHECKOUT / ".github/workflows").glob("*.y*ml"))


def loaded():
    loader = importlib.machinery.SourceFileLoader("branch_rules", str(CHECKOUT / "deploy/ci/branch-rules"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("branch_rules", loader))
    loader.exec_module(module)
    return module


branch_rules = loaded()


@pytest.fixture(scope="module")
def schema() -> dict:
    return json.loads(pathlib.Path(must("deploy/ci/ruleset-schema").strip().splitlines()[-1]).read_text())


def test_the_rulesets_are_what_the_api_takes(schema, checked):
    for file in checked("rulesets", RULESETS):
        jsonschema.validate(json.loads(file.read_text()), schema)


@pytest.mark.parametrize("plant", [
    lambda rules: rules.pop("enforcement"),
    lambda rules: rules.update(target="branches"),
    lambda rules: rules.update(bypassers=[]),
    lambda rules: rules["bypass_actors"][0].update(actor_type="Maintainer"),
    lambda rules: rules["rules"].append({"type": "no_force_push"}),
    lambda rules: rules["rules"][3]["parameters"].update(required_approving_review_count="1"),
    lambda rules: rules["rules"][4]["parameters"].pop("required_status_checks"),
], ids=["no enforcement", "target", "unknown key", "actor", "rule", "count", "no contexts"])
def test_a_wrong_ruleset_is_refused(schema, plant, refused, request):
    rules = json.loads((CHECKOUT / ".github/rulesets/main.json").read_text())
    jsonschema.validate(rules, schema)
    plant(rules)
    with pytest.raises(jsonschema.ValidationError) as told:
        jsonschema.validate(rules, schema)
    refused("planted rulesets", request.node.callspec.id, ANYTHING, told.value.message)


def test_what_protects_main():
    rules = {rule["type"]: rule.get("parameters", {}) for rule in json.loads((CHECKOUT / ".github/rulesets/main.json").read_text())["rules"]}
    assert {"deletion", "non_fast_forward", "required_linear_history"} <= rules.keys()
    assert rules["pull_request"]["required_approving_review_count"] >= 1 and rules["pull_request"]["require_code_owner_review"]
    assert rules["pull_request"]["allowed_merge_methods"] == ["squash"]
    assert rules["required_status_checks"]["strict_required_status_checks_policy"]


def test_every_required_context_is_a_job(checked):
    assert checked("required contexts", branch_rules.check(CHECKOUT)) == ["gate"]
    assert must("deploy/ci/branch-rules", "check").strip().endswith("reported: gate")


@pytest.fixture
def planted(tmp_path) -> pathlib.Path:
    shutil.copytree(CHECKOUT / ".github", tmp_path / ".github")
    return tmp_path


def edit(file: pathlib.Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(("file", "old", "new", "message"), [
    ("rulesets/main.json", '"context": "gate"', '"context": "gates"', "'gates' is the name of no job"),
    ("rulesets/main.json", '[{ "context": "gate" }]', "[]", "no ruleset requires a status check"),
    ("workflows/ci.yml", "  gate:\n", "  final:\n", "'gate' is the name of no job"),
    ("workflows/ci.yml", "  gate:\n", "  gate:\n    name: the gate\n", "'gate' is the name of no job"),
    ("workflows/ci.yml", "  gate:\n", "  gate:\n    strategy: {matrix: {os: [a, b]}}\n", "'gate' is the name of no job"),
    ("workflows/ci.yml", "  pull_request:\n    types: [opened, edited, reopened, synchronize]\n", "", "'gate' is the name of no job"),
], ids=["misspelt", "none", "renamed", "named", "matrix", "event"])
def test_a_context_without_a_job_is_refused(planted, file, old, new, message, refused, request):
    edit(planted / ".github" / file, old, new)
    with pytest.raises(branch_rules.RulesError) as told:
        branch_rules.check(planted)
    refused("planted contexts", request.node.callspec.id, message, str(told.value))


def test_a_folder_without_rulesets_is_refused(planted):
    shutil.rmtree(planted / ".github/rulesets")
    with pytest.raises(branch_rules.RulesError, match="no ruleset"):
        branch_rules.check(planted)


@pytest.mark.parametrize(("job", "names"), [
    ({}, ["build"]),
    ({"name": "compile"}, ["compile"]),
    ({"strategy": {"matrix": {"os": ["a", "b"], "kind": ["x"]}}}, ["build (a, x)", "build (b, x)"]),
    ({"name": "on ${{ matrix.os }}", "strategy": {"matrix": {"os": ["a", "b"]}}}, ["on a", "on b"]),
])
def test_a_job_reports_by_these_names(job, names):
    assert branch_rules.names_of_job("build", job) == names


class FakeGitHub(http.server.BaseHTTPRequestHandler):
    """Keeps rulesets as the API does: lists without rules, adds what only a server knows."""

    def answer(self, code: int, body) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def handle_call(self) -> None:
        store = self.server.store
        self.server.calls.append((self.command, self.path.split("?")[0].rsplit("/", 1)[1]))
        if self.headers["Authorization"] != "Bearer token-of-a-test":
            return self.answer(401, {"message": "Bad credentials"})
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or "null")
        identifier = re.search(r"/repos/owner/shop/rulesets/(\d+)$", self.path)
        if self.command == "POST":
            store[len(store) + 1] = body
            return self.answer(201, {"id": len(store), **body})
        if identifier is None:
            return self.answer(200, [{"id": key, "name": rules["name"]} for key, rules in store.items()])
        if self.command == "PUT":
            store[int(identifier[1])] = body
        return self.answer(200, {"id": int(identifier[1]), "source_type": "Repository", **store[int(identifier[1])]})

    do_GET = do_POST = do_PUT = handle_call  # noqa: N815

    def log_message(self, *_arguments) -> None:
        pass


@pytest.fixture
def github():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeGitHub)
    server.store, server.calls = {}, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def at(github, word: str, token: str = "token-of-a-test"):
    return run("deploy/ci/branch-rules", word, "owner/shop", stdin=token, STOA_GITHUB_API=f"http://127.0.0.1:{github.server_port}")


def test_apply_creates_then_replaces_and_diff_sees_a_drift(github):
    assert at(github, "diff").returncode == 1
    done = at(github, "apply")
    assert done.returncode == 0 and "main: created" in done.stdout and "releases: created" in done.stdout, done.stdout
    assert "main: replaced" in at(github, "apply").stdout
    assert len(github.store) == len(RULESETS)
    done = at(github, "diff")
    assert done.returncode == 0 and "nothing differs" in done.stdout, done.stdout
    main = next(rules for rules in github.store.values() if rules["name"] == "main")
    main["enforcement"] = "disabled"
    main["rules"] = [rule for rule in main["rules"] if rule["type"] != "deletion"]
    done = at(github, "diff")
    assert done.returncode == 1
    assert 'main: enforcement: "disabled" there, "active" here' in done.stdout and "main: rules: deletion is not there" in done.stdout
    assert at(github, "apply").returncode == 0 and at(github, "diff").returncode == 0


def test_other_rulesets_are_left_alone(github):
    github.store[1] = {"name": "somebody's", "enforcement": "active", "rules": []}
    assert at(github, "apply").returncode == 0
    assert github.store[1] == {"name": "somebody's", "enforcement": "active", "rules": []}
    assert ("PUT", "1") not in github.calls


def test_a_wrong_token_and_none_are_told(github):
    done = at(github, "apply", token="another")
    assert done.returncode == 1 and "401" in done.stdout and "another" not in done.stdout
    assert "no token" in at(github, "apply", token="").stdout


def gate(**results: str):
    return run("deploy/ci/gate", NEEDS=json.dumps({job: {"result": result, "outputs": {}} for job, result in results.items()}))


@pytest.mark.parametrize(("results", "closed_by"), [
    ({"check": "success", "unit": "success"}, None),
    ({"check": "success", "unit": "failure"}, "unit"),
    ({"check": "skipped", "unit": "success"}, "check"),
    ({"check": "cancelled", "unit": "failure"}, "check, unit"),
    ({}, "no job was needed"),
])
def test_the_gate(results, closed_by):
    done = gate(**results)
    assert done.returncode == (1 if closed_by else 0)
    assert done.stdout.splitlines()[-1] == (f"gate: closed by {closed_by}" if closed_by else "gate: open")


def test_the_gate_needs_every_job_and_runs_always():
    jobs = yaml.safe_load((CHECKOUT / ".github/workflows/ci.yml").read_text())["jobs"]
    assert jobs["gate"]["if"] == "always()"
    assert set(jobs["gate"]["needs"]) == jobs.keys() - {"gate"}


def judged(scratch, base: str, title: str = ""):
    """deploy/ci/commits judges the checkout that it stands in."""
    return run("deploy/ci/commits", cwd=scratch.folder, stdin=title, STOA_BASE=base, STOA_HEAD=scratch.git("rev-parse", "HEAD").strip())


def test_a_change_is_judged_by_its_commits_and_its_title(scratch):
    first = scratch.git("rev-parse", "HEAD").strip()
    scratch.commit("fix(order-service): a total is rounded once", "README.md")
    assert judged(scratch, first).returncode == 0
    assert judged(scratch, "0" * 40).returncode == 0
    assert judged(scratch, first, "fix(order-service): a total is rounded once").returncode == 0
    done = judged(scratch, first, "Rounding")
    assert done.returncode == 1 and "[type-empty]" in done.stdout
    scratch.commit("more", "README.md")
    done = judged(scratch, first, "fix(order-service): a total is rounded once")
    assert done.returncode == 1 and "[type-empty]" in done.stdout
    assert judged(scratch, "f" * 40).returncode == 1
