"""A copy of the tree that a test may commit to."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.terraform import ENVIRONMENTS, Tree, settings

ANYONE = {"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*",
          "GIT_CONFIG_KEY_1": "user.name", "GIT_CONFIG_VALUE_1": "A Test",
          "GIT_CONFIG_KEY_2": "user.email", "GIT_CONFIG_VALUE_2": "test@example.test",
          # Tools colour what they say where CI is set, and a coloured word is not the word.
          "NO_COLOR": "1"}


def run(*command: str | pathlib.Path, cwd: pathlib.Path = CHECKOUT, stdin: str | None = None,
        **environment: str) -> subprocess.CompletedProcess:
    """Output and errors as one text; never raises for an exit code."""
    return subprocess.run([str(word) for word in command], cwd=cwd, input=stdin, text=True, check=False, timeout=300,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | ANYONE | environment)


def must(*command: str | pathlib.Path, **options) -> str:
    done = run(*command, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def tree_files() -> list[str]:
    """Tracked and new files of the checkout, as they are now."""
    listed = must("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    return sorted(name for name in set(listed) if name and (CHECKOUT / name).is_file())


class Scratch:
    """A repository with files of the checkout in one commit, and a remote in a folder."""

    def __init__(self, folder: pathlib.Path, files: list[str]):
        self.folder = folder / "work"
        self.remote = folder / "remote.git"
        for name in files:
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(CHECKOUT / name, target)
        must("git", "init", "-q", "--bare", "-b", "main", self.remote)
        self.git("init", "-q", "-b", "main")
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "feat: the tree as it is")
        self.git("remote", "add", "origin", f"file://{self.remote}")
        self.git("push", "-q", "-u", "origin", "main")

    def git(self, *words: str | pathlib.Path) -> str:
        return must("git", *words, cwd=self.folder)

    def change(self, file: str, text: str = "a change\n") -> None:
        target = self.folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("a") as out:
            out.write(text)
        self.git("add", file)

    def commit(self, message: str, *files: str) -> None:
        for file in files:
            self.change(file)
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def push(self) -> None:
        self.git("push", "-q", "origin", "main")


    def copy(self, folder: pathlib.Path) -> Scratch:
        """Cheaper than the commit of a tree."""
        copy = Scratch.__new__(Scratch)
        copy.folder, copy.remote = folder / "work", folder / "remote.git"
        shutil.copytree(self.folder, copy.folder)
        shutil.copytree(self.remote, copy.remote)
        copy.git("remote", "set-url", "origin", f"file://{copy.remote}")
        return copy


@pytest.fixture(scope="session")
def whole_tree(tmp_path_factory) -> Scratch:
    """Shared: not to be changed."""
    return Scratch(tmp_path_factory.mktemp("whole"), tree_files())


@pytest.fixture
def scratch(whole_tree, tmp_path) -> Scratch:
    return whole_tree.copy(tmp_path)


@pytest.fixture
def small(tmp_path) -> Scratch:
    """For what looks at commits and at the environments alone: ten times quicker than the whole tree."""
    return Scratch(tmp_path / "small", [name for name in tree_files() if name.startswith(("deploy/environments/", "deploy/helm/values/")) or name == "README.md"])


@pytest.fixture(scope="session")
def plans(tmp_path_factory) -> dict[str, dict]:
    """The plan of each root under deploy/terraform/environments, made once."""
    tree = Tree(tmp_path_factory.mktemp("plans") / "terraform", settings())
    made = {}
    for environment in ENVIRONMENTS:
        tree.init(f"environments/{environment}")
        made[environment] = tree.plan(f"environments/{environment}")
    return made
