"""From dev to production and back: what the scripts write, refuse and wait for. GitHub and the controller are played."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import run

CI = CHECKOUT / "deploy/ci"


def digest(word: str) -> str:
    return "sha256:" + hashlib.sha256(word.encode()).hexdigest()


def images(**versions: str) -> dict:
    """order_service="1.4.0" → its entry, whose digest is made of name and version."""
    return {name.replace("_", "-"): {"version": version, "digest": digest(name + version)} for name, version in versions.items()}


def put(scratch, name: str, what: dict) -> None:
    (scratch.folder / f"deploy/environments/{name}.json").write_text(json.dumps({"images": what}, indent=2, sort_keys=True) + "\n")


def runs(scratch, name: str) -> dict:
    return json.loads((scratch.folder / f"deploy/environments/{name}.json").read_text())["images"]


def deploy(scratch, program: str, *words: str, **options):
    return run(CI / program, *words, cwd=scratch.folder, **options)


@pytest.fixture
def stages(small):
    put(small, "dev", images(order_service="1.5.0", user_service="2.0.1"))
    put(small, "staging", images(order_service="1.4.0", user_service="2.0.0", api_gateway="1.0.0"))
    put(small, "production", images(order_service="1.3.0", user_service="2.0.0"))
    small.git("add", "-A")
    small.commit("feat(deploy): as it runs")
    return small


def test_the_files_of_the_tree_name_digests_alone(checked):
    for file in checked("environments", sorted((CHECKOUT / "deploy/environments").glob("*.json"))):
        assert file.stem in ("dev", "staging", "production", "local")
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", image["digest"]) for image in json.loads(file.read_text())["images"].values())


def test_a_release_is_recorded_in_dev(stages, tmp_path):
    released = tmp_path / "images.json"
    released.write_text(json.dumps({"images": images(order_service="1.6.0", mail_sink="1.0.0")}))
    done = deploy(stages, "promote", "record", released)
    assert done.returncode == 0 and done.stdout.startswith("chore(deploy): 2 images to dev\n\n"), done.stdout
    assert runs(stages, "dev") == images(order_service="1.6.0", user_service="2.0.1", mail_sink="1.0.0")
    assert deploy(stages, "promote", "record", released).returncode == 3


def test_what_was_built_here_is_recorded_in_a_cluster_without_a_cloud(stages, tmp_path):
    built = tmp_path / "images.json"
    built.write_text(json.dumps({"images": images(order_service="0.0.0-abc", postgres="0.0.0-abc")}))
    done = deploy(stages, "promote", "record", built, "--into", "local")
    assert done.returncode == 0 and done.stdout.startswith("chore(deploy): 2 images to local\n\n"), done.stdout
    assert runs(stages, "local") == images(order_service="0.0.0-abc", postgres="0.0.0-abc")
    assert stages.git("status", "--short").split() == ["M", "deploy/environments/local.json"]
    assert deploy(stages, "promote", "record", built, "--into", "production").returncode == 2


@pytest.mark.parametrize(("source", "target", "after"), [
    ("dev", "staging", images(order_service="1.5.0", user_service="2.0.1", api_gateway="1.0.0")),
    ("staging", "production", images(order_service="1.4.0", user_service="2.0.0", api_gateway="1.0.0")),
])
def test_promotion_moves_digests(stages, source, target, after, checked):
    before = runs(stages, target)
    done = deploy(stages, "promote", source, target)
    assert done.returncode == 0, done.stdout
    assert runs(stages, target) == after
    assert stages.git("status", "--short").split() == ["M", f"deploy/environments/{target}.json"]
    title, _, body = done.stdout.partition("\n\n")
    assert title == f"chore(deploy): 2 images to {target}"
    for name in checked("promoted images", [name for name in after if after[name] != before.get(name)]):
        assert f"| {name} |" in body and after[name]["digest"][7:19] in body
    assert deploy(stages, "promote", source, target).returncode == 3


def test_one_image_alone(stages):
    done = deploy(stages, "promote", "dev", "staging", "--image", "order-service")
    assert done.stdout.startswith("chore(deploy): order-service 1.5.0 to staging\n\n")
    assert runs(stages, "staging") == images(order_service="1.5.0", user_service="2.0.0", api_gateway="1.0.0")


def test_the_title_and_the_rollback_are_messages_that_main_takes(stages):
    message = deploy(stages, "promote", "dev", "staging").stdout
    stages.git("commit", "-q", "-am", message)
    back = deploy(stages, "rollback", "staging").stdout
    for text in (message, back):
        done = run("tools/commits", "message", stdin=text)
        assert done.returncode == 0, done.stdout
        # Another type would release the platform, whose images would be promoted, and so on for ever.
        assert text.startswith("chore(deploy): ")


@pytest.mark.parametrize(("words", "says"), [
    (["dev", "production"], "from dev is promoted to staging, not to production"),
    (["production", "dev"], "from production is promoted to nowhere"),
    (["staging", "dev"], "from staging is promoted to production, not to dev"),
    (["dev", "dev"], "not to dev"),
    (["dev", "test"], "no such environment: test"),
    (["dev", "local"], "local takes no part in promotion"),
    (["local", "staging"], "local takes no part in promotion"),
    (["../dev", "staging"], "no such environment"),
    (["dev", "staging", "--image", "gift-service"], "dev runs no gift-service"),
])
def test_a_wrong_way_is_refused(stages, words, says, refused):
    done = deploy(stages, "promote", *words)
    assert done.returncode == 1 and stages.git("status", "--short") == ""
    refused("promotions that were refused", " ".join(words), says, done.stdout)


@pytest.mark.parametrize(("planted", "says"), [
    ('{"images": {"order-service": {"version": "1.0.0", "digest": "latest"}}}', "not named by a digest: latest"),
    ('{"images": {"order-service": {"version": "1.0.0", "digest": "sha256:abc"}}}', "not named by a digest"),
    ('{"images": {"order-service": {"version": "latest", "digest": "%s"}}}' % digest("x"), "no version: latest"),
    ('{"images": {"order-service": {"version": "1.0.0"}}}', "not version and digest"),
    ('{"images": {"a/../b": {"version": "1.0.0", "digest": "%s"}}}' % digest("x"), "not version and digest"),
    ('{"images": {}, "tag": "v1"}', 'not {"images"'),
    ('{"images": {}}', "names no image"),
    ("{", "dev.json: "),
], ids=["tag", "short", "version", "no digest", "name", "more", "none", "no JSON"])
def test_a_planted_environment_is_refused(stages, planted, says, refused, request):
    (stages.folder / "deploy/environments/dev.json").write_text(planted)
    done = deploy(stages, "promote", "dev", "staging")
    assert done.returncode == 1, done.stdout
    refused("planted environments refused", request.node.callspec.id, says, done.stdout)


def test_rollback_once_and_not_twice(stages):
    before = runs(stages, "staging")
    stages.git("commit", "-q", "-am", deploy(stages, "promote", "dev", "staging").stdout)
    stages.commit("docs: of something else", "README.md")
    done = deploy(stages, "rollback", "staging")
    assert done.returncode == 0 and done.stdout.startswith("chore(deploy): staging back to "), done.stdout
    assert runs(stages, "staging") == before and "Rolled-Back-From: " in done.stdout
    stages.git("commit", "-q", "-am", done.stdout)
    done = deploy(stages, "rollback", "staging")
    assert done.returncode == 3 and "a person must look" in done.stdout and runs(stages, "staging") == before
    # The next change of the environment may be rolled back again.
    stages.git("commit", "-q", "-am", deploy(stages, "promote", "dev", "staging").stdout)
    assert deploy(stages, "rollback", "staging").returncode == 0


def test_what_was_changed_since_is_not_rolled_back(stages):
    stages.git("commit", "-q", "-am", deploy(stages, "promote", "dev", "staging", "--image", "order-service").stdout)
    failed = stages.git("rev-parse", "HEAD").strip()
    stages.git("commit", "-q", "-am", deploy(stages, "promote", "dev", "staging").stdout)
    done = deploy(stages, "rollback", "staging", "--failed", failed)
    assert done.returncode == 3 and "staging was changed after" in done.stdout and stages.git("status", "--short") == ""
    assert deploy(stages, "rollback", "staging", "--failed", "HEAD").returncode == 0


def test_rollback_to_a_commit(stages):
    first = stages.git("rev-parse", "HEAD").strip()
    before = runs(stages, "staging")
    for version in ("1.6.0", "1.7.0"):
        put(stages, "staging", images(order_service=version))
        stages.git("commit", "-q", "-am", f"feat(deploy): {version}")
    assert deploy(stages, "rollback", "staging", "--to", first).returncode == 0
    assert runs(stages, "staging") == before
    assert "runs what it ran" in deploy(stages, "rollback", "staging", "--to", first).stdout


def test_a_rollback_into_nothing_is_refused(small):
    put(small, "dev", images(order_service="1.0.0"))
    small.git("commit", "-q", "-am", "feat(deploy): the first")
    done = deploy(small, "rollback", "dev")
    assert done.returncode == 1 and "dev ran nothing at" in done.stdout
    done = deploy(small, "rollback", "staging")
    assert done.returncode == 1 and "has run nothing before" in done.stdout


class FakeController(http.server.BaseHTTPRequestHandler):
    """Gives one answer of its list after the other, the last one for ever."""

    def do_GET(self) -> None:
        answers = self.server.answers
        self.server.asked.append(self.path)
        items = answers.pop(0) if len(answers) > 1 else answers[0]
        known = self.headers["Authorization"] == "Bearer token-of-a-test"
        body = json.dumps({"items": items} if known else {}).encode()
        self.send_response(200 if known and items is not None else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments) -> None:
        pass


@pytest.fixture
def controller():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FakeController)
    server.answers, server.asked = [[]], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def application(name: str, what: dict, sync: str = "Synced", health: str = "Healthy") -> dict:
    return {"metadata": {"name": name}, "status": {"sync": {"status": sync}, "health": {"status": health}, "summary": {
        "images": [f"registry.example.com/stoa/{image}@{entry['digest']}" for image, entry in what.items()]}}}


NEW = images(order_service="1.5.0", user_service="2.0.1")
OLD = images(order_service="1.4.0", user_service="2.0.1")


@pytest.mark.parametrize(("answers", "says", "code"), [
    ([[application("all", NEW)]], "2 images run in dev", 0),
    ([[application("all", OLD)], None, [application("all", NEW, "OutOfSync", "Progressing")], [application("all", NEW)]], "2 images run in dev", 0),
    ([[application("all", OLD)]], "order-service 1.5.0 runs nowhere", 1),
    ([[application("all", NEW, health="Progressing")]], "all is Synced and Progressing", 1),
    ([[application("all", NEW, sync="OutOfSync")]], "all is OutOfSync and Healthy", 1),
    ([[application("all", NEW, health="Degraded")]], "all is Degraded", 1),
    ([[]], "no application of this environment", 1),
    ([None], "the controller: ", 1),
], ids=["at once", "after a while", "old digest", "progressing", "out of sync", "degraded", "none", "no answer"])
def test_arrived(stages, controller, answers, says, code, checked):
    controller.answers = list(answers)
    done = deploy(stages, "arrived", "dev", "--server", f"http://127.0.0.1:{controller.server_port}", "--seconds", "0.5",
                  "--pause", "0.05", stdin="token-of-a-test")
    assert done.returncode == code and says in done.stdout, done.stdout
    assert all(path == "/api/v1/applications?selector=environment%3Ddev" for path in controller.asked)
    checked("answers of a controller", [says])


@pytest.mark.parametrize(("runs_too", "left"), [
    ({}, ""),  # an environment without simulators
    (images(mail_sink="1.0.0"), ""),
    (images(mail_sink="0.9.0"), "mail-sink 1.0.0 runs nowhere"),
])
def test_what_is_no_service_may_run_nowhere_but_not_by_another_digest(stages, controller, runs_too, left):
    put(stages, "dev", NEW | images(mail_sink="1.0.0", tools="1.0.0"))
    controller.answers = [[application("all", NEW | runs_too)]]
    done = deploy(stages, "arrived", "dev", "--server", f"http://127.0.0.1:{controller.server_port}", "--seconds", "0.2", "--pause", "0.05",
                  stdin="token-of-a-test")
    assert (done.returncode, left in done.stdout) == (1 if left else 0, True), done.stdout


def test_a_service_that_runs_nowhere_has_not_arrived(stages, controller):
    controller.answers = [[application("all", images(user_service="2.0.1"))]]
    done = deploy(stages, "arrived", "dev", "--server", f"http://127.0.0.1:{controller.server_port}", "--seconds", "0.2", "--pause", "0.05",
                  stdin="token-of-a-test")
    assert done.returncode == 1 and "order-service 1.5.0 runs nowhere" in done.stdout


def test_arrived_refuses_no_token_and_no_image(stages):
    assert "no token" in deploy(stages, "arrived", "dev", "--server", "http://127.0.0.1:1", stdin="").stdout
    put(stages, "dev", {})
    assert "names no image" in deploy(stages, "arrived", "dev", "--server", "http://127.0.0.1:1", stdin="x").stdout


def on_branch(scratch, branch: str) -> str:
    return scratch.git("--git-dir", scratch.remote, "log", "-1", "--format=%an%n%B", branch)


def test_a_promotion_by_hand_is_a_branch_of_what_main_says(stages, checked):
    stages.push()
    put(stages, "staging", images(order_service="9.9.9"))  # mine alone, and not to be promoted
    done = deploy(stages, "propose", "staging", "production", PATH="/usr/bin:/bin")
    assert done.returncode == 0 and "open its pull request to main" in done.stdout, done.stdout
    author, title = on_branch(stages, "promote/production").splitlines()[:2]
    assert (author, title) == ("A Test", "chore(deploy): 2 images to production")
    there = json.loads(stages.git("--git-dir", stages.remote, "show", "promote/production:deploy/environments/production.json"))
    assert there["images"] == images(order_service="1.4.0", user_service="2.0.0", api_gateway="1.0.0")
    assert stages.git("--git-dir", stages.remote, "diff", "--name-only", "main", "promote/production").split() == ["deploy/environments/production.json"]
    assert runs(stages, "staging") == images(order_service="9.9.9") and stages.git("branch", "--show-current").strip() == "main"
    assert len(stages.git("worktree", "list").splitlines()) == 1
    checked("promotions on a repository with a remote", ["staging production"])


def test_a_promotion_that_is_repeated_or_wrong_pushes_nothing(stages):
    stages.push()
    assert deploy(stages, "propose", "dev", "staging").returncode == 0
    stages.git("fetch", "-q", "origin", "promote/staging")
    stages.git("merge", "-q", "--ff-only", "FETCH_HEAD")
    stages.push()
    done = deploy(stages, "propose", "dev", "staging")
    assert done.returncode == 0 and "staging runs the same already" in done.stdout
    done = deploy(stages, "propose", "dev", "production")
    assert done.returncode == 1 and "from dev is promoted to staging" in done.stdout
    assert "promote/production" not in stages.git("--git-dir", stages.remote, "branch")
    assert deploy(stages, "propose", "dev").returncode == 2


def test_make_promote_wants_both_ends():
    for words in ([], ["FROM=staging"], ["TO=production"]):
        done = run("make", "-n", "promote", *words)
        assert done.returncode != 0 and "say FROM=staging TO=production" in done.stdout
    assert "deploy/ci/propose staging production" in run("make", "-n", "promote", "FROM=staging", "TO=production").stdout


PROPOSED = """# auto generated by argocd image updater
images:
  order-service:
    name: registry.example.com/stoa/order-service
    version: 1.6.0
  user-service:
    name: registry.example.com/stoa/user-service
    version: "2.0.1"
