"""The version after this one, which tests/cluster runs beside it: its tree is made of this one, and its steps are judged."""

from __future__ import annotations

import pathlib
import shutil
import sys

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import must, run

sys.path.insert(0, str(CHECKOUT / "tools"))
from tidy import migrations  # noqa: E402
from tidy.tree import Tree  # noqa: E402

MAKE = "tests/cluster/next/tree"


def added(folder: pathlib.Path) -> list[str]:
    """Migrations that this tree lacks."""
    return sorted(str(file.relative_to(folder)) for file in folder.glob("services/*/migrations/*.sql") if not (CHECKOUT / file.relative_to(folder)).exists())


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("next") / "tree"
    must(CHECKOUT / MAKE, folder)
    return folder


def test_each_service_has_one_step_more(tree, checked):
    steps = checked("steps of the next version", added(tree))
    services = {step.split("/")[1] for step in steps}
    assert services == {file.stem for file in (CHECKOUT / MAKE).parent.glob("*.sql")}
    for step in steps:
        service, file = step.split("/")[1], pathlib.Path(step).name
        assert int(file[:4]) == len(list((CHECKOUT / "services" / service / "migrations").glob("*.sql"))) + 1


def test_the_step_that_breaks_the_version_before_is_the_one_that_the_house_refuses(tree):
    """On a node its old pods fail (tests/cluster/test_versions.py); without a node the rule says it."""
    here = set(added(tree))
    refused = [finding for finding in migrations.contract_steps(Tree(tree)) if finding.file in here]
    assert [finding.file.split("/")[1] for finding in refused] == ["payment-service"]
    assert "renames" in refused[0].message


def test_it_is_built_of_what_an_image_is_made_of(tree):
    """The Dockerfile finds all that it copies, and nothing of this tree is changed beyond what the file says."""
    changed = {str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file() and
               not ((here := CHECKOUT / file.relative_to(tree)).is_file() and here.read_bytes() == file.read_bytes())}
    assert changed - set(added(tree)) == {"services/order-service/adapters/pg_order_queries.cpp", "services/product-service/adapters/pg_reservation_sql.cpp",
                                          *(f"services/payment-service/adapters/{name}.cpp" for name in ("pg_change", "pg_charges", "pg_queries", "pg_refunds"))}
    for line in (tree / "deploy/images/Dockerfile").read_text().splitlines():
        if line.startswith("COPY ") and "--" not in line:
            assert [source for source in line.split()[1:-1] if not list(tree.glob(source))] == []


def test_code_that_has_moved_on_is_named(tmp_path):
    for part in ("CMakeLists.txt", "CMakePresets.json", ".dockerignore"):
        shutil.copy2(CHECKOUT / part, tmp_path)
    for part in ("cmake", "contracts", "servicekit", "services", "tools", "deploy/demo", "deploy/images", "deploy/postgres", "tests/cluster/next"):
        shutil.copytree(CHECKOUT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__"))
    planted = tmp_path / "services/order-service/adapters/pg_order_queries.cpp"
    planted.write_text(planted.read_text().replace("awaited_event)", "event_awaited)"))
    done = run(tmp_path / MAKE, tmp_path / "made")
    assert done.returncode != 0 and "pg_order_queries.cpp has no" in done.stdout
