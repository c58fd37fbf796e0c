"""A running cluster, and a namespace of its own for each module.

tests/cluster/run starts the cluster and gives its KUBECONFIG; the commands that reach a Service run in pods.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable

import pytest
import yaml

PROBE = "stoa.local/probe:1"


class Kubectl:
    """kubectl in one namespace. A call returns what it printed, or fails with what it said."""

    def __init__(self, namespace: str):
        self.namespace = namespace

    def run(self, *words: str, stdin: str | None = None, timeout: float = 120) -> subprocess.CompletedProcess:
        return subprocess.run(["kubectl", "--namespace", self.namespace, *words], input=stdin, text=True, check=False, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def __call__(self, *words: str, stdin: str | None = None) -> str:
        done = self.run(*words, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(words)}\n{done.stdout}"
        return done.stdout

    def get(self, *words: str) -> dict:
        return json.loads(self("get", *words, "--output", "json"))

    def apply(self, *objects: dict) -> None:
        self("apply", "--filename", "-", stdin=yaml.safe_dump_all(objects))

    def refuses(self, thing: dict) -> str:
        """Why the API server does not take `thing`."""
        done = self.run("apply", "--filename", "-", stdin=yaml.safe_dump(thing))
        assert done.returncode != 0, f"taken: {thing}"
        return done.stdout

    def probe(self, pod: str, *words: str) -> subprocess.CompletedProcess:
        """A command of the probe in a pod."""
        return self.run("exec", pod, "--", "/probe", *words, timeout=30)


def until(what: str, holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.2)


def pod_spec(**container: object) -> dict:
    return {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "probe", "image": PROBE, "imagePullPolicy": "Never", "args": ["serve"],
                        "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                            "capabilities": {"drop": ["ALL"]}}} | container],
    }


def pod(name: str, **container: object) -> dict:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": pod_spec(**container)}


def deployment(name: str, replicas: int, **container: object) -> dict:
    ready = {"readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
            "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}}, "spec": pod_spec(**(ready | container))}}}


def service(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 8080}]}}


@pytest.fixture(scope="module")
def kubectl(request):
    """In a new namespace that enforces `restricted`, gone after the module."""
    assert os.environ.get("KUBECONFIG"), "no cluster: run tests/cluster/run"
    name = request.module.__name__.rsplit(".", 1)[-1].replace("_", "-")
    everywhere = Kubectl("default")
    everywhere("delete", "namespace", name, "--ignore-not-found", "--wait")
    everywhere.apply({"apiVersion": "v1", "kind": "Namespace",
                      "metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    here = Kubectl(name)
    until("the namespace has its account", lambda: here.run("get", "serviceaccount", "default").returncode == 0)
    yield here
    everywhere("delete", "namespace", name, "--wait=false")
