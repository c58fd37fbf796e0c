"""The real commitlint over a table of messages; the real git over the hooks."""

from __future__ import annotations

import json
import pathlib
import shutil

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import must, run, tree_files

GOOD = [
    "feat: search forgives two typos",
    "fix(order-service): a total is rounded once",
    "fix(http): a chunk of size zero ends the body",
    "feat(redis): TLS by a rediss:// address",
    "feat(contracts): AsyncAPI 3 of all facts",
    "perf(postgres): rows are found by the index that was made for them",
    "feat(payment-service)!: amounts are objects",
    "refactor(servicekit): one way to compare names",
    "test(resilience): four stacks side by side",
    "docs(adr): an outbox for each database",
    "build(tools): a second root",
    "ci: the gate runs always",
    "chore(release): order-service 1.4.0 [skip ci]",
    "revert: feat(order-service): carts expire",
    f"fix: {'a' * 95}",
    "style(tests): a file has at most 400 lines",
    "feat(http,json): numbers keep their digits",
    "fix(user-service): a session ends with its family\n\nA stolen token was accepted for a minute.\n\nRefs: 12",
    "feat(order-service): orders expire\n\nBREAKING CHANGE: an unpaid order is cancelled after a day",
]

# message: the rule that refuses it
BAD = {
    "search forgives two typos": "type-empty",
    "Merge branch 'main' into feature": "type-empty",
    "fixup! feat: search": "type-empty",
    "1.2.3": "type-empty",
    "feature: search forgives two typos": "type-enum",
    "bench(http): CPU of a proxied read": "type-enum",
    "Fix: a total is rounded once": "type-case",
    "fix:a total is rounded once": "type-empty",
    "fix(order-service) a total is rounded once": "type-empty",
    "fix(orders): a total is rounded once": "scope-enum",
    "fix(order-service,orders): a total is rounded once": "scope-enum",
    "fix(Order-Service): a total is rounded once": "scope-case",
    "fix(.github): the gate runs always": "scope-enum",
    "fix(common): a total is rounded once": "scope-enum",
    "fix(order-service):": "subject-empty",
    "fix(order-service): a total is rounded once ": "header-trim",
    "fix(order-service): a total is rounded once.": "subject-full-stop",
    f"fix: {'a' * 96}": "header-max-length",
    f"fix: a total is rounded once\n\n{'reason ' * 20}": "body-max-line-length",
    f"fix: a total\n\nWhy.\n\nBREAKING CHANGE: {'x' * 120}": "footer-max-line-length",
}


def one(message: str):
    return run("tools/commits", "message", stdin=message)


def in_one_range(repository, messages: list[str]):
    """The messages as commits, one after the other, judged in one run."""
    first = tip = repository.git("rev-parse", "HEAD").strip()
    for message in messages:
        tip = must("git", "commit-tree", "HEAD^{tree}", "-p", tip, cwd=repository.folder, stdin=message).strip()
    return run("tools/commits", "range", first, tip, repository.folder)


def test_the_table_is_long_enough():
    assert len(GOOD) >= 15 and len(BAD) >= 20 and len(set(BAD.values())) >= 9


def test_good_messages_are_accepted(scratch, checked):
    done = in_one_range(scratch, checked("commit messages", GOOD))
    assert done.returncode == 0 and f"{len(GOOD)} judged" in done.stdout, done.stdout


@pytest.fixture(scope="module")
def refusals(whole_tree, checked) -> list[str]:
    """What commitlint said of each bad message."""
    done = in_one_range(whole_tree, checked("commit messages", BAD))
    assert done.returncode != 0
    return done.stdout.split("⧗   input: ")[1:]


@pytest.mark.parametrize(("message", "rule"), BAD.items(), ids=[text.splitlines()[0][:60] for text in BAD])
def test_a_bad_message_is_refused_by_its_rule(message, rule, refusals, refused):
    said = [text for text in refusals if text.startswith(message + "\n")]
    assert len(said) == 1, said
    refused("bad messages of commits", message.splitlines()[0], f"[{rule}]", said[0])


def test_a_message_of_standard_input_is_judged():
    """As the title of a pull request is."""
    assert one("fix(order-service): a total is rounded once").returncode == 0
    refused = one("fix(orders): a total is rounded once")
    assert refused.returncode != 0 and "[scope-enum]" in refused.stdout
    assert one("").returncode != 0
    # Git's log joins the lines up to the first blank one: only the hook sees what was typed.
    assert "[body-leading-blank]" in one("fix: a total is rounded once\nThe reason.").stdout


def scopes(folder: pathlib.Path) -> list[str]:
    return must("tools/commits", "scopes", folder).split()


def folders_of_tree() -> set[str]:
    """The same rule, written a second time and without git."""
    found: set[str] = set()
    for name in tree_files():
        folders = pathlib.PurePosixPath(name).parts[:-1][:2]
        if folders and not folders[0].startswith("."):
            found |= set(folders)
    return found


def test_the_scopes_are_the_folders_of_the_tree(scratch, checked):
    found = checked("scopes", scopes(scratch.folder))
    assert found == sorted(folders_of_tree())
    assert {"order-service", "servicekit", "http", "deploy", "release", "docs"} <= set(found)
    assert not {"github", ".github", "src", "domain", "build"} & set(found)


