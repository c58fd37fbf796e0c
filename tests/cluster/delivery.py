"""A tree that Argo CD reads: a copy of this checkout's deploy/ on the cluster's Git server, and what Argo CD made of it."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess

from tests.cluster.conftest import Kubectl, until
from tests.cluster.stand_in import Api
from tests.deploy.checked import CHECKOUT
from tests.deploy.charts import SERVICES
from tests.deploy.gitops import build

IMAGES = [*SERVICES, "tools", "payment-simulator", "mail-sink"]
USED = {"httproutes", "servicemonitors", "clustersecretstores", "externalsecrets"}
WHO = {"GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*", "GIT_CONFIG_KEY_1": "user.name",
       "GIT_CONFIG_VALUE_1": "A Test", "GIT_CONFIG_KEY_2": "user.email", "GIT_CONFIG_VALUE_2": "test@example.test"}
ARRIVES_SECONDS = 420  # fifty on an idle machine
ARGO = "/apis/argoproj.io/v1alpha1/namespaces/argocd"


def digest(name: str, version: str) -> str:
    return "sha256:" + hashlib.sha256(f"{name} {version}".encode()).hexdigest()


def images(version: str, names: list[str] = IMAGES) -> dict:
    return {name: {"version": version, "digest": digest(name, version)} for name in names}


def when(text: str) -> datetime.datetime:
    return datetime.datetime.fromisoformat(text)


class Delivery:
    def __init__(self, folder: pathlib.Path):
        self.folder = folder
        self.served = pathlib.Path(os.environ["STOA_CLUSTER_STATE"]) / "lib/git"
        self.url = os.environ["STOA_CLUSTER_GIT"]
        self.api = Api(os.environ["KUBECONFIG"])
        for name in ("ci", "gitops", "helm", "environments"):
            shutil.copytree(CHECKOUT / "deploy" / name, folder / "deploy" / name)
        shutil.copy(CHECKOUT / "Makefile", folder)
        self.change("gitops/repository/repository.yaml", "https://github.com/example/stoa.git", f"{self.url}/stoa.git")
        self.empty("stoa")
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", f"{self.url}/stoa.git")

    def without_others(self) -> None:
        """What the tree takes from elsewhere is taken from here, and nobody measures."""
        for file in ("gitops/region/definitions/definitions.yaml", "gitops/root/projects.yaml"):
            path = self.folder / "deploy" / file
            path.write_text(re.sub(r"https://github\.com/[\w-]+/", f"{self.url}/", path.read_text()))
        for environment in ("staging", "production"):  # without measures an autoscaler is Degraded
            self.change(f"helm/environments/{environment}/all.yaml", "autoscaling: {enabled: true,", "autoscaling: {")
        self.definitions()

    def change(self, file: str, old: str, new: str) -> None:
        path = self.folder / "deploy" / file
        assert old in path.read_text(), f"{file} has no {old!r}"
        path.write_text(path.read_text().replace(old, new, 1))

    def run(self, *words: str | pathlib.Path, stdin: str | None = None, cwd: pathlib.Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run([str(word) for word in words], cwd=cwd or self.folder, input=stdin, text=True, check=False, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | WHO)

    def git(self, *words: str, cwd: pathlib.Path | None = None) -> str:
        done = self.run("git", *words, cwd=cwd)
        assert done.returncode == 0, f"git {words}: {done.stdout}"
        return done.stdout

    def empty(self, name: str) -> str:
        """A repository without a commit, as `deploy/cluster/cluster repository` makes it; its address."""
        bare = self.served / f"{name}.git"
        shutil.rmtree(bare, ignore_errors=True)
        self.git("init", "-q", "--bare", "-b", "main", str(bare))
        return f"{self.url}/{name}.git"

    def definitions(self) -> None:
        """Their repositories, of the files that Go's modules hold, by the tag that the tree names. Of 39 definitions those that
        the tree uses: Argo CD takes two seconds for each before it looks at anything else."""
        schemas = self.run(CHECKOUT / "deploy/toolbox/kube-schemas/fetch").stdout.strip().splitlines()[-1]
        text = (self.folder / "deploy/gitops/region/definitions/definitions.yaml").read_text()
        for name, tag, path in re.findall(r'/([\w-]+)\.git", targetRevision: (\S+), path: ([\w/.-]+)', text):
            work = self.folder.parent / name
            (work / path).mkdir(parents=True)
            for file in (pathlib.Path(schemas) / "crds" / name).glob("*.yaml"):
                if file.stem.rsplit("_", 1)[1] in USED:
                    shutil.copy(file, work / path)
            address = self.empty(name)
            for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", tag], ["tag", tag], ["push", "-q", address, "main", tag]):
                self.git(*words, cwd=work)

    def commit(self, message: str) -> str:
        """Onto main, where Argo CD looks. Who waits for it asks at once, as a webhook would."""
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "-u", "origin", "main")
        self.refresh()
        return self.git("rev-parse", "HEAD").strip()

    def refresh(self) -> None:
        mark = {"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}}
        for one in self.api.items(f"{ARGO}/applications"):
            self.api.call("PATCH", f"{ARGO}/applications/{one['metadata']['name']}", mark, "application/merge-patch+json")
        mark["metadata"]["annotations"] = {"argocd.argoproj.io/application-set-refresh": "true"}
        for one in self.api.items(f"{ARGO}/applicationsets"):
            self.api.call("PATCH", f"{ARGO}/applicationsets/{one['metadata']['name']}", mark, "application/merge-patch+json")

    def runs(self, environment: str, version: str, names: list[str] = IMAGES) -> None:
        """Records what an environment runs, uncommitted."""
        file = self.folder / f"deploy/environments/{environment}.json"
        told = json.loads(file.read_text())
        told["images"] |= images(version, names)
        file.write_text(json.dumps(told, indent=2, sort_keys=True) + "\n")

    def applications(self) -> dict[str, dict]:
        return {one["metadata"]["name"]: one for one in self.api.items(f"{ARGO}/applications")}

    def states(self) -> dict[str, str]:
        found = {}
        for name, one in self.applications().items():
            state = one.get("status", {})
            found[name] = f"{state.get('sync', {}).get('status')} {state.get('health', {}).get('status')}"
        return found

    def settled(self, names: set[str], seconds: float = ARRIVES_SECONDS) -> None:
        """All of them are there, Synced and Healthy."""
        def holds() -> bool:
            states = self.states()
            return names <= set(states) and all(states[name] == "Synced Healthy" for name in names)

        try:
            until("applications are Synced and Healthy", holds, seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.told(names)}") from None

    def at(self, commit: str, names: set[str], seconds: float = ARRIVES_SECONDS) -> None:
        """They have seen a commit and are settled on it."""
        def holds() -> bool:
            return all(one.get("status", {}).get("sync", {}).get("revision") == commit for name, one in self.applications().items() if name in names)

        until(f"applications are at {commit[:12]}", holds, seconds)
        self.settled(names, seconds)

    def told(self, names: set[str]) -> str:
        lines = []
        for name, one in sorted(self.applications().items()):
            state = one.get("status", {})
            if self.states()[name] != "Synced Healthy":
                lines.append(f"{name}: {self.states()[name]} {state.get('operationState', {}).get('message', '')} "
                             f"{[condition['message'] for condition in state.get('conditions', [])]}"
                             f" {[(thing['kind'], thing['name'], thing.get('status'), thing.get('health')) for thing in state.get('resources', []) if thing.get('status') != 'Synced' or (thing.get('health') or {}).get('status', 'Healthy') != 'Healthy']}")
        return "\n".join([*lines, f"missing: {sorted(names - set(self.applications()))}"])[:6000]

    def register(self, name: str) -> None:
        """The cluster that Argo CD runs in, by the name of a region."""
        Kubectl("argocd").apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cluster-here", "labels": {"argocd.argoproj.io/secret-type": "cluster"}},
                                 "stringData": {"name": name, "server": "https://kubernetes.default.svc", "config": '{"tlsClientConfig":{"insecure":false}}'}})

    def apply_root(self, environment: str) -> None:
        Kubectl("argocd")("apply", "--server-side", "--filename", "-", stdin=build(self.folder / "deploy/gitops/environments" / environment))

    def forget(self) -> None:
        """Argo CD lets go of everything, and the namespace ends."""
        argocd = Kubectl("argocd")

        def gone() -> bool:
            """Again until it is so: a root, a set, or a sync that is under way makes again what is deleted."""
            for name in self.applications():
                argocd.run("patch", "application", name, "--type=merge", "--patch", '{"metadata":{"finalizers":null},"spec":{"syncPolicy":null}}')
                argocd.run("delete", "application", name, "--wait=false", "--ignore-not-found")
            argocd("delete", "applicationsets", "--all", "--cascade=orphan")
            return self.applications() == {} and self.api.items(f"{ARGO}/applicationsets") == []

        until("Argo CD has let go", gone, ARRIVES_SECONDS)
        argocd("delete", "validatingadmissionpolicy,validatingadmissionpolicybinding", "stoa-images-by-digest", "--ignore-not-found")
        # Of a sync that was under way: nobody is left to take its mark off.
        for job in self.api.items("/apis/batch/v1/namespaces/stoa/jobs"):
            Kubectl("stoa").run("patch", "job", job["metadata"]["name"], "--type=merge", "--patch", '{"metadata":{"finalizers":null}}')
        argocd("delete", "namespace", "stoa", "--wait=false", "--ignore-not-found")
        until("the namespace is gone", lambda: self.api.get("/api/v1/namespaces/stoa") is None, ARRIVES_SECONDS)
        until("Argo CD has let go for good", gone, ARRIVES_SECONDS)
