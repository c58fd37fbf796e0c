"""Changed files → jobs and services: the script that the workflow calls, on a table and on commits."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import re
import shutil

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import run, tree_files


def loaded(name: str):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(CHECKOUT / "deploy/ci" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


changed = loaded("changed")
gate = loaded("gate")
SERVICES = ["api-gateway", "notification-service", "order-service", "payment-service", "product-service", "user-service"]
EVERYTHING = (set(changed.CODE), SERVICES)
TEXT = ({"check"}, [])


def asked(*files: str) -> tuple[set[str], list[str]]:
    done = run("deploy/ci/changed", "--files", stdin="\n".join(files))
    assert done.returncode == 0, done.stdout
    told = json.loads(done.stdout)
    assert set(changed.ALWAYS) <= set(told["jobs"])
    return set(told["jobs"]) - set(changed.ALWAYS), told["services"]


CASES = [
    ("one service", ["services/order-service/domain/order.cpp"], (set(changed.CODE), ["order-service"])),
    ("its migration", ["services/user-service/migrations/0001_users.sql"], (set(changed.CODE), ["user-service"])),
    ("two services", ["services/user-service/main.cpp", "services/api-gateway/main.cpp"], (set(changed.CODE), ["api-gateway", "user-service"])),
    ("a service's guide", ["services/order-service/README.md"], TEXT),
    ("its changelog", ["services/order-service/CHANGELOG.md"], TEXT),
    ("a service and a guide", ["docs/performance.md", "services/order-service/app/orders.cpp"], (set(changed.CODE), ["order-service"])),
    ("a shared library", ["servicekit/http/server.cpp"], EVERYTHING),
    ("a shared header", ["servicekit/core/money.hpp"], EVERYTHING),
    ("a shared library's guide", ["servicekit/http/README.md"], TEXT),
    ("a contract", ["contracts/events/order.paid.json"], EVERYTHING),
    ("the build", ["cmake/StoaTargets.cmake"], EVERYTHING),
    ("root configuration", ["CMakeLists.txt"], EVERYTHING),
    ("the rules of the linter", [".clang-tidy"], EVERYTHING),
    ("the entry of CI", [".ci/run"], EVERYTHING),
    ("the workflow itself", [".github/workflows/ci.yml"], EVERYTHING),
    ("another workflow", [".github/workflows/nightly.yml"], TEXT),
    ("what decides", ["deploy/ci/changed"], EVERYTHING),
    ("the compiler's packages", ["deploy/images/packages/toolchain.list"], EVERYTHING),
    ("the delivery root's packages", ["deploy/images/packages/deploy.list"], TEXT),
    ("the image", ["deploy/images/Dockerfile"], EVERYTHING),
    ("the tool that tests", ["tools/test"], EVERYTHING),
    ("a Terraform module", ["deploy/terraform/modules/network/main.tf"], TEXT),
    ("a chart", ["deploy/helm/service/templates/deployment.yaml"], TEXT),
    ("a journey", ["tests/journey/test_orders.py"], ({"check", "journey"}, [])),
    ("the shop of the tests", ["tests/shop.py"], ({"check", "journey"}, [])),
    ("a check of delivery", ["tests/deploy/test_changed.py"], TEXT),
    ("the test of a deployment", ["deploy/ci/smoke"], ({"check", "journey"}, [])),
    ("an environment", ["deploy/environments/production.json"], TEXT),
    ("a guide", ["docs/phases/01-foundation.md"], ({"check", "journey"}, [])),
    ("the licence", ["LICENSE"], TEXT),
    ("a path nobody claims", ["novel/folder/file.xyz"], EVERYTHING),
    ("one nobody claims among others", ["docs/performance.md", "new-file-at-the-top"], EVERYTHING),
    ("a folder that looks like a service", ["services/shared.cmake"], EVERYTHING),
    ("a service that is gone", ["services/gift-service/main.cpp"], EVERYTHING),
    ("no file", [], EVERYTHING),
]


@pytest.mark.parametrize(("files", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_change_needs(files, expected, checked):
    checked("changes by what they need", [" ".join(files) or "none"])
    assert asked(*files) == expected


def test_every_file_is_claimed_and_every_rule_claims_one(checked):
    names = checked("files by rule of changed", tree_files())
    assert [name for name in names if changed.rule_of(name) is None] == []
    assert [changed.RULES[number][0] for number in set(range(len(changed.RULES))) - {changed.rule_of(name) for name in names}] == []


def test_what_releases_a_service_tests_it(checked):
    """deploy/release/units.mjs knows what all services are made of; here the same must fan out."""
    listed = re.search(r"SHARED_PATHS = \[(.*?)\]", (CHECKOUT / "deploy/release/units.mjs").read_text(), re.DOTALL)[1]
    for path in checked("shared paths of releases", re.findall(r'"([^"]+)"', listed)):
        assert asked(path + "a.cpp" if path.endswith("/") else path) == EVERYTHING, path


def foreign_links(service: str, text: str) -> set[str]:
    """Libraries of other services that a CMakeLists.txt names."""
    theirs = {library for other in SERVICES if other != service
              for library in re.findall(r"stoa_library\((\w+)", (CHECKOUT / f"services/{other}/CMakeLists.txt").read_text())}
    assert len(theirs) >= 10
    return theirs & set(re.findall(r"\w+", text))


def test_no_service_is_linked_from_another(checked):
    """Else a change of one would have to test the other."""
    for service in checked("services that link no other", SERVICES):
        assert foreign_links(service, (CHECKOUT / f"services/{service}/CMakeLists.txt").read_text()) == set()
    planted = (CHECKOUT / "services/order-service/CMakeLists.txt").read_text().replace("LINK order_adapters)", "LINK order_adapters user_domain)")
    assert foreign_links("order-service", planted) == {"user_domain"}


def test_a_tree_without_services_is_refused(tmp_path):
    (tmp_path / "deploy/ci").mkdir(parents=True)
    shutil.copy2(CHECKOUT / "deploy/ci/changed", tmp_path / "deploy/ci/changed")
    done = run("deploy/ci/changed", "--files", cwd=tmp_path, stdin="README.md")
    assert done.returncode == 1 and "no service in the tree" in done.stdout


def test_the_difference_of_two_commits(scratch, tmp_path):
    base = scratch.git("rev-parse", "HEAD").strip()

    def between(base: str):
        output = tmp_path / "output"
        output.write_text("")
        done = run("deploy/ci/changed", "--base", base, "--head", "HEAD", cwd=scratch.folder, GITHUB_OUTPUT=str(output))
        return done, dict(line.split("=", 1) for line in output.read_text().splitlines())

    scratch.commit("fix(order-service): a total is rounded once", "services/order-service/domain/order.cpp")
    done, outputs = between(base)
    assert done.returncode == 0 and json.loads(outputs["services"]) == ["order-service"]
    # What is moved out of a shared library was changed there, too.
    scratch.git("mv", "servicekit/core/ascii.hpp", "docs/ascii.hpp")
    scratch.commit("refactor: move")
    assert json.loads(between(base)[1]["services"]) == SERVICES
    assert json.loads(between("0" * 40)[1]["services"]) == SERVICES
    done, outputs = between("f" * 40)
    assert done.returncode == 1 and "changed: " in done.stdout and outputs == {}


def needs(jobs: list[str] | None = None, plan: str = "success", **results: str) -> dict:
    outputs = {} if jobs is None else {"jobs": json.dumps(jobs), "services": "[]"}
    return {"changed": {"result": plan, "outputs": outputs}} | {job: {"result": result, "outputs": {}} for job, result in results.items()}


@pytest.mark.parametrize(("given", "closed"), [
    (needs(["unit", "check"], unit="success", check="success"), []),
    (needs(["check"], unit="skipped", check="success"), []),
    (needs(["check"], unit="failure", check="success"), ["unit"]),
    (needs(["unit", "check"], unit="skipped", check="success"), ["unit"]),
    (needs(["unit"], unit="cancelled"), ["unit"]),
    (needs([], unit="skipped"), ["changed, which asks for no job"]),
    (needs(None, unit="success"), ["changed, which said no jobs"]),
    (needs(["unit", "unti"], unit="success"), ["unti, which is no job"]),
    (needs(["unit"], plan="failure", unit="skipped"), ["changed", "unit"]),
    (needs(["unit"], plan="skipped", unit="success"), ["changed"]),
], ids=["all", "one not asked for", "not asked for, yet failed", "asked for, yet skipped", "cancelled", "empty filter",
        "no plan", "unknown job", "the filter failed", "the filter was skipped"])
def test_the_gate_by_plan(given, closed, checked):
    checked("gates", [json.dumps(given)])
    assert gate.closed_by(given) == closed
    assert run("deploy/ci/gate", NEEDS=json.dumps(given)).returncode == (1 if closed else 0)


def test_suites_refuses_nothing_and_a_stranger():
    for words, message in [([], "no service"), (["gift-service"], "no such service: gift-service")]:
        done = run("deploy/ci/suites", "debug", *words)
        assert done.returncode == 1 and message in done.stdout
