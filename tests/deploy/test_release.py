"""semantic-release over scratch repositories with a remote in a folder: which units, which version, which notes."""

from __future__ import annotations

import json
import re

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import Scratch, must, run

SERVICES = sorted(folder.name for folder in (CHECKOUT / "services").iterdir() if (folder / "CMakeLists.txt").exists())
EVERYTHING = [*SERVICES, "platform"]


def release(repository: Scratch, *options: str) -> dict[str, dict]:
    """What is released, by unit. The scratch repository is no CI's, and no branch of one."""
    plan = repository.folder.parent / "plan.json"
    must("deploy/release/release", "--no-ci", "--in", repository.folder, "--remote", f"file://{repository.remote}",
         "--json", plan, *options)
    return {entry["unit"]: entry for entry in json.loads(plan.read_text())}


def planned(repository: Scratch, *units: str) -> dict[str, dict]:
    """The plan for `units`, or for all."""
    repository.push()
    tags = repository.git("tag")
    head = repository.git("rev-parse", "HEAD")
    plan = release(repository, "--dry-run", *(word for unit in units for word in ("--unit", unit)))
    assert (repository.git("tag"), repository.git("rev-parse", "HEAD")) == (tags, head), "a dry run changes nothing"
    return plan


@pytest.fixture(scope="module")
def earlier(tmp_path_factory) -> Scratch:
    """The services' folders at 1.4.2, as the tags of earlier releases say."""
    files = [f"services/{name}/CMakeLists.txt" for name in SERVICES] + ["deploy/release/package.json"]  # its folder is the scope of releases
    repository = Scratch(tmp_path_factory.mktemp("earlier"), files)
    for unit in EVERYTHING:
        repository.git("tag", "v1.4.2" if unit == "platform" else f"{unit}-v1.4.2")
    repository.git("push", "-q", "--tags", "origin")
    return repository


@pytest.fixture
def released(earlier, tmp_path) -> Scratch:
    return earlier.copy(tmp_path)


def test_six_services_are_units():
    assert len(SERVICES) == 6


# message, files: the next version, and what the notes say
VERSIONS = [
    ("fix(order-service): a total is rounded once", "1.4.3", "### Fixes\n\n* **order-service:** a total is rounded once"),
    ("perf(order-service): one statement for each order", "1.4.3", "### Performance\n\n* **order-service:** one statement"),
    ("feat(order-service): carts expire", "1.5.0", "### Features\n\n* **order-service:** carts expire"),
    ("feat(order-service)!: amounts are objects", "2.0.0", "### ⚠ BREAKING CHANGES\n\n* **order-service:** amounts are objects"),
    ("fix(order-service): days are dates\n\nBREAKING CHANGE: no time of day is sent", "2.0.0", "no time of day is sent"),
    ("revert: feat(order-service): carts expire", "1.4.3", "### Reverts"),
]


@pytest.mark.parametrize(("message", "version", "notes"), VERSIONS, ids=[message.splitlines()[0] for message, *_ in VERSIONS])
def test_a_change_of_one_service_releases_it_and_the_platform(released, checked, message, version, notes):
    released.commit(message, "services/order-service/domain/order.cpp")
    plan = planned(released, "order-service", "payment-service", "platform")
    assert sorted(plan) == ["order-service", "platform"]
    for unit, entry in plan.items():
        assert (entry["previous"], entry["version"]) == ("1.4.2", version)
        assert notes in entry["notes"], entry["notes"]
        checked("planned releases", [f"{unit} {version} by {message}"])
    assert plan["order-service"]["tag"] == f"order-service-v{version}" and plan["platform"]["tag"] == f"v{version}"


def test_a_change_of_servicekit_releases_all(released, checked):
    released.commit("fix: a chunk of size zero ends the body", "servicekit/http/server.cpp")
    plan = planned(released)
    assert sorted(plan) == sorted(EVERYTHING)
    assert {entry["version"] for entry in plan.values()} == {"1.4.3"}
    checked("planned releases", [f"{unit} by servicekit/" for unit in plan])


@pytest.mark.parametrize("shared", ["cmake/StoaTargets.cmake", "CMakeLists.txt", "deploy/images/Dockerfile",
                                    "deploy/images/packages/toolchain.list"])
