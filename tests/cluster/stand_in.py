"""Plays the node and the operators for one namespace, so that Argo CD sees what it deploys become healthy without images.

Pods run, jobs end, and External Secrets, its store and the Gateway answer Ready; only their states are played: objects,
admission, controllers and Argo CD are real. `slow` holds back an answer, `broken` names digests whose migrations fail.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import os
import pathlib
import ssl
import tempfile
import threading
import time
import urllib.error
import urllib.request

import yaml

NODE = "stand-in"
CALL_SECONDS_MAX = 20
PAUSE_SECONDS = 0.25
BEAT_SECONDS = 10


def now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Api:
    """The API server, asked directly: a tenth of what a call of kubectl takes."""

    def __init__(self, kubeconfig: str):
        told = yaml.safe_load(pathlib.Path(kubeconfig).read_text())
        cluster, user = told["clusters"][0]["cluster"], told["users"][0]["user"]
        self.server = cluster["server"]
        self.context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile() as pair:
            pair.write(base64.b64decode(user["client-certificate-data"]) + base64.b64decode(user["client-key-data"]))
            pair.flush()
            self.context.load_cert_chain(pair.name)

    def call(self, method: str, path: str, body: object = None, kind: str = "application/json") -> dict:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.server + path, data=data, method=method, headers={"Content-Type": kind})
        with urllib.request.urlopen(request, context=self.context, timeout=CALL_SECONDS_MAX) as answer:
            return json.load(answer)

    def get(self, path: str) -> dict | None:
        """None where there is no such thing, or kind."""
        try:
            return self.call("GET", path)
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise

    def items(self, path: str) -> list[dict]:
        return (self.get(path) or {"items": []})["items"]

    def patch_state(self, path: str, state: dict) -> None:
        self.call("PATCH", path + "/status", {"status": state}, "application/merge-patch+json")


class StandIn(threading.Thread):
    def __init__(self, namespace: str):
        super().__init__(daemon=True)
        self.api, self.namespace = Api(os.environ["KUBECONFIG"]), namespace
        self.slow: dict[str, float] = {}
        self.broken: set[str] = set()
        self.errors: list[str] = []
        self.seen: dict[str, float] = {}
        self.ended = threading.Event()
        self.beaten = 0.0

    def __enter__(self) -> StandIn:
        self.cordoned = [node["metadata"]["name"] for node in self.api.items("/api/v1/nodes")]
        for name in self.cordoned:
            self.cordon(name, True)
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.ended.set()
        self.join()
        for name in self.cordoned:
            self.cordon(name, False)
        with contextlib.suppress(urllib.error.HTTPError):
            self.api.call("DELETE", f"/api/v1/nodes/{NODE}")

    def cordon(self, name: str, held: bool) -> None:
        self.api.call("PATCH", f"/api/v1/nodes/{name}", {"spec": {"unschedulable": held}}, "application/merge-patch+json")

    def run(self) -> None:
        while not self.ended.wait(PAUSE_SECONDS):
            for turn in (self.beat, self.pods, self.operators):
                try:
                    turn()
                except urllib.error.HTTPError as error:
                    if error.code not in (404, 409, 429):  # it has changed, or its kind is new: next turn
                        self.errors.append(f"{turn.__name__}: {error.code} {error.read().decode()[:300]}")
                except OSError as error:
                    self.errors.append(f"{turn.__name__}: {error}")

    def beat(self) -> None:
        """A node that says nothing loses its pods."""
        if time.monotonic() - self.beaten < BEAT_SECONDS:
            return
        self.beaten = time.monotonic()
        if self.api.get(f"/api/v1/nodes/{NODE}") is None:
            self.api.call("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "labels": {"kubernetes.io/hostname": NODE}}})
        room = {"cpu": "64", "memory": "256Gi", "pods": "500", "ephemeral-storage": "500Gi"}
        self.api.patch_state(f"/api/v1/nodes/{NODE}", {"capacity": room, "allocatable": room, "conditions": [
            {"type": "Ready", "status": "True", "reason": "Played", "message": "", "lastHeartbeatTime": now(), "lastTransitionTime": now()}]})

    def pods(self) -> None:
        for pod in self.api.items(f"/api/v1/namespaces/{self.namespace}/pods"):
            path = f"/api/v1/namespaces/{self.namespace}/pods/{pod['metadata']['name']}"
            if pod["metadata"].get("deletionTimestamp"):
                self.api.call("DELETE", path, {"gracePeriodSeconds": 0})
            elif not pod["spec"].get("nodeName"):
                self.api.call("POST", path + "/binding", {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod["metadata"]["name"]},
                                                          "target": {"apiVersion": "v1", "kind": "Node", "name": NODE}})
            elif any(owner["kind"] == "Job" for owner in pod["metadata"].get("ownerReferences", [])):
                self.job(path, pod)
            elif pod["status"].get("phase") == "Pending":
                self.api.patch_state(path, self.running(pod))

    def running(self, pod: dict, restarts: int = 0) -> dict:
        conditions = [{"type": kind, "status": "True", "lastTransitionTime": now()} for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")]
        containers = [{"name": one["name"], "image": one["image"], "imageID": one["image"], "ready": True, "started": True, "restartCount": restarts,
                       "state": {"running": {"startedAt": now()}}} for one in pod["spec"]["containers"]]
        return {"phase": "Running", "startTime": now(), "podIP": "198.51.100.7", "conditions": conditions, "containerStatuses": containers}

    def job(self, path: str, pod: dict) -> None:
        if pod["status"].get("phase") in ("Succeeded", "Failed"):
            return
        if any(one["image"].rsplit("@", 1)[-1] in self.broken for one in pod["spec"]["containers"]):
            # Restarted as often as its job allows.
            self.api.patch_state(path, self.running(pod, restarts=100))
            return
        done = [{"name": one["name"], "image": one["image"], "imageID": one["image"], "ready": False, "restartCount": 0,
                 "state": {"terminated": {"exitCode": 0, "reason": "Completed", "finishedAt": now()}}} for one in pod["spec"]["containers"]]
        self.api.patch_state(path, {"phase": "Succeeded", "containerStatuses": done})

    def operators(self) -> None:
        here = f"/namespaces/{self.namespace}"
        ready = {"conditions": [{"type": "Ready", "status": "True", "reason": "Played", "message": "", "lastTransitionTime": now()}]}
        for group, plural, state in (("external-secrets.io/v1", "clustersecretstores", ready), ("external-secrets.io/v1" + here, "externalsecrets", ready),
                                     ("gateway.networking.k8s.io/v1" + here, "httproutes", None)):
            for thing in self.api.items(f"/apis/{group}/{plural}"):
                first = self.seen.setdefault(thing["metadata"]["uid"], time.monotonic())
                if thing.get("status") and thing["status"].get("conditions", thing["status"].get("parents")):
                    continue
                if time.monotonic() - first < self.slow.get(plural, 0):
                    continue
                self.api.patch_state(f"/apis/{group}/{plural}/{thing['metadata']['name']}", state or self.accepted(thing))

    def accepted(self, route: dict) -> dict:
        conditions = [{"type": kind, "status": "True", "reason": kind, "message": "", "lastTransitionTime": now(),
                       "observedGeneration": route["metadata"]["generation"]} for kind in ("Accepted", "ResolvedRefs")]
        return {"parents": [{"parentRef": route["spec"]["parentRefs"][0], "controllerName": "stoa.local/stand-in", "conditions": conditions}]}
