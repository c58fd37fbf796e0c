"""What `make prove` keeps of a run that was ended, and what the next one may take over."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import types

import pytest

from tests.resilience.section import Order, Section

PROVE = pathlib.Path(__file__).with_name("prove")


@pytest.fixture
def prove(monkeypatch, tmp_path) -> types.ModuleType:
    loader = importlib.machinery.SourceFileLoader("prove", str(PROVE))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("prove", loader))
    monkeypatch.setitem(sys.modules, "prove", module)
    loader.exec_module(module)
    module.ran = []

    def section(order: Order) -> Section:
        module.ran.append((order.seed, order.size))
        return Section(figures={"orders": 7}, violations=list(module.found))

    monkeypatch.setattr(module, "PROOFS", tmp_path)
    monkeypatch.setattr(module, "names", lambda: ["one"])
    monkeypatch.setattr(module, "only_long", lambda _: False)
    monkeypatch.setattr(module, "commit", lambda: module.of)
    monkeypatch.setattr(module, "same_programs", lambda one, other: one == other or {one, other} == module.alike)
    monkeypatch.setattr(module.importlib, "import_module", lambda _: types.SimpleNamespace(TITLE="one section", run=section))
    module.of, module.found, module.alike = "c0ffee", [], set()
    return module


def proven(prove: types.ModuleType, page: pathlib.Path, *words: str) -> str:
    prove.code = prove.main(["--page", str(page), *words])
    return page.read_text()


def test_what_was_proven_is_not_proven_again_when_asked_to_go_on(prove, tmp_path) -> None:
    first, second = proven(prove, tmp_path / "page"), proven(prove, tmp_path / "page", "--go-on")
    assert prove.ran == [(1, "proof")] and prove.code == 0
    assert "**0 violations**" in first and "sitting" not in first
    assert "in more than one sitting" in second and "| one section | 7 orders |" in second


def test_without_being_asked_all_of_it_runs(prove, tmp_path) -> None:
    proven(prove, tmp_path / "page"), proven(prove, tmp_path / "page")
    assert len(prove.ran) == 2


@pytest.mark.parametrize("words", [["--seed", "2"], ["--long"]])
def test_another_seed_or_size_is_another_proof(prove, tmp_path, words) -> None:
    proven(prove, tmp_path / "page")
    assert "sitting" not in proven(prove, tmp_path / "page", "--go-on", *words)
    assert len(prove.ran) == 2


@pytest.mark.parametrize(("before", "after"), [("c0ffee", "decade"), ("c0ffee-dirty", "c0ffee-dirty")])
def test_another_commit_or_an_unknown_tree_is_another_proof(prove, tmp_path, before, after) -> None:
    prove.of = before
    proven(prove, tmp_path / "page")
    prove.of = after
    proven(prove, tmp_path / "page", "--go-on")
    assert len(prove.ran) == 2


def test_a_commit_with_the_same_programs_is_the_same_proof_and_is_named(prove, tmp_path) -> None:
    proven(prove, tmp_path / "page")
    prove.of, prove.alike = "decade", {"c0ffee", "decade"}
    page = proven(prove, tmp_path / "page", "--go-on")
    assert len(prove.ran) == 1
    assert "at commit `decade`" in page and "in part at `c0ffee`, of the same programs" in page


def test_programs_are_compared_by_the_sources_that_make_them(prove, monkeypatch, tmp_path) -> None:
    monkeypatch.undo()
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.com"]

    def commit(file: str, text: str) -> str:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
        subprocess.run([*git, "add", "."], check=True)
        subprocess.run([*git, "commit", "-q", "-m", file], check=True)
        return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()

    subprocess.run([*git, "init", "-q"], check=True)
    first = commit("services/order/main.cpp", "1")
    told = commit("docs/proofs/README.md", "1")
    other = commit("services/order/main.cpp", "2")
    monkeypatch.setattr(prove, "CHECKOUT", tmp_path)
    assert prove.same_programs(first, told)
    assert not prove.same_programs(told, other)
    assert not prove.same_programs("c0ffee", other)


def test_a_violation_is_never_taken_over(prove, tmp_path) -> None:
    prove.found = ["stock: one is missing"]
    assert "**1 violations**" in proven(prove, tmp_path / "page") and prove.code == 1
    prove.found = []
    assert "**0 violations**" in proven(prove, tmp_path / "page", "--go-on")
    assert len(prove.ran) == 2 and prove.code == 0