def test_so_does_a_change_of_what_they_are_built_and_packed_with(released, checked, shared):
    assert (CHECKOUT / shared).is_file()
    released.commit("fix: a flag of the compiler", shared)
    assert sorted(planned(released, "order-service", "user-service")) == ["order-service", "user-service"]
    checked("planned releases", [f"order-service by {shared}"])


NOT_RELEASED = [
    ("docs(order-service): what a cart is", "services/order-service/README.md"),
    ("test(order-service): carts expire", "services/order-service/tests/cart_test.cpp"),
    ("refactor(servicekit): one way to compare names", "servicekit/core/names.cpp"),
    ("chore(release): order-service 1.4.2 [skip ci]", "services/order-service/CHANGELOG.md"),
    ("tidy up", "services/order-service/domain/order.cpp"),
]


def test_what_changes_no_behaviour_releases_nothing(released):
    for message, file in NOT_RELEASED:
        released.commit(message, file)
    assert planned(released) == {}


def test_what_belongs_to_no_service_releases_the_platform_alone(released):
    released.commit("fix(tools): the stack stops within its limit", "tools/stack/stack.py")
    assert sorted(planned(released)) == ["platform"]


def test_each_service_has_a_version_of_its_own(released):
    released.commit("feat(order-service): carts expire", "services/order-service/domain/cart.cpp")
    released.commit("fix(user-service): a session ends with its family", "services/user-service/domain/session.cpp")
    plan = planned(released)
    assert {unit: entry["version"] for unit, entry in plan.items()} == {
        "order-service": "1.5.0", "user-service": "1.4.3", "platform": "1.5.0"}
    assert "family" not in plan["order-service"]["notes"] and "carts" not in plan["user-service"]["notes"]
    assert "family" in plan["platform"]["notes"] and "carts" in plan["platform"]["notes"]


def test_a_scope_does_not_stand_for_its_folder(released):
    """The paths decide: a wrong scope releases what was changed, not what was named."""
    released.commit("fix(order-service): a session ends with its family", "services/user-service/domain/session.cpp")
    assert sorted(planned(released)) == ["platform", "user-service"]


def test_a_release_writes_changelogs_and_tags_and_is_done_once(released, checked):
    released.commit("feat(order-service): carts expire", "services/order-service/domain/cart.cpp")
    released.push()
    assert sorted(release(released)) == ["order-service", "platform"]
    on_remote = set(must("git", "tag", "--list", cwd=released.remote).split())
    assert {"order-service-v1.5.0", "v1.5.0"} <= on_remote and "user-service-v1.5.0" not in on_remote
    for file in checked("generated changelogs", ["services/order-service/CHANGELOG.md", "CHANGELOG.md"]):
        text = must("git", "show", f"main:{file}", cwd=released.remote)
        assert re.search(r"^#+ \[?1\.5\.0\b.*\n\n### Features\n\n\* \*\*order-service:\*\* carts expire", text, re.MULTILINE), text
    subjects = must("git", "log", "-2", "--format=%s", "main", cwd=released.remote).splitlines()
    assert subjects == ["chore(release): platform 1.5.0 [skip ci]", "chore(release): order-service 1.5.0 [skip ci]"]
    # Its own commits are well formed, and release nothing.
    must("tools/commits", "range", "HEAD~2", "HEAD", released.folder)
    assert planned(released, "order-service", "platform") == {}


def test_a_branch_that_is_not_main_releases_nothing(released):
    released.git("checkout", "-q", "-b", "feature")
    released.commit("feat(order-service): carts expire", "services/order-service/domain/cart.cpp")
    released.git("push", "-q", "origin", "feature")
    assert release(released, "--dry-run") == {}


def test_an_unknown_unit_and_an_absent_remote_are_refused(released, tmp_path):
    done = run("deploy/release/release", "--no-ci", "--dry-run", "--in", released.folder, "--unit", "gift-service")
    assert done.returncode != 0 and "no such unit: gift-service" in done.stdout
    done = run("deploy/release/release", "--no-ci", "--dry-run", "--in", released.folder, "--remote", f"file://{tmp_path}/none")
    assert done.returncode != 0 and "release: " in done.stdout
