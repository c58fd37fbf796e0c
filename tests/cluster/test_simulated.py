"""A control plane with simulated nodes: what is decided by objects alone is real, and no container runs."""

from __future__ import annotations

from tests.cluster.conftest import deployment, pod, until
from tests.cluster.test_node import evict, names_of

PODS = 60
ZONES = {"topologyKey": "topology.kubernetes.io/zone", "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule",
         "labelSelector": {"matchLabels": {"app": "many"}}}


def test_many_pods_are_spread_over_simulated_nodes(kubectl):
    assert len(kubectl.get("nodes")["items"]) == 3
    many = deployment("many", PODS)
    many["spec"]["template"]["spec"]["topologySpreadConstraints"] = [ZONES]
    kubectl.apply(many)
    kubectl("rollout", "status", "deployment/many", "--timeout=90s")
    nodes = [item["spec"]["nodeName"] for item in kubectl.get("pods", "--selector", "app=many")["items"]]
    assert sorted(nodes.count(node) for node in set(nodes)) == [PODS // 3] * 3


def test_a_budget_refuses_the_second_eviction(kubectl):
    kubectl.apply(deployment("held", 2), {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "held"},
                                         "spec": {"minAvailable": 2, "selector": {"matchLabels": {"app": "held"}}}})
    kubectl("rollout", "status", "deployment/held", "--timeout=60s")
    until("the budget is counted", lambda: kubectl.get("pdb", "held")["status"].get("currentHealthy") == 2)
    first, _ = sorted(names_of(kubectl, "held"))
    assert "Cannot evict pod as it would violate the pod's disruption budget" in evict(kubectl, first)
    kubectl("patch", "pdb", "held", "--type=merge", "--patch", '{"spec": {"minAvailable": 1}}')
    until("the budget allows one", lambda: kubectl.get("pdb", "held")["status"].get("disruptionsAllowed") == 1)
    assert "Success" in evict(kubectl, first)


def test_a_drain_ends_on_another_node(kubectl):
    kubectl.apply(deployment("moved", 3))
    kubectl("rollout", "status", "deployment/moved", "--timeout=60s")
    kubectl("drain", "simulated-1", "--force", "--timeout=60s", "--ignore-daemonsets", "--pod-selector=app=moved")
    kubectl("rollout", "status", "deployment/moved", "--timeout=60s")
    nodes = {item["spec"]["nodeName"] for item in kubectl.get("pods", "--selector", "app=moved")["items"] if "deletionTimestamp" not in item["metadata"]}
    kubectl("uncordon", "simulated-1")
    assert nodes <= {"simulated-2", "simulated-3"}


def test_a_pod_that_fits_nowhere_waits(kubectl):
    kubectl.apply(pod("vast", resources={"requests": {"cpu": "64"}}))

    def why() -> str:
        return " ".join(c.get("message", "") for c in kubectl.get("pod", "vast")["status"].get("conditions", []))
    until("the scheduler says why", lambda: "0/3 nodes are available: 3 Insufficient cpu" in why())


def test_a_privileged_pod_is_refused(kubectl):
    bad = pod("bad")
    bad["spec"]["containers"][0]["securityContext"] |= {"privileged": True, "allowPrivilegeEscalation": True}
    assert 'violates PodSecurity "restricted' in kubectl.refuses(bad)
