"""The tree of deploy/gitops as Argo CD sees it: what each application is, and what it makes."""

from __future__ import annotations

import copy
import fnmatch
import functools
import hashlib
import json
import pathlib
import re
import shutil
import subprocess

import yaml

from tests.deploy.charts import LOADER, objects, tool
from tests.deploy.checked import CHECKOUT

GITOPS = CHECKOUT / "deploy/gitops"
PLACES = sorted(str(file.parent.relative_to(GITOPS / "environments")) for file in GITOPS.glob("environments/*/*/kustomization.yaml"))
ENVIRONMENTS = sorted({place.split("/")[0] for place in PLACES})
STANDBY = ", ../../../standby"
WAVE = "argocd.argoproj.io/sync-wave"
NAMESPACED_BY_KUBERNETES = {"Service", "ServiceAccount", "Deployment", "StatefulSet", "Job", "HorizontalPodAutoscaler", "ExternalSecret",
                            "HTTPRoute", "ServiceMonitor", "NetworkPolicy", "PodDisruptionBudget", "Application", "ApplicationSet",
                            "AppProject", "ImageUpdater", "ConfigMap", "Secret", "Pod", "Role", "RoleBinding"}


def copy_of_delivery(folder: pathlib.Path) -> pathlib.Path:
    """What Argo CD reads, to be spoiled; each environment runs images of its own by digest.

    The second region has taken over, so that all that it will be is judged before the day on which it must.
    """
    for name in ("gitops", "helm", "environments", "toolbox/kube-schemas"):
        shutil.copytree(CHECKOUT / "deploy" / name, folder / "deploy" / name)
    follower = folder / "deploy/gitops/environments/production/us-east-1/kustomization.yaml"
    assert follower.read_text().count(STANDBY) == 1
    follower.write_text(follower.read_text().replace(STANDBY, ""))
    names = [*(file.stem for file in (CHECKOUT / "deploy/helm/values").glob("*.yaml")), "tools", "postgres", "redis", "rabbitmq", "mail-sink", "payment-simulator"]
    for environment in ENVIRONMENTS:
        images = {name: {"version": "1.0.0", "digest": "sha256:" + hashlib.sha256(f"{environment} {name}".encode()).hexdigest()} for name in names}
        (folder / f"deploy/environments/{environment}.json").write_text(json.dumps({"images": images}))
    return folder


