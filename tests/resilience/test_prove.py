"""What `make prove` keeps of a run that was ended, and what the next one may take over."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import pathlib
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
    monkeypatch.setattr(module.importlib, "import_module", lambda _: types.SimpleNamespace(TITLE="one section", run=section))
    module.of, module.found = "c0ffee", []
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


def test_a_violation_is_never_taken_over(prove, tmp_path) -> None:
    prove.found = ["stock: one is missing"]
    assert "**1 violations**" in proven(prove, tmp_path / "page") and prove.code == 1
    prove.found = []
    assert "**0 violations**" in proven(prove, tmp_path / "page", "--go-on")
    assert len(prove.ran) == 2 and prove.code == 0
