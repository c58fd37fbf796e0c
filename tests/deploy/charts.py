"""The charts as Helm renders them, once a run, and what judges them."""

from __future__ import annotations

import functools
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import yaml

from tests.deploy.checked import CHECKOUT

HELM = CHECKOUT / "deploy/helm"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
GRAPH = yaml.load((HELM / "service-graph.yaml").read_text(), LOADER)["graph"]
SERVICES = sorted(GRAPH["services"])
ENVIRONMENTS = ["dev", "staging", "production"]
# `local` is a cluster without a cloud: its stores are pods of the chart `data`.
EVERYWHERE = [*ENVIRONMENTS, "local"]
PAIRS = [(service, environment) for environment in EVERYWHERE for service in SERVICES]
DIGESTS = {"STOA_DIGEST": f"sha256:{'0' * 64}", "STOA_TOOLS_DIGEST": f"sha256:{'1' * 64}"}


@functools.cache
def tool(name: str) -> str:
    """A program of deploy/toolbox; built when it is not there yet."""
    done = subprocess.run([CHECKOUT / "deploy/toolbox/build", name], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def render(service: str, environment: str, *words: str, tree: pathlib.Path = CHECKOUT,
           digests: dict[str, str] | None = None) -> subprocess.CompletedProcess:
    names = DIGESTS if digests is None else digests
    return subprocess.run([tree / "deploy/helm/render", service, environment, *words], text=True, capture_output=True,
                          check=False, timeout=120, env=os.environ | {"STOA_HELM": tool("helm")} | names)


@functools.cache
def rendered(service: str, environment: str, *words: str) -> str:
    done = render(service, environment, *words)
    assert done.returncode == 0, f"{service} {environment}: {done.stderr}"
    return done.stdout


def objects(text: str) -> list[dict]:
    return [thing for thing in yaml.load_all(text, LOADER) if thing]


def one(things: list[dict], kind: str, name: str) -> dict:
    found = [thing for thing in things if thing["kind"] == kind and thing["metadata"]["name"] == name]
    assert len(found) == 1, f"{len(found)} of {kind}/{name}"
    return found[0]


def validate(texts: dict[str, str]) -> dict[str, str]:
    """What kubectl-validate says against Kubernetes 1.35 about each text: '' when it accepts it. One process."""
    assert all(objects(text) for text in texts.values()), "nothing to validate"
    with tempfile.TemporaryDirectory() as folder:
        for name, text in texts.items():
            (pathlib.Path(folder) / f"{name}.yaml").write_text(text)
        done = subprocess.run([HELM / "validate", folder], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              check=False, timeout=300)
    said = dict.fromkeys(texts, "kubectl-validate did not mention it")
    name = ""
    for line in re.sub(r"\033\[\d+m", "", done.stdout).splitlines():
        if line.startswith(folder):
            name = pathlib.Path(line.split("...")[0]).stem
            said[name] = "" if line.endswith("...OK") else line + "\n"
        elif name and line.strip():
            said[name] += line + "\n"
    return said


def copy_of_helm(folder: pathlib.Path) -> pathlib.Path:
    """A tree with the charts and their values alone, to be spoiled."""
    for name in ("helm", "environments"):
        shutil.copytree(CHECKOUT / "deploy" / name, folder / "deploy" / name)
    return folder


def judge(text: str) -> subprocess.CompletedProcess:
    return subprocess.run([HELM / "judge", "-"], input=text, text=True, capture_output=True, check=False)
