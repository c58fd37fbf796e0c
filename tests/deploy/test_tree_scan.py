"""The real trivy reads this tree, and trees with planted faults."""

from __future__ import annotations

import re

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import run
from tests.deploy.test_secrets import PLANTED

POD = """apiVersion: v1
kind: Pod
metadata: {{name: planted, namespace: stoa}}
spec:
  automountServiceAccountToken: false
  securityContext: {{runAsNonRoot: true, runAsUser: 65532, runAsGroup: 65532, seccompProfile: {{type: RuntimeDefault}}}}
  containers:
  - name: planted
    image: registry.example.com/planted@sha256:{digest}
    resources: {{requests: {{cpu: 10m, memory: 16Mi}}, limits: {{memory: 16Mi}}}}
    securityContext: {{privileged: {privileged}, allowPrivilegeEscalation: {privileged}, readOnlyRootFilesystem: true, capabilities: {{drop: [ALL]}}}}
"""
GROUP = """resource "aws_security_group_rule" "planted" {{
  description = "planted"
  type = "ingress"
  from_port = 22
  to_port = 22
  protocol = "tcp"
  cidr_blocks = ["{cidr}"]
  security_group_id = "sg-1"
}}
"""
FILES = {"pod.yaml": POD.format(privileged="false", digest="0" * 64), "main.tf": GROUP.format(cidr="10.0.0.0/16"),
         "Dockerfile": "FROM debian:trixie-slim\nUSER 65532:65532\nHEALTHCHECK CMD [\"true\"]\n"}
FAULTS = {"pod.yaml": POD.format(privileged="true", digest="0" * 64), "main.tf": GROUP.format(cidr="0.0.0.0/0"),
          "Dockerfile": "FROM debian:trixie-slim\nUSER root\nHEALTHCHECK CMD [\"true\"]\n", "leak.txt": PLANTED["a private key"] + "\n"}


def scanned(small, files: dict[str, str]):
    for name, text in files.items():
        small.change(name, text)
    return run("deploy/ci/tree-scan", small.folder)


def test_this_tree(checked):
    done = run("deploy/ci/tree-scan", CHECKOUT)
    assert done.returncode == 0, done.stdout
    assert re.fullmatch(r"tree-scan: \d+ files, [1-9]\d* of dockerfile, [1-9]\d* of kubernetes, [1-9]\d* of terraform, 0 findings", done.stdout.strip())
    checked("trees that trivy has read", ["this one"])


def test_a_tree_without_faults(small):
    done = scanned(small, FILES)
    assert done.returncode == 0 and "1 of dockerfile, 1 of kubernetes, 1 of terraform, 0 findings" in done.stdout, done.stdout


def test_each_planted_fault_is_named(small, refused):
    done = scanned(small, FAULTS)
    assert done.returncode == 1
    found = done.stdout.splitlines()[:-1]
    for start in ["pod.yaml:8: HIGH KSV-0017 Privileged", "main.tf:7: HIGH AWS-0107 ", "Dockerfile:2: HIGH DS-0002 ", "leak.txt:2: secret private-key"]:
        refused("planted faults of a tree", start.split(":")[0], re.compile("^" + re.escape(start)), found)


def test_a_tree_with_nothing_to_look_at_is_red(small):
    done = scanned(small, {})
    assert done.returncode == 1
    assert done.stdout.splitlines()[:-1] == [f"no {kind} was there to look at" for kind in ("dockerfile", "kubernetes", "terraform")]