def build(folder: pathlib.Path) -> str:
    done = subprocess.run([tool("kustomize"), "build", folder], text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, f"{folder}: {done.stderr}"
    return done.stdout


def filled(text: str, facts: dict) -> str:
    """Go's {{ .a.b }}; a name without a fact is an error, as with missingkey=error."""
    def fact(match: re.Match) -> str:
        found = facts
        for word in match[1].strip(".").split("."):
            assert word in found, f"map has no entry for key {word!r} in {text!r}"
            found = found[word]
        return str(found)

    return re.sub(r"\{\{\s*(\.[\w.]+)\s*\}\}", fact, text)


def generated(one: dict, tree: pathlib.Path) -> list[dict]:
    """The applications of an ApplicationSet with a generator of folders or files of Git."""
    assert one["spec"]["goTemplate"] and one["spec"]["goTemplateOptions"] == ["missingkey=error"]
    applications = []
    for generator in one["spec"]["generators"]:
        for entry in generator["git"].get("directories", []):
            for folder in sorted(path for path in tree.glob(entry["path"]) if path.is_dir()):
                applications.append(({"path": {"basename": folder.name, "path": str(folder.relative_to(tree))}}))
        for entry in generator["git"].get("files", []):
            applications += [yaml.load(file.read_text(), LOADER) for file in sorted(tree.glob(entry["path"]))]
    assert applications, f"{one['metadata']['name']} generates nothing"
    made = []
    for facts in applications:
        text = json.dumps(one["spec"]["template"])
        made.append({"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", **json.loads(filled(text, facts))})
    return made


def values_of(source: dict, tree: pathlib.Path) -> list[pathlib.Path]:
    """The files of values that are there, in their order."""
    chart = tree / source["path"]
    files = [(chart / name).resolve() for name in source["helm"]["valueFiles"]]
    assert all(file.is_relative_to(tree.resolve()) for file in files), "Argo CD reads no values outside the repository"
    return [file for file in files if file.is_file()]


@functools.cache
def definitions(name: str) -> list[dict]:
    """The head of each definition; the schemas in them are long, and Kubernetes' to judge."""
    schemas = subprocess.run([CHECKOUT / "deploy/toolbox/kube-schemas/fetch"], text=True, capture_output=True, check=True).stdout.strip()
    heads = []
    for file in sorted((pathlib.Path(schemas) / "crds" / name).glob("*.yaml")):
        text = file.read_text()
        heads.append({"apiVersion": re.search(r"^apiVersion: (\S+)", text, re.MULTILINE)[1], "kind": re.search(r"^kind: (\S+)", text, re.MULTILINE)[1],
                      "metadata": {"name": re.search(r"^  name: (\S+)", text, re.MULTILINE)[1]}})
    assert heads, f"no definitions of {name}"
    return heads


def made_by(application: dict, tree: pathlib.Path) -> list[dict]:
    """What the repo-server would make of it."""
    spec = application["spec"]
    if "sources" in spec:
        return [head for source in spec["sources"] for head in definitions(source["repoURL"].removesuffix(".git").rsplit("/", 1)[1])]
    source = spec["source"]
    if "helm" not in source:
        return objects(build(tree / source["path"]))
    files = values_of(source, tree)
    done = subprocess.run([tool("helm"), "template", source["helm"]["releaseName"], tree / source["path"], "--namespace",
                           spec["destination"]["namespace"], *(f"--values={file}" for file in files)],
                          text=True, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, f"{application['metadata']['name']}: {done.stderr}"
    return objects(done.stdout)


def left_out(thing: dict) -> bool:
    """What Argo CD does not make: pods of `helm test`, which has no counterpart in it, and what says Skip."""
    marks = thing["metadata"].get("annotations") or {}
    return marks.get("helm.sh/hook") == "test" or marks.get("argocd.argoproj.io/hook") == "Skip"


class Tree:
    """The applications of an environment by name, and what each makes."""

    def __init__(self, environment: str, tree: pathlib.Path):
        self.applications: dict[str, dict] = {}
        self.made: dict[str, list[dict]] = {}
        self.projects: dict[str, dict] = {}
        root = [thing for thing in objects(build(tree / "deploy/gitops/environments" / environment)) if thing["kind"] == "Application"]
        waiting = copy.deepcopy(root)
        while waiting:
            application = waiting.pop(0)
            name = application["metadata"]["name"]
            if name in self.applications:
                continue
            self.applications[name] = application
            self.made[name] = [thing for thing in made_by(application, tree) if not left_out(thing)]
            for thing in self.made[name]:
                if thing["kind"] == "Application":
                    waiting.append(thing)
                elif thing["kind"] == "ApplicationSet":
                    waiting += generated(thing, tree)
                elif thing["kind"] == "AppProject":
                    self.projects[thing["metadata"]["name"]] = thing


def group_of(thing: dict) -> str:
    return thing["apiVersion"].rsplit("/", 1)[0] if "/" in thing["apiVersion"] else ""


def kinds_of(things: list[dict]) -> set[tuple[str, str, bool]]:
    """Group, kind, whether it lives in a namespace."""
    return {(group_of(thing), thing["kind"], thing["kind"] in NAMESPACED_BY_KUBERNETES) for thing in things}


def allowed(project: dict) -> set[tuple[str, str, bool]]:
    spec = project["spec"]
    return ({(one["group"], one["kind"], False) for one in spec["clusterResourceWhitelist"]}
            | {(one["group"], one["kind"], True) for one in spec["namespaceResourceWhitelist"]})


def refused(tree: Tree) -> list[str]:
    """What the projects do not permit, as Argo CD would judge: sources, destinations, kinds."""
    found = []
    for name, application in tree.applications.items():
        spec = application["spec"]
        project = tree.projects.get(spec["project"])
        if project is None:
            found.append(f"{name}: no project {spec['project']}")
            continue
        for source in spec.get("sources") or [spec["source"]]:
            if not any(fnmatch.fnmatchcase(source["repoURL"], one) for one in project["spec"]["sourceRepos"]):
                found.append(f"{name}: source {source['repoURL']}")
        there = spec["destination"]
        places = {there["namespace"]} | {thing["metadata"].get("namespace", there["namespace"]) for thing in tree.made[name]}
        for namespace in sorted(places):
            if not any(fnmatch.fnmatchcase(namespace, one["namespace"]) and
                       all(fnmatch.fnmatchcase(there.get(key, ""), one[key]) for key in ("name", "server") if key in one)
                       for one in project["spec"]["destinations"]):
                found.append(f"{name}: destination {there.get('name', there.get('server'))}/{namespace}")
        found += [f"{name}: kind {group}/{kind}" for group, kind, _ in sorted(kinds_of(tree.made[name]) - allowed(project))]
    return found


def wave(thing: dict) -> int:
    return int((thing["metadata"].get("annotations") or {}).get(WAVE, "0"))
