"""The charts: Helm renders them, Kubernetes' own schemas accept them, and what is planted is refused."""

from __future__ import annotations

import re
import subprocess

import pytest
import yaml

from tests.deploy.checked import ANYTHING
from tests.deploy.charts import (ENVIRONMENTS, EVERYWHERE, HELM, PAIRS, SERVICES, copy_of_helm, judge, objects, one, render, rendered,
                                 tool, validate)


def values_of(service: str, environment: str) -> list[str]:
    done = subprocess.run([HELM / "render", "values", service, environment], text=True, capture_output=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("environment", EVERYWHERE)
def test_helm_lints_strictly(environment, checked):
    for service in checked("charts with values linted", [f"{one} {environment}" for one in SERVICES]):
        files = values_of(service.split()[0], environment)
        done = subprocess.run([tool("helm"), "lint", "--strict", "--kube-version", "1.35.0", HELM / "service",
                               *(f"--values={file}" for file in files),
                               "--set-string", f"image.tag=0.0.0,image.digest=sha256:{'0' * 64}",
                               "--set-string", f"testImage.digest=sha256:{'0' * 64}"], text=True, capture_output=True, check=False,
                              cwd=HELM.parents[1])
        assert done.returncode == 0 and "0 chart(s) failed" in done.stdout, done.stdout + done.stderr


def test_helm_lint_refuses_a_broken_chart(tmp_path):
    tree = copy_of_helm(tmp_path)
    template = tree / "deploy/helm/service/templates/service.yaml"
    template.write_text(template.read_text().replace("  type: ClusterIP", "   type: ClusterIP"))
    done = subprocess.run([tool("helm"), "lint", "--strict", template.parents[1],
                           *(f"--values={tree / file}" for file in values_of("order-service", "dev")),
                           "--set-string", "image.tag=0.0.0,testImage.tag=0.0.0"], text=True, capture_output=True, check=False)
    assert done.returncode != 0 and "service.yaml" in done.stdout + done.stderr


def test_every_service_renders_in_every_environment_and_kubernetes_accepts_it(checked):
    texts = {f"{service}.{environment}": rendered(service, environment) for service, environment in PAIRS}
    texts |= {"gateway.ingress": rendered("api-gateway", "dev", "--set", "route.kind=ingress,route.ingressClass=nginx,route.tlsSecret=tls"),
              "helm.hooks": rendered("order-service", "dev", "--set", "orderedBy=helm"),
              "existing.secrets": rendered("order-service", "dev", "--set", "secretSource.kind=existing")}
    assert {name: said for name, said in validate(texts).items() if said} == {}
    checked("objects that Kubernetes 1.35 accepts", [f"{name} {thing['kind']}/{thing['metadata']['name']}"
                                                     for name, text in texts.items() for thing in objects(text)])
    kinds = {thing["kind"] for text in texts.values() for thing in objects(text)}
    assert kinds == {"Deployment", "Job", "Service", "ServiceAccount", "ExternalSecret", "NetworkPolicy", "PodDisruptionBudget",
                     "HorizontalPodAutoscaler", "ServiceMonitor", "HTTPRoute", "Ingress", "Pod"}


MISSPELT = {
    "Deployment": ("failureThreshold: 120", "failureTreshold: 120"),
    "Deployment type": ("revisionHistoryLimit: 5", "revisionHistoryLimit: five"),
    "Job": ("backoffLimit: 6", "backOffLimit: 6"),
    "Service": ("targetPort: http", "targetport: http"),
    "NetworkPolicy": ("policyTypes: [Ingress, Egress]", "policyType: [Ingress, Egress]"),
    "PodDisruptionBudget": ("unhealthyPodEvictionPolicy:", "unhealthyPodsEvictionPolicy:"),
    "HorizontalPodAutoscaler": ("minReplicas:", "minReplica:"),
    "ExternalSecret": ("refreshInterval:", "refreshIntervall:"),
    "ExternalSecret value": ("creationPolicy: Owner", "creationPolicy: Owned"),
    "ServiceMonitor": ("scrapeTimeout:", "scrapeTimeOut:"),
    "HTTPRoute": ("parentRefs:", "parentRef:"),
    "HTTPRoute value": ("type: PathPrefix", "type: Prefix"),
    "ServiceAccount": ("automountServiceAccountToken: false\n\n---", "automountToken: false\n\n---"),
    "unknown kind": ("kind: PodDisruptionBudget", "kind: PodDisruptionBudgets"),
    "unknown version": ("apiVersion: autoscaling/v2\n", "apiVersion: autoscaling/v3\n"),
}


def test_a_misspelt_field_is_refused_in_every_kind(refused):
    gateway, order = rendered("api-gateway", "production"), rendered("order-service", "production")
    texts = {}
    for plant, (old, new) in MISSPELT.items():
        text = next(text for text in (order, gateway) if old in text)
        texts[plant.replace(" ", "-")] = text.replace(old, new, 1)
    for plant, said in validate(texts).items():
        refused("planted fields that Kubernetes 1.35 refused", plant, ANYTHING, said)


def test_the_schemas_are_those_of_1_35():
    # Pods have it since 1.34; what kubectl-validate carries itself ends at 1.30.
    text = rendered("order-service", "dev").replace("enableServiceLinks: false", "enableServiceLinks: false\n      hostnameOverride: x", 1)
    assert "hostnameOverride" in text and validate({"new": text}) == {"new": ""}


def test_a_file_without_an_object_is_no_proof(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    done = subprocess.run([HELM / "validate", tmp_path], text=True, capture_output=True, check=False)
    assert done.returncode == 2 and "no object in" in done.stderr


BAD_VALUES = {
    "unknown value": ("replica=3", "additional propert|replica"),
    "no replicas": ("replicas=0", "replicas"),
    "name in capitals": ("name=Order", "name"),
    "tag that moves": ("image.tag=latest", "tag"),
    "digest too short": ("image.digest=sha256:abc", "digest"),
    "digest of another kind": (f"image.digest=md5:{'0' * 32}", "digest"),
    "registry with a scheme": ("image.registry=https://registry.example.com", "registry"),
    "memory without unit": ("resources.memory=128", "memory"),
    "a limit of CPU": ("resources.cpuLimit=1", "additional propert|cpuLimit"),
    "CPU in cores": ("resources.cpu=0.5", "cpu"),
    "log level": ("logLevel=debug", "logLevel"),
    "ratio above one": ("traceRatio=2", "traceRatio"),
    "everybody as a proxy": ("trustedProxies={0.0.0.0/0}", "trustedProxies"),
    "a secret among settings": ("settings.STOA_DATABASE_PASSWORD=x", "settings|STOA_DATABASE_PASSWORD"),
    "setting of another program": ("settings.PATH=/bin", "settings|PATH"),
    "password in the connection string": ("databaseOptions=password=x", "databaseOptions"),
    "store without a port": ("stores.redis.address=redis", "redis"),
    "store open to all": ("stores.redis.cidrs={0.0.0.0/0}", "cidrs"),
    "one pod at least": ("autoscaling.min=1", "min"),
    "CPU beyond reason": ("autoscaling.cpuPercent=120", "cpuPercent"),
    "foreign metric": ("autoscaling.metric.name=cpu_usage", "metric"),
    "pods that leave before they came": ("autoscaling.downAfterSeconds=-1", "downAfterSeconds"),
    "reads that take longer than their interval": ("monitoring.interval=4s", "interval"),
    "reads too rare for a rate over a minute": ("monitoring.interval=60s", "interval"),
    "no pause": ("preStopSeconds=0", "preStopSeconds"),
    "pause as text": ("preStopSeconds=ten", "preStopSeconds"),
    "source of secrets": ("secretSource.kind=vault", "kind"),
    "prefix without slash": ("secretSource.prefix=stoa", "prefix"),
    "order by nobody": ("orderedBy=flux", "orderedBy"),
    "route of another kind": ("route.kind=loadbalancer", "kind"),
    "no port of DNS": ("dns.ports=", "ports"),
}


@pytest.mark.parametrize("plant", BAD_VALUES)
def test_the_schema_of_values_refuses(plant, refused):
    words, said = BAD_VALUES[plant]
    setting, value = words.split("=", 1)
    by_name = {"image.tag": "STOA_TAG", "image.digest": "STOA_DIGEST"}  # render itself sets these
    named = {by_name[setting]: value} if setting in by_name else {}
    done = render("order-service", "dev", *([] if named else ["--set", words]), digests=named)
    assert done.returncode != 0 and "don't meet the specifications of the schema" in done.stderr, done.stdout[:200] + done.stderr
    refused("planted values that the schema refused", plant, re.compile(said), done.stderr.partition("specifications")[2])


REFUSED = {
    "production by tag": ("order-service", "production", [], {}, "deploys by digest"),
    "a service that the graph does not know": ("order-service", "dev", ["--set", "name=basket-service"], None, "not in the service graph"),
    "a route to what is not public": ("order-service", "dev", ["--set", "route.kind=httproute,route.host=a.example.com"], None, "does not call it public"),
    "more at least than at most": ("order-service", "staging", ["--set", "autoscaling.min=9"], None, "autoscaling.min is greater"),
    "a neighbour in the world that has no address": ("order-service", "dev", ["--set", "graph.services.order-service.outside={mail}"], None, "needs outside.mail"),
    "secrets from no store": ("order-service", "dev", ["--set", "secretSource.store="], None, "secretSource.store is needed"),
    "an environment that is not there": ("order-service", "qa", [], None, "no environment qa"),
    "a service that is not there": ("basket-service", "dev", [], None, "no service basket-service"),
}


@pytest.mark.parametrize("plant", REFUSED)
def test_the_chart_refuses(plant, refused):
    service, environment, words, digests, said = REFUSED[plant]
    done = render(service, environment, *words, digests=digests)
    assert done.returncode != 0, done.stderr
    refused("planted combinations that the chart refused", plant, said, done.stderr)


def test_pods_come_at_once_and_leave_late():
    def pauses(*words: str) -> tuple[int, int]:
        behavior = one(objects(rendered("order-service", "production", *words)), "HorizontalPodAutoscaler", "order-service")["spec"]["behavior"]
        return behavior["scaleUp"]["stabilizationWindowSeconds"], behavior["scaleDown"]["stabilizationWindowSeconds"]
    assert pauses() == (0, 300)
    assert pauses("--set", "autoscaling.downAfterSeconds=0") == (0, 0)


def test_no_finding_in_any_environment(checked):
    for service, environment in PAIRS:
        done = judge(rendered(service, environment))
        assert done.returncode == 0, f"{service} {environment}: {done.stdout}{done.stderr}"
    checked("pods judged by Pod Security restricted", [f"{service} {environment} {thing['kind']}/{thing['metadata']['name']}"
            for service, environment in PAIRS for thing in objects(rendered(service, environment))
            if thing["kind"] in ("Deployment", "Job", "Pod")])


PLANTED = {
    "privileged": ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: true\n            privileged: true", "is privileged"),
    "network of the node": ("enableServiceLinks: false", "enableServiceLinks: false\n      hostNetwork: true", "hostNetwork is true"),
    "processes of the node": ("enableServiceLinks: false", "enableServiceLinks: false\n      hostPID: true", "hostPID is true"),
    "folder of the node": ("emptyDir: {sizeLimit: 16Mi}", "hostPath: {path: /}", "is a hostPath"),
    "port of the node": ("containerPort: 3003", "containerPort: 3003, hostPort: 80", "takes a port of the node"),
    "root": ("runAsUser: 65532", "runAsUser: 0", "runs as user 0"),
    "perhaps root": ("runAsNonRoot: true\n            capabilities", "runAsNonRoot: false\n            capabilities", "may run as root"),
    "escalation": ("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true", "may gain privileges"),
    "capabilities kept": ("capabilities: {drop: [ALL]}", "capabilities: {drop: [NET_RAW]}", "keeps capabilities"),
    "capability added": ("capabilities: {drop: [ALL]}", "capabilities: {drop: [ALL], add: [SYS_ADMIN]}", "adds SYS_ADMIN"),
    "seccomp": ("type: RuntimeDefault", "type: Unconfined", "seccomp profile Unconfined"),
    "root that can be written": ("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false", "can write its root"),
    "token": ("automountServiceAccountToken: false", "automountServiceAccountToken: true", "a token of the API"),
    "limit of CPU": ("limits: {memory", "limits: {cpu: 1, memory", "limit of CPU"),
    "memory limit of its own": ("limits: {memory: 128Mi", "limits: {memory: 256Mi", "memory limit 256Mi"),
    "moving tag": (f"@sha256:{'0' * 64}", ":latest", "a moving tag"),
    "liveness asks what readiness asks": ("path: /livez", "path: /readyz", "probes ask"),
    "no startup probe": ("startupProbe:", "startedProbe:", "probes ask"),
    "no pause": ("preStop: {sleep: {seconds: 10}}", "preStop: {sleep: {seconds: 0}}", "pauses 0 s"),
    "pause longer than the grace": ("terminationGracePeriodSeconds: 25", "terminationGracePeriodSeconds: 10", "pauses 10 s"),
    "spread over two roll-outs": ("matchLabelKeys: [pod-template-hash]", "matchLabelKeys: []", "not spread"),
    "budget that stops a drain": ("maxUnavailable: 1\n", "minAvailable: 3\n", "stop a drain"),
    "budget for the sick": ("AlwaysAllow", "IfHealthyBudget", "stop a drain"),
    "replicas and an autoscaler": ("revisionHistoryLimit: 5", "revisionHistoryLimit: 5\n  replicas: 3", "autoscaler owns"),
    "policy for everybody": ("- {protocol: TCP, port: 3003}", "- {protocol: TCP, port: 3003}\n    - ports: [{protocol: TCP, port: 1}]", "for everybody"),
    "secret in the environment": ("{name: STOA_LOG_LEVEL,", "{name: STOA_DATABASE_PASSWORD,", "a secret in its environment"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_the_judge_finds(plant, refused):
    old, new, said = PLANTED[plant]
    text = rendered("order-service", "production")
    assert old in text, f"the chart has no {old!r}: the plant is out of date"
    done = judge(text.replace(old, new, 1))
    assert done.returncode == 1, done.stdout + done.stderr
    refused("planted faults that the judge found", plant, said, done.stdout)


def test_the_judge_wants_something_to_judge():
    assert judge("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n").returncode == 2


@pytest.mark.parametrize("ordered_by, first, last", [
    ("argocd", "argocd.argoproj.io/sync-wave", "argocd.argoproj.io/hook"), ("helm", "helm.sh/hook-weight", "helm.sh/hook")])
def test_the_migration_comes_after_its_secret_and_before_the_service(ordered_by, first, last):
    things = objects(rendered("order-service", "dev", "--set", f"orderedBy={ordered_by}"))
    name = "order-service-migrate"
    waves = {kind: int(one(things, kind, name)["metadata"]["annotations"][first])
             for kind in ("ServiceAccount", "ExternalSecret", "NetworkPolicy", "Job")}
    assert waves == {"ServiceAccount": -2, "ExternalSecret": -2, "NetworkPolicy": -2, "Job": -1}
    assert one(things, "Job", name)["metadata"]["annotations"][last] in ("Sync", "pre-install,pre-upgrade")
    assert first not in one(things, "Deployment", "order-service")["metadata"].get("annotations", {})


def test_only_the_gateway_has_a_way_in(checked):
    ways = {(service, environment): [thing["kind"] for thing in objects(rendered(service, environment))
                                     if thing["kind"] in ("HTTPRoute", "Ingress")] for service, environment in PAIRS}
    assert {pair for pair, kinds in ways.items() if kinds} == {("api-gateway", environment) for environment in ENVIRONMENTS}


def test_an_environment_says_only_what_differs(checked):
    common = yaml.safe_load((HELM / "service/values.yaml").read_text())
    for file in checked("patches of environments", sorted((HELM / "environments").glob("*/*.yaml"))):
        said = yaml.safe_load(file.read_text())
        assert len(file.read_text().splitlines()) <= 25, f"{file} is more than a patch"
        assert {key for key, value in said.items() if common.get(key) == value} == set(), f"{file} repeats the chart"


def test_the_readmes_tell_the_values(tmp_path):
    done = subprocess.run([HELM / "describe", "--check"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    tree = copy_of_helm(tmp_path)
    schema = tree / "deploy/helm/service/values.schema.json"
    schema.write_text(schema.read_text().replace("Fewest pods", "Least pods"))
    done = subprocess.run([tree / "deploy/helm/describe", "--check"], text=True, capture_output=True, check=False)
    assert done.returncode == 1 and "out of date: service" in done.stderr