def test_a_new_folder_is_a_new_scope_and_a_removed_one_is_none(scratch):
    before = set(scopes(scratch.folder))
    scratch.change("services/gift-service/CMakeLists.txt")
    scratch.git("rm", "-r", "-q", "tools/audit")
    assert set(scopes(scratch.folder)) - before == {"gift-service"}
    assert before - set(scopes(scratch.folder)) == {"audit"}


@pytest.fixture(scope="session")
def modules() -> pathlib.Path:
    return pathlib.Path(must("tools/npm-modules").strip().splitlines()[-1])


@pytest.fixture
def with_hooks(scratch, modules):
    """What `make hooks` makes of a clone: the packages of the lock file, then husky."""
    (scratch.folder / "node_modules").symlink_to(modules)
    must("npm", "run", "--silent", "prepare", cwd=scratch.folder)
    assert scratch.git("config", "core.hooksPath").strip() == ".husky/_"
    scratch.change("README.md", "One more line.\n")
    return scratch


def commit(scratch, message: str, **environment: str):
    return run("git", "commit", "-m", message, cwd=scratch.folder, **environment)


def test_git_refuses_a_bad_message(with_hooks):
    before = with_hooks.git("rev-parse", "HEAD")
    done = commit(with_hooks, "fix(orders): a total is rounded once")
    assert done.returncode != 0 and "[scope-enum]" in done.stdout, done.stdout
    assert with_hooks.git("rev-parse", "HEAD") == before


def test_git_takes_a_good_message(with_hooks):
    before = with_hooks.git("rev-parse", "HEAD")
    done = commit(with_hooks, "fix(order-service): a total is rounded once")
    assert done.returncode == 0, done.stdout
    assert with_hooks.git("rev-parse", "HEAD~1") == before


def test_without_the_hooks_the_bad_message_passes(scratch):
    """The control: it is the hook that refuses."""
    scratch.change("README.md", "One more line.\n")
    assert commit(scratch, "fix(orders): a total is rounded once").returncode == 0


def path_without_node(folder: pathlib.Path) -> str:
    """The commands that git and a hook need, and no node."""
    folder.mkdir()
    for name in ("git", "sh", "bash", "dirname", "basename", "cat", "env"):
        (folder / name).symlink_to(shutil.which(name))
    return str(folder)


def test_who_has_no_node_is_told_and_commits(with_hooks, tmp_path):
    done = commit(with_hooks, "anything", PATH=path_without_node(tmp_path / "bin"))
    assert done.returncode == 0 and "Node is not installed" in done.stdout and "make hooks" in done.stdout, done.stdout


def test_who_has_an_old_node_is_told_and_commits(with_hooks, tmp_path):
    path = path_without_node(tmp_path / "bin")
    old = tmp_path / "bin/node"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = commit(with_hooks, "anything", PATH=path)
    assert done.returncode == 0 and "older than 20" in done.stdout, done.stdout


def test_who_has_no_packages_is_told_and_commits(with_hooks):
    (with_hooks.folder / "node_modules").unlink()
    done = commit(with_hooks, "anything")
    assert done.returncode == 0 and "commitlint is not installed" in done.stdout, done.stdout


@pytest.mark.parametrize("text", ["trailing space \n", "<<<<<<< ours\n"])
def test_git_refuses_whitespace_errors_and_conflict_markers(with_hooks, text):
    with_hooks.change("tools/up", text)
    done = commit(with_hooks, "fix(tools): a line")
    assert done.returncode != 0 and "pre-commit: whitespace errors or conflict markers" in done.stdout, done.stdout


def test_a_range_is_judged_commit_by_commit(scratch, checked):
    first = scratch.git("rev-parse", "HEAD").strip()
    scratch.commit("fix(order-service): a total is rounded once", "services/order-service/README.md")
    good = scratch.git("rev-parse", "HEAD").strip()
    done = run("tools/commits", "range", first, good, scratch.folder)
    assert done.returncode == 0 and "1 judged" in done.stdout, done.stdout
    scratch.commit("more fixes", "README.md")
    scratch.commit("fix: a last one", "README.md")
    done = run("tools/commits", "range", first, "HEAD", scratch.folder)
    assert done.returncode != 0 and "more fixes" in done.stdout and "[type-empty]" in done.stdout, done.stdout
    checked("commit ranges", [first, good])


def test_an_empty_range_is_refused():
    done = run("tools/commits", "range", "HEAD", "HEAD")
    assert done.returncode != 0 and "a check of nothing" in done.stdout


def faults_of_lock(text: str) -> list[str]:
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    found = [f"{name}: no checksum" for name, entry in packages.items() if "integrity" not in entry and not entry.get("inBundle")]
    found += [f"{name}: names a host" for name, entry in packages.items() if "resolved" in entry]
    return found if packages else ["no package"]


def test_lock_files_have_checksums_and_no_host(checked):
    locks = [name for name in tree_files() if name.endswith("package-lock.json")]
    assert len(checked("lock files", locks)) >= 3
    assert {lock: faults_of_lock((CHECKOUT / lock).read_text()) for lock in locks} == {lock: [] for lock in locks}


@pytest.mark.parametrize(("old", "new", "fault"), [
    ('"integrity"', '"checksum"', "no checksum"),
    ('"version"', '"resolved": "https://registry.example.test/a.tgz", "version"', "names a host"),
])
def test_a_planted_lock_is_refused(old, new, fault, refused):
    text = (CHECKOUT / "package-lock.json").read_text()
    assert old in text
    refused("planted locks of Node", new, fault, faults_of_lock(text.replace(old, new)))