"""


def proposed(stages, text: str, registry: str = "registry.example.com/stoa", answer: str = ""):
    """The registry is played by a program that answers with the digest of what it is asked for."""
    file = stages.folder.parent / "proposed.yaml"
    file.write_text(text)
    ask = stages.folder.parent / "ask"
    ask.write_text("#!/bin/sh\n" + (answer or "printf 'sha256:'; printf %s \"$1\" | sha256sum | cut -c1-64\n"))
    ask.chmod(0o755)
    return deploy(stages, "proposed", file, registry, STOA_DIGEST_OF=str(ask))


def test_what_image_updater_proposes_becomes_digests_in_dev(stages, tmp_path):
    done = proposed(stages, PROPOSED)
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)["images"]
    assert told == {"order-service": {"version": "1.6.0", "digest": digest("registry.example.com/stoa/order-service:1.6.0")},
                    "user-service": {"version": "2.0.1", "digest": digest("registry.example.com/stoa/user-service:2.0.1")}}
    (tmp_path / "images.json").write_text(done.stdout)
    assert deploy(stages, "promote", "record", tmp_path / "images.json").returncode == 0
    assert runs(stages, "dev")["order-service"] == told["order-service"]


@pytest.mark.parametrize(("old", "new", "answer", "says"), [
    ("registry.example.com/stoa/order", "registry.example.com/other/order", "", "order-service is not registry.example.com/stoa/order-service"),
    ("name: registry.example.com/stoa/user-service", "name: registry.example.com/stoa/order-service", "", "user-service is not"),
    ("    version: 1.6.0\n", "", "", "order-service is not"),
    ("  user-service:\n", "  user-service: {}\n", "", "not of Image Updater's form"),
    ("images:\n", "parameters:\n", "", "line 2 is not of Image Updater's form"),
    ("1.6.0", "latest", "", "has no version: latest"),
    ("1.6.0", "1.6.0", "echo gone >&2; exit 1\n", "order-service:1.6.0: gone"),
    ("1.6.0", "1.6.0", "echo v1.6.0\n", "is not named by a digest"),
    (PROPOSED, "# nothing\n", "", "it proposes no image"),
])
def test_another_proposal_is_refused(stages, old, new, answer, says, refused):
    done = proposed(stages, PROPOSED.replace(old, new, 1), answer=answer)
    assert done.returncode == 1, done.stdout
    refused("planted proposals that were refused", f"{old.strip()} → {new.strip()} {answer.strip()}", says, done.stdout)
