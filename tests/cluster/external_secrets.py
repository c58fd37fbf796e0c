"""External Secrets as its own chart installs it: a pod under `restricted`, with the rights that the chart gives it.

What differs from production is where it asks: AWS is played (cloud.py), and the agent of Pod Identity has another address.
Its image is of deploy/toolbox/external-secrets, imported by tests/cluster/run.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import urllib.parse

import yaml

from tests.cluster.cloud import AUDIENCE, Agent, Cloud
from tests.cluster.conftest import Kubectl, until
from tests.deploy.charts import tool
from tests.deploy.checked import CHECKOUT

NAME = "external-secrets"
LOCK = CHECKOUT / "deploy/toolbox/external-secrets/source"
DEFINITIONS = ["externalsecrets", "clustersecretstores", "secretstores", "generatorstates.generators"]
DEFINER = "stoa-secrets"
SYNC_SECONDS = 30


def run(*words: str | pathlib.Path, **options: object) -> str:
    done = subprocess.run([str(word) for word in words], text=True, check=False, timeout=180, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, f"{' '.join(str(word) for word in words)}\n{done.stdout}"
    return done.stdout


def chart(folder: pathlib.Path) -> pathlib.Path:
    """Of the module that the lock names. A chart that it depends on, for another manager, is not in there."""
    module, version, checksum = LOCK.read_text().split()
    told = json.loads(subprocess.run(["go", "mod", "download", "-json", f"{module}@{version}"], cwd=folder, text=True, check=True, stdout=subprocess.PIPE).stdout)
    assert told["Sum"] == checksum
    shutil.copytree(pathlib.Path(told["Dir"]) / "deploy/charts/external-secrets", folder / "chart", copy_function=shutil.copyfile)
    file = folder / "chart/Chart.yaml"
    file.chmod(0o644)
    described = yaml.safe_load(file.read_text())
    del described["dependencies"]
    file.write_text(yaml.safe_dump(described))
    return file.parent


class ExternalSecrets:
    def __init__(self, kubectl: Kubectl, cloud: Cloud, agent: Agent, folder: pathlib.Path):
        self.shop, self.cloud, self.agent, self.folder = kubectl, cloud, agent, folder
        self.association = cloud.planned.association
        self.kubectl = Kubectl(self.association["namespace"])

    def define(self) -> None:
        schemas = pathlib.Path(run(CHECKOUT / "deploy/toolbox/kube-schemas/fetch").splitlines()[-1])
        self.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager", DEFINER, "--filename", str(schemas / "crds/external-secrets"))
        for plural in DEFINITIONS:
            name = f"crd/{plural}.external-secrets.io"
            until(f"{name} is served", lambda name=name: self.kubectl.run("wait", "--for=condition=Established", "--timeout=5s", name).returncode == 0)

    def undefine(self) -> None:
        """What nobody else has applied since: Argo CD would learn each of these kinds, two seconds for one."""
        there = self.kubectl.get("crds", "--show-managed-fields")["items"]
        mine = [one["metadata"]["name"] for one in there if {field["manager"] for field in one["metadata"]["managedFields"]} <= {DEFINER, "kube-apiserver"}]
        if mine:
            self.kubectl("delete", "crds", "--ignore-not-found", "--wait", *mine)

    def values(self) -> dict:
        """The pod gets what EKS puts into each whose account has an association: an address and a token."""
        environment = {"AWS_SECRETSMANAGER_ENDPOINT": self.cloud.url, "AWS_STS_ENDPOINT": self.cloud.url, "AWS_CONTAINER_CREDENTIALS_FULL_URI": self.agent.url,
                       "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"/var/run/secrets/{AUDIENCE}/serviceaccount/token", "SSL_CERT_FILE": "/etc/agent/agent.crt"}
        # Without an address of ours it would ask the real one.
        assert {urllib.parse.urlsplit(environment[name]).hostname for name in environment if environment[name].startswith("http")} == {self.cloud.address}
        token = {"serviceAccountToken": {"audience": AUDIENCE, "expirationSeconds": 86400, "path": "token"}}
        return {
            "image": {"repository": "stoa.local/external-secrets", "tag": LOCK.read_text().split()[1].removeprefix("v"), "pullPolicy": "Never"},
            "installCRDs": False, "webhook": {"create": False}, "certController": {"create": False},
            # Another suite's secrets are another's; in production it sees all.
            "scopedNamespace": self.shop.namespace, "serviceAccount": {"name": self.association["service_account"]},
            "extraEnv": [{"name": name, "value": value} for name, value in environment.items()],
            "extraVolumes": [{"name": "token", "projected": {"sources": [token]}}, {"name": "agent", "configMap": {"name": "pod-identity-agent"}}],
            "extraVolumeMounts": [{"name": "token", "mountPath": f"/var/run/secrets/{AUDIENCE}/serviceaccount", "readOnly": True},
                                  {"name": "agent", "mountPath": "/etc/agent", "readOnly": True}],
        }

    def install(self) -> None:
        self.define()
        everywhere = Kubectl("default")
        everywhere("delete", "namespace", self.kubectl.namespace, "--ignore-not-found", "--wait")
        everywhere.apply({"apiVersion": "v1", "kind": "Namespace",
                          "metadata": {"name": self.kubectl.namespace, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
        self.kubectl.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "pod-identity-agent"}, "data": {"agent.crt": self.agent.certificate}})
        file = self.folder / "values.yaml"
        file.write_text(yaml.safe_dump(self.values()))
        self.helm("install", NAME, chart(self.folder), f"--values={file}", "--wait", "--timeout=90s")

    def helm(self, *words: str | pathlib.Path) -> None:
        run(tool("helm"), "--namespace", self.kubectl.namespace, *words, env=os.environ | {"HOME": str(self.folder)})

    def remove(self) -> None:
        """First what it must let go of: nobody else takes its finalizers away."""
        self.shop("delete", "externalsecrets", "--all", "--wait", "--timeout=60s")
        self.shop("delete", "clustersecretstores", "aws-secrets-manager", "--ignore-not-found", "--wait", "--timeout=60s")
        self.helm("uninstall", NAME, "--wait", "--timeout=60s")
        Kubectl("default")("delete", "namespace", self.kubectl.namespace, "--wait=false")
        self.undefine()

    def set_environment(self, word: str) -> None:
        """NAME=VALUE, or NAME- to take it away; then waits until nobody works with the old one."""
        self.kubectl("set", "env", f"deployment/{NAME}", word)
        self.kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=60s")
        until("one pod is left", lambda: len(self.kubectl.get("pods")["items"]) == 1)

    def state(self, name: str, kind: str = "externalsecret") -> tuple[str, str]:
        """What its condition Ready says, and why."""
        conditions = self.shop.get(kind, name).get("status", {}).get("conditions", [])
        return next(((one["status"], one["reason"]) for one in conditions if one["type"] == "Ready"), ("", ""))

    def told(self, name: str) -> list[str]:
        """Every reason why it was not synced."""
        return [event["message"] for event in self.shop.get("events", "--field-selector", f"involvedObject.name={name},type=Warning")["items"]]

    def sync(self, *names: str) -> None:
        """At once, by the annotation that the documentation names."""
        for name in names:
            self.shop("annotate", "--overwrite", "externalsecret", name, f"force-sync={os.urandom(4).hex()}")

    def becomes(self, name: str, state: tuple[str, str]) -> None:
        try:
            until(f"{name} is {state}", lambda: self.state(name) == state, SYNC_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.state(name)}\n{self.told(name)}\n{self.kubectl.run('logs', f'deployment/{NAME}', '--tail=20').stdout}") from None

    def refuses(self, name: str, *words: str) -> None:
        """It is not synced, and says why."""
        self.becomes(name, ("False", "SecretSyncedError"))
        until(f"{name} says {words}", lambda: any(all(word in line for word in words) for line in self.told(name)), SYNC_SECONDS)
