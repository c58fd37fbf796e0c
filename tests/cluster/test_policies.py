"""Network policies are enforced: what none allows is refused, and what one names passes."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import deployment, pod, service, until

URL = "http://web:8080/"


@pytest.fixture(scope="module")
def parties(kubectl):
    kubectl.apply(deployment("web", 1), service("web"), pod("friend"), pod("stranger"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/friend", "pod/stranger")
    return kubectl


def reaches(kubectl, who: str, url: str = URL) -> bool:
    return kubectl.probe(who, "ask", url).returncode == 0


def policy(name: str, selector: dict, **rules: list) -> dict:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name},
            "spec": {"podSelector": selector, "policyTypes": [kind.capitalize() for kind in rules], **rules}}


def test_policies_refuse_and_permit(parties):
    address = parties.get("pods", "--selector", "app=web")["items"][0]["status"]["podIP"]
    # A pod is Ready before the rules of the node know it.
    until("without a policy all may", lambda: reaches(parties, "friend") and reaches(parties, "stranger"))

    parties.apply(policy("nothing", {}, ingress=[], egress=[]))
    until("nobody reaches it", lambda: not reaches(parties, "friend") and not reaches(parties, "stranger"))
    assert not reaches(parties, "stranger", f"http://{address}:8080/"), "nor by its address"
    assert parties.get("deployment", "web")["status"]["readyReplicas"] == 1, "the kubelet's own question passes"

    # The rules see a pod's own port behind a Service: DNS answers on 1053.
    names = {"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
             "ports": [{"port": 1053, "protocol": "UDP"}, {"port": 1053, "protocol": "TCP"}]}
    port = [{"port": 8080, "protocol": "TCP"}]
    parties.apply(
        policy("friend-asks", {"matchLabels": {"app": "friend"}}, egress=[names, {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": port}]),
        policy("web-answers", {"matchLabels": {"app": "web"}}, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": port}]))
    until("the friend reaches it", lambda: reaches(parties, "friend"))
    assert not reaches(parties, "stranger")

    # Both ends are needed: with a way out and no way in, the stranger stays outside.
    parties.apply(policy("stranger-asks", {"matchLabels": {"app": "stranger"}}, egress=[names, {"to": [{"podSelector": {"matchLabels": {"app": "web"}}}], "ports": port}]))
    until("the stranger resolves the name", lambda: parties.probe("stranger", "resolve", "web").returncode == 0)
    assert not reaches(parties, "stranger")
    assert reaches(parties, "friend")
