"""The node: pods run, serve, find each other by name, are confined, measured and scaled."""

from __future__ import annotations

import pytest

from tests.cluster.conftest import deployment, pod, service, until


@pytest.fixture(scope="module")
def web(kubectl):
    """Two pods behind a Service, and a client in a pod."""
    kubectl.apply(deployment("web", 2), service("web"), pod("client"))
    kubectl("rollout", "status", "deployment/web", "--timeout=60s")
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", "pod/client")
    # The proxy's rules follow what is Ready by a second or two; before them the Service's address leads nowhere.
    until("the Service is known to the node's proxy", lambda: set(asked(kubectl, 20).stdout.split()) == names_of(kubectl, "web"), 30)
    return kubectl


def names_of(kubectl, app: str) -> set[str]:
    return {item["metadata"]["name"] for item in kubectl.get("pods", "--selector", f"app={app}")["items"]}


def asked(kubectl, times: int, pod_name: str = "client"):
    return kubectl.probe(pod_name, "ask-each", str(times), "http://web:8080/")


def test_the_node_is_ready_and_of_the_version_asked_for(kubectl):
    [node] = kubectl.get("nodes")["items"]
    assert {c["type"]: c["status"] for c in node["status"]["conditions"]} == {
        "Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
    assert node["status"]["nodeInfo"]["kubeletVersion"] == "v1.35.4"
    assert node["status"]["nodeInfo"]["containerRuntimeVersion"].startswith("containerd://1.7")


def test_a_service_spreads_requests_over_its_pods(web):
    answered = asked(web, 40)
    assert answered.returncode == 0, answered.stdout
    assert set(answered.stdout.split()) == names_of(web, "web")


def test_a_pod_reaches_itself_through_its_service(web):
    name = sorted(names_of(web, "web"))[0]
    answered = asked(web, 20, name)
    assert answered.returncode == 0, answered.stdout
    assert name in answered.stdout.split()


def test_names_of_services_resolve_and_others_are_refused(web):
    address = web.get("service", "web")["spec"]["clusterIP"]
    for name in ("web", f"web.{web.namespace}", f"web.{web.namespace}.svc.cluster.local"):
        assert web.probe("client", "resolve", name).stdout.split() == [address]
    assert web.probe("client", "resolve", "kubernetes.default").stdout.split() == ["10.96.0.1"]
    for name in ("nobody", "nobody.default.svc.cluster.local", "example.com"):
        refused = web.probe("client", "resolve", name)
        assert refused.returncode != 0, refused.stdout


def test_a_pod_that_is_not_ready_gets_no_request(web):
    """Its readiness asks a page that is not there."""
    web.apply(deployment("shy", 1, readinessProbe={"httpGet": {"path": "/absent", "port": 8080}, "periodSeconds": 1}), service("shy"))
    until("the pod runs", lambda: "Running" in web("get", "pods", "--selector", "app=shy"))
    until("its endpoint is there and not ready", lambda: [
        end["conditions"]["ready"] for part in web.get("endpointslices", "--selector", "kubernetes.io/service-name=shy")["items"]
        for end in part["endpoints"] or []] == [False])
    assert web.probe("client", "ask", "http://shy:8080/").returncode != 0


def test_logs_and_commands_reach_the_kubelet(web):
    assert "not understood" in web.probe("client", "dance").stdout
    web.apply(pod("speaks", args=["dance"]))
    until("its log is read", lambda: "not understood: dance" in web.run("logs", "speaks").stdout)


@pytest.mark.parametrize(("fault", "spoil"), [
    ("privileged", lambda spec: spec["containers"][0]["securityContext"].update(privileged=True, allowPrivilegeEscalation=True)),
    ("allowPrivilegeEscalation", lambda spec: spec["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True)),
    ("runAsNonRoot", lambda spec: spec["securityContext"].pop("runAsNonRoot")),
    ("seccompProfile", lambda spec: spec["securityContext"].pop("seccompProfile")),
    ("capabilities", lambda spec: spec["containers"][0]["securityContext"].pop("capabilities")),
    ("hostPath", lambda spec: spec.update(volumes=[{"name": "root", "hostPath": {"path": "/"}}])),
    ("host namespaces", lambda spec: spec.update(hostNetwork=True)),
], ids=lambda value: value if isinstance(value, str) else "")
def test_a_pod_beyond_restricted_is_refused(kubectl, fault, spoil):
    bad = pod("bad")
    spoil(bad["spec"])
    refusal = kubectl.refuses(bad)
    assert 'violates PodSecurity "restricted' in refusal and fault in refusal


def test_a_misspelt_field_is_refused(kubectl):
    bad = deployment("bad", 1)
    bad["spec"]["replcas"] = 2
    assert 'unknown field "spec.replcas"' in kubectl.refuses(bad)


def test_what_a_restricted_pod_may_not_do(web):
    refused = web.probe("client", "write", "/x")
    assert refused.returncode != 0 and "read-only file system" in refused.stdout


def test_a_pod_beyond_its_memory_is_killed(web):
    """The limit is less than the program itself needs."""
    web.apply(pod("greedy", args=["hold", "64"], resources={"limits": {"memory": "24Mi"}}))

    def last_end() -> dict:
        status = web.get("pod", "greedy")["status"].get("containerStatuses", [{}])[0]
        return status.get("state", {}).get("terminated") or status.get("lastState", {}).get("terminated") or {}
    until("it has ended", lambda: bool(last_end()))
    assert (last_end()["reason"], last_end()["exitCode"]) == ("OOMKilled", 137)


def test_a_volume_is_kept_over_pods(web):
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "kept"},
             "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}
    writer = pod("writer", args=["write", "/kept/file"], volumeMounts=[{"name": "kept", "mountPath": "/kept"}])
    writer["spec"] |= {"restartPolicy": "Never", "volumes": [{"name": "kept", "persistentVolumeClaim": {"claimName": "kept"}}]}
    writer["spec"]["securityContext"]["fsGroup"] = 65532
    web.apply(claim, writer)
    web("wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/writer")
    web("delete", "pod", "writer")
    reader = writer | {"metadata": {"name": "reader"}}
    reader["spec"]["containers"][0]["args"] = ["read", "/kept/file"]
    web.apply(reader)
    web("wait", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s", "pod/reader")
    assert web("logs", "reader") == "written\n"


def test_usage_is_measured(web):
    until("every pod has a measure", lambda: names_of(web, "web") <= {
        line.split()[0] for line in web.run("top", "pods", "--no-headers").stdout.splitlines()})
    [line] = web("top", "nodes", "--no-headers").splitlines()
    assert line.split()[0] == "stoa"


def test_the_autoscaler_follows_real_work(web):
    """One pod works for as long as it is asked to; its autoscaler adds pods up to the maximum, seeing no other measure."""
    web.apply(deployment("worker", 1, resources={"requests": {"cpu": "50m"}}), service("worker"), {
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "worker"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "worker"}, "minReplicas": 1, "maxReplicas": 3,
                 "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 60}}}]}})
    web("rollout", "status", "deployment/worker", "--timeout=60s")

    def usage() -> int | None:
        for metric in web.get("hpa", "worker")["status"].get("currentMetrics") or []:
            return metric.get("resource", {}).get("current", {}).get("averageUtilization")
        return None
    until("the idle pod is measured", lambda: usage() is not None, 120)
    assert web.get("deployment", "worker")["spec"]["replicas"] == 1
    assert web.probe("client", "ask", "http://worker:8080/busy?milliseconds=90000").returncode == 0
    until("three replicas", lambda: web.get("deployment", "worker")["spec"]["replicas"] == 3, 90)
    web("delete", "hpa", "worker")
    web("scale", "deployment/worker", "--replicas=0")


def test_a_budget_refuses_the_second_eviction(web):
    web.apply({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
               "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "held"}}}},
              # Ready after longer than this test takes: the first eviction stays unhealed.
              deployment("held", 2, readinessProbe={"httpGet": {"path": "/", "port": 8080}, "initialDelaySeconds": 5, "periodSeconds": 1}))
    web("rollout", "status", "deployment/held", "--timeout=60s")
    until("the budget allows one", lambda: web.get("pdb", "web")["status"].get("disruptionsAllowed") == 1)
    first, second = sorted(names_of(web, "held"))
    assert "Success" in evict(web, first)
    assert "Cannot evict pod as it would violate the pod's disruption budget" in evict(web, second)


def evict(kubectl, name: str) -> str:
    eviction = f'{{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {{"name": "{name}", "namespace": "{kubectl.namespace}"}}}}'
    return kubectl.run("create", "--raw", f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction", "--filename", "-", stdin=eviction).stdout
