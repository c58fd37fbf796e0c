"""OpenTofu or Terraform with the schema of AWS, on a copy of deploy/terraform that a test may spoil."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import shutil
import subprocess

from tests.deploy.checked import CHECKOUT

SECRETS = {"TF_VAR_cache_password": "0123456789abcdef0123456789abcdef",
           "TF_VAR_broker_password": "fedcba9876543210fedcba9876543210",
           "TF_VAR_superuser_password": "a123456789abcdef0123456789abcdef"}
WRITTEN_ONLY = ["TF_VAR_cache_password", "TF_VAR_superuser_password"]
MODULES = ["network", "cluster", "database", "cache", "broker", "dns", "certificate", "registry", "kms", "iam", "secrets",
           "observability"]
# Roots under environments/, and which environment of the charts each is a region of.
ENVIRONMENTS = {"dev": "dev", "staging": "staging", "production": "production", "production-us-east-1": "production"}


def settings() -> dict[str, str]:
    """The program and what it must be told; builds what is missing."""
    done = subprocess.run([CHECKOUT / "deploy/terraform/tf", "--settings"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


class Tree:
    """A copy of deploy/terraform."""

    def __init__(self, folder: pathlib.Path, told: dict[str, str]):
        self.folder = folder
        self.told = told
        shutil.copytree(CHECKOUT / "deploy/terraform", folder, ignore=shutil.ignore_patterns(".terraform*"))
        for environment in ENVIRONMENTS:  # no bucket here: the backend has a test of its own
            root = folder / "environments" / environment
            (root / "local_override.tf").write_text('terraform {\n  backend "local" {}\n}\n')
            shutil.copy(root / "terraform.tfvars.example", root / "terraform.tfvars")

    def run(self, root: str, *words: str, **environment: str) -> subprocess.CompletedProcess:
        return subprocess.run([self.told["TERRAFORM"], f"-chdir={self.folder / root}", *words], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300,
                              env=os.environ | self.told | SECRETS | environment)

    def must(self, root: str, *words: str) -> str:
        done = self.run(root, *words)
        assert done.returncode == 0, f"{root}: {' '.join(words)}\n{done.stdout}"
        return done.stdout

    def init(self, root: str) -> None:
        self.must(root, "init", "-backend=false" if not root.startswith("environments") else "-input=false", "-no-color")

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}: the plant is out of date"
        path.write_text(text.replace(old, new, 1))

    @contextlib.contextmanager
    def spoiled(self, file: str, old: str, new: str):
        """A change that is taken back; cheaper than a tree of its own."""
        path = self.folder / file
        text = path.read_text()
        self.change(file, old, new)
        try:
            yield
        finally:
            path.write_text(text)

    def plan(self, root: str, *words: str) -> dict:
        self.must(root, "plan", "-no-color", "-input=false", "-lock=false", "-out=it.tfplan", *words)
        done = subprocess.run([self.told["TERRAFORM"], f"-chdir={self.folder / root}", "show", "-json", "it.tfplan"], text=True,
                              capture_output=True, check=True, env=os.environ | self.told)
        return json.loads(done.stdout)
