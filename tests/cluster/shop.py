"""The shop in a namespace of the cluster: the charts as deploy/helm gives them to the environment `local`, by Helm."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import subprocess

from tests.cluster.conftest import Kubectl, pod, until
from tests.deploy.charts import HELM, SERVICES, tool
from tests.deploy.checked import CHECKOUT

REGISTRY = "stoa.local"
DEMO_PASSWORD = "stoa-demo-password"
INSTALL_SECONDS = 300
BUY = pathlib.Path(__file__).parent / "buy.py"


def run(*words: str | pathlib.Path, timeout: float = INSTALL_SECONDS, **named: object) -> str:
    done = subprocess.run([str(word) for word in words], text=True, check=False, timeout=timeout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **named)
    assert done.returncode == 0, f"{' '.join(str(word) for word in words)}\n{done.stdout}"
    return done.stdout


class Shop:
    """Stores, simulators and six services; what asks them runs in pods beside them."""

    def __init__(self, kubectl: Kubectl, scratch: pathlib.Path):
        self.kubectl, self.scratch = kubectl, scratch
        self.tag = os.environ.get("STOA_SHOP_TAG", "")

    def image(self, name: str) -> str:
        return f"{REGISTRY}/{name}:{self.tag}"

    def open(self, replicas: int, services: list[str] = SERVICES, settings: dict[str, list[str]] | None = None) -> None:
        """`settings` are values for a service, or for `data`, beyond those of the environment."""
        told = settings or {}

        def install(service: str) -> None:
            self.install(service, f"replicas={replicas}", *told.get(service, []))

        run(CHECKOUT / "tools/secrets", self.scratch / "secrets")
        self.kubectl("apply", "--filename", "-", stdin=run(HELM / "secrets", self.scratch / "secrets", "local", env=os.environ | {"STOA_HELM": tool("helm")}))
        self.install("data", *told.get("data", []))
        # The others ask it for keys.
        install("user-service")
        others = [service for service in services if service != "user-service"]
        with concurrent.futures.ThreadPoolExecutor(len(others)) as pool:
            list(pool.map(install, others))
        self.neighbour("api-gateway")
        self.fill()

    def install(self, chart: str, *settings: str, tag: str = "", wait: bool = True) -> None:
        """By `tag` another version than the shop's. Its migration is waited for in any case, its pods where `wait` says so."""
        values = run(HELM / "render", "values", chart, "local", cwd=CHECKOUT).split()
        images = [f"image.registry={REGISTRY}", f"image.tag={tag or self.tag}", *([] if chart == "data" else [f"testImage.tag={self.tag}"])]
        run(tool("helm"), "--namespace", self.kubectl.namespace, "upgrade", "--install", chart, HELM / ("data" if chart == "data" else "service"),
            *(f"--values={file}" for file in values), "--set-string", ",".join(images), *(word for setting in settings for word in ("--set", setting)),
            *(["--wait"] if wait else []), "--timeout", f"{INSTALL_SECONDS}s", cwd=CHECKOUT)

    def neighbour(self, service: str) -> str:
        """A pod of the kind that may ask this service: the chart's own test, with Python and time."""
        name = f"neighbour-of-{service}"
        thing = pod(name, image=self.image("tools"), imagePullPolicy="IfNotPresent", args=[], command=["python3", "-c", "import signal; signal.pause()"])
        thing["metadata"]["labels"] |= {"app.kubernetes.io/name": service, "app.kubernetes.io/component": "test"}
        self.kubectl.apply(thing)
        self.kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"pod/{name}")
        return name

    def program(self, file: pathlib.Path, *words: str) -> str:
        """A Python program of this checkout, run beside the gateway."""
        return self.kubectl("exec", "--stdin", "neighbour-of-api-gateway", "--", "python3", "-", *words, stdin=file.read_text())

    def fill(self) -> None:
        """Accounts and the catalogue, as `make up` does it."""
        template = self.kubectl.get("deployment", "user-service")["spec"]["template"]
        spec = template["spec"] | {"restartPolicy": "Never"}
        [container] = spec["containers"]
        # Never ready, since it opens no port: the Service sends it nothing.
        container |= {"args": ["demo"], "env": [*container["env"], {"name": "STOA_DEMO_PASSWORD", "value": DEMO_PASSWORD}]}
        for unused in ("startupProbe", "livenessProbe", "lifecycle"):
            del container[unused]
        self.kubectl.apply({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "demo"},
                            "spec": {"backoffLimit": 2, "template": {"metadata": {"labels": template["metadata"]["labels"]}, "spec": spec}}})
        self.kubectl("wait", "--for=condition=Complete", "--timeout=90s", "job/demo")
        # Its pod looks like the service's: the budget would count it, and a job has no replicas to compare with.
        self.kubectl("delete", "job", "demo")
        self.kubectl("exec", "neighbour-of-api-gateway", "--", "python3", "-c",
                     "import os, shutil, sys; os.environ['STOA_DEMO_PASSWORD'] = sys.argv[1]; path = shutil.which('load-catalogue'); os.execv(path, [path, *sys.argv[2:]])",
                     DEMO_PASSWORD, "--url", "http://api-gateway:3000", "--file", "/stoa/deploy/demo/catalogue.csv")

    def load_pod(self, service: str) -> dict:
        """May ask this service, as the chart's own test may."""
        thing = pod(f"load-of-{service}")
        thing["metadata"]["labels"] |= {"app.kubernetes.io/name": service, "app.kubernetes.io/component": "test"}
        return thing

    def restart(self) -> None:
        """All services at once."""
        self.kubectl("rollout", "restart", *(f"deployment/{service}" for service in SERVICES))
        self.renewed()

    def renewed(self) -> None:
        """Waits until the new pods serve and the last old one is gone."""
        for service in SERVICES:
            run("kubectl", "--namespace", self.kubectl.namespace, "rollout", "status", f"deployment/{service}", f"--timeout={INSTALL_SECONDS}s", timeout=INSTALL_SECONDS + 10)
        until("the old pods are gone", lambda: not any(one["metadata"].get("deletionTimestamp") for one in self.pods()), 90)

    def pods(self, *words: str) -> list[dict]:
        return self.kubectl.get("pods", "--selector", "app.kubernetes.io/component=service", *words)["items"]

    def buy(self, orders: int) -> dict:
        return json.loads(self.program(BUY, "http://api-gateway:3000", str(orders)))

    def mailed(self, bought: dict) -> None:
        """Waits until each of these orders has its mail."""
        def missing() -> set[str]:
            subjects = " ".join(mail["subject"] for mail in self.mails(bought["email"]))
            return {order["number"] for order in bought["orders"] if order["number"] not in subjects}
        until("each order has its mail", lambda: not missing(), 30)

    def mails(self, to: str) -> list[dict]:
        """Read through the API server, which no policy concerns."""
        return json.loads(self.kubectl("get", "--raw", f"/api/v1/namespaces/{self.kubectl.namespace}/pods/mail-sink-0:8025/proxy/api/messages?summary=true&limit=200&to={to}"))["messages"]


class Load:
    """The probe's load in a pod, for as long as the block lasts; then `targets` says what became of it."""

    def __init__(self, namespace: str, name: str, rate: float, targets: list[str], token: str):
        self.command = ["kubectl", "--namespace", namespace, "exec", "--stdin", name, "--", "/probe", "load", str(rate), *targets]
        self.token, self.targets = token, []

    def __enter__(self) -> Load:
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(self.token + "\n")
        self.process.stdin.flush()
        return self

    def __exit__(self, *_) -> None:
        # A line, since the end of the input reaches a pod late or never.
        told, _ = self.process.communicate("end\n", timeout=60)
        assert self.process.returncode == 0, f"{self.command}: {told}"
        self.targets = json.loads(told)
