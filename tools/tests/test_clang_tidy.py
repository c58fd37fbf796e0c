"""tools/clang-tidy as `make check` runs it: a finding in a file changed since .ci/tidy-base is refused."""

import json
import os
import pathlib
import shutil
import subprocess

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
CLEAN = "namespace {\nint twice(int value) { return value * 2; }\n}  // namespace\n\nint main() { return twice(0); }\n"
PLANTED = CLEAN.replace("value * 2", "value * 2 / (value - value)")
HEADER = "#pragma once\ninline const char* nothing() { return nullptr; }\n"
PLANTED_HEADER = HEADER.replace("nullptr", "0")


class Tree:
    """A small checkout with the tools and the rules of this one, and its own base."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        for name in ["tools/clang-tidy", "tools/check", ".clang-tidy"]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(CHECKOUT / name, root / name)
        self.write("services/a/main.cpp", CLEAN)
        self.write("services/a/app/ports.hpp", HEADER)
        self.write("services/a/app/user.cpp", '#include "services/a/app/ports.hpp"\n')
        for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "all of it"]):
            self.git(*arguments)
        self.compiles("services/a/main.cpp", "services/a/app/user.cpp")

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text)

    def compiles(self, *names: str) -> None:
        command = f"/usr/bin/ccache /usr/bin/g++-14 -std=c++23 -I{self.root} -c "
        entries = [{"directory": str(self.root), "file": str(self.root / name), "command": command + name} for name in names]
        self.write("build/debug/compile_commands.json", json.dumps(entries))

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=test", "-c", "user.email=test@stoa.test", "-c", "safe.directory=*"]
        return subprocess.run(["git", *who, *arguments], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def run(self, *command: str) -> tuple[int, str]:
        environment = os.environ | {"CCACHE_DIR": str(self.root / "cache/ccache")}
        run = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)
        return run.returncode, run.stdout + run.stderr

    def check(self) -> tuple[int, str]:
        return self.run("tools/check", "clang_tidy")


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> Tree:
    result = Tree(tmp_path)
    result.write(".ci/tidy-base", result.git("rev-parse", "HEAD"))
    return result


def test_nothing_changed_is_nothing_looked_at(tree: Tree) -> None:
    code, said = tree.check()
    assert (code, "1 checks, 0 failed" in said) == (0, True)
    assert not (tree.root / "cache/tidy").exists()


def test_a_finding_in_a_changed_file_is_refused(tree: Tree) -> None:
    tree.write("services/a/main.cpp", PLANTED)
    code, said = tree.check()
    assert code == 1
    assert "services/a/main.cpp:2" in said
    assert "clang-tidy: 1 files, 1 with findings" in said


def test_a_finding_in_a_committed_change_is_refused(tree: Tree) -> None:
    tree.write("services/a/main.cpp", PLANTED)
    tree.git("commit", "-q", "-a", "-m", "a fault")
    assert tree.check()[0] == 1


def test_a_finding_in_a_new_file_is_refused(tree: Tree) -> None:
    tree.write("services/a/new.cpp", PLANTED)
    tree.compiles("services/a/main.cpp", "services/a/new.cpp")
    code, said = tree.check()
    assert (code, "services/a/new.cpp:2" in said) == (1, True)


def test_a_finding_in_a_header_without_a_source_is_refused(tree: Tree) -> None:
    tree.write("services/a/app/ports.hpp", PLANTED_HEADER)
    code, said = tree.check()
    assert (code, "modernize-use-nullptr" in said) == (1, True)


def test_a_changed_file_that_is_not_compiled_is_refused(tree: Tree) -> None:
    tree.write("services/a/forgotten.cpp", CLEAN)
    code, said = tree.check()
    assert (code, "services/a/forgotten.cpp" in said) == (1, True)


def test_a_repaired_file_passes_and_is_remembered(tree: Tree) -> None:
    tree.write("services/a/main.cpp", CLEAN + "// Changed.\n")
    assert tree.check()[0] == 0
    assert len(list((tree.root / "cache/tidy").iterdir())) == 1


def test_the_whole_records_the_commit_only_when_nothing_is_found(tree: Tree) -> None:
    before = (tree.root / ".ci/tidy-base").read_text()
    tree.write("services/a/main.cpp", PLANTED)
    tree.git("commit", "-q", "-a", "-m", "a fault")
    assert tree.run("tools/clang-tidy", "all")[0] == 1
    assert (tree.root / ".ci/tidy-base").read_text() == before
    tree.write("services/a/main.cpp", CLEAN)
    tree.git("commit", "-q", "-a", "-m", "the repair")
    assert tree.run("tools/clang-tidy", "all")[0] == 0
    assert (tree.root / ".ci/tidy-base").read_text() == tree.git("rev-parse", "HEAD")


def test_the_recorded_commit_is_one_that_has_landed(tree: Tree) -> None:
    landed = tree.git("rev-parse", "HEAD")
    tree.git("update-ref", "refs/remotes/origin/main", landed.strip())
    tree.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main")
    tree.write("services/a/main.cpp", CLEAN + "// Changed.\n")
    tree.git("commit", "-q", "-a", "-m", "may be rewritten")
    assert tree.run("tools/clang-tidy", "all")[0] == 0
    assert (tree.root / ".ci/tidy-base").read_text() == landed


def test_without_a_base_it_says_what_to_do(tree: Tree) -> None:
    (tree.root / ".ci/tidy-base").unlink()
    tree.write("services/a/main.cpp", PLANTED)
    code, said = tree.run("tools/clang-tidy", "changed")
    assert (code, "make tidy" in said) == (0, True)
