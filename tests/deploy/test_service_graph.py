"""What the charts say about the services is what the services and Compose say: graph, ports, probes, settings."""

from __future__ import annotations

import copy
import functools
import re

import pytest
import yaml

from tests.deploy.charts import ENVIRONMENTS, EVERYWHERE, GRAPH, HELM, LOADER, PAIRS, SERVICES, objects, one, rendered
from tests.deploy.checked import CHECKOUT

SOURCES = CHECKOUT / "services"
SETTING = re.compile(r'"(STOA_[A-Z0-9_]+)"')


@functools.cache
def source(folder: str) -> str:
    files = sorted(file for pattern in ("*.cpp", "*.hpp") for file in (CHECKOUT / folder).rglob(pattern) if "tests" not in file.parts)
    assert files, folder
    return "\n".join(file.read_text() for file in files)


@functools.cache
def compose() -> dict:
    return yaml.load((CHECKOUT / "deploy/compose/compose.yaml").read_text(), LOADER)


def callers_by_route(service: str) -> set[str]:
    lists = re.findall(r"from_services\(\s*\{([^}]*)\}", source(f"services/{service}"))
    return {name for names in lists for name in re.findall(r'"([a-z-]+)"', names)}


def proxied() -> set[str]:
    """Where the gateway's table of routes sends requests."""
    return {f"{name}-service" for name in re.findall(r"\{Upstream::(\w+),", (SOURCES / "api-gateway/routes.cpp").read_text())}


def differences(graph: dict) -> list[str]:
    """Between a graph and the sources; the same words for a true graph and a spoiled one."""
    found = []
    services = graph["services"]
    for service, node in services.items():
        callers = {caller for caller, its in services.items() if service in its["calls"]}
        wanted = callers_by_route(service) | ({"api-gateway"} if service in proxied() else set())
        found += [f"{caller} may call {service} by the graph, not by its routes" for caller in callers - wanted]
        found += [f"{caller} may call {service} by its routes, not by the graph" for caller in wanted - callers]
        environment = compose()["services"][service]["environment"]
        addressed = {other for other in services if f"STOA_{other.upper().replace('-', '_')}" in environment} - {service}
        found += [f"{service} is told of {other} in Compose, not in the graph" for other in addressed - set(node["calls"])]
        found += [f"{service} is told of {other} in the graph, not in Compose" for other in set(node["calls"]) - addressed]
        stores = {name for name, setting in STORES.items() if setting in environment}
        if stores != set(node["stores"]):
            found.append(f"{service} has {sorted(stores)} in Compose, {sorted(node['stores'])} in the graph")
        port = int(re.search(r"default_port = ([\d']+)", source(f"services/{service}"))[1].replace("'", ""))
        if port != node["port"]:
            found.append(f"{service} listens on {port}, the graph says {node['port']}")
        published = [other for other in services if other in compose()["services"] and compose()["services"][other].get("ports")]
        if node.get("public", False) != (service in published):
            found.append(f"{service}: public is {node.get('public', False)}")
    return found


STORES = {"postgres": "STOA_DATABASE_DSN", "redis": "STOA_REDIS_ADDRESS", "rabbitmq": "STOA_BROKER_ADDRESSES"}


def test_the_graph_is_what_routes_ports_and_compose_say(checked):
    checked("edges of the service graph", [f"{caller} → {callee}" for caller in SERVICES for callee in GRAPH["services"][caller]["calls"]])
    assert proxied() == set(GRAPH["services"]["api-gateway"]["calls"])
    assert differences(GRAPH) == []
    assert SERVICES == sorted(folder.name for folder in SOURCES.iterdir() if folder.is_dir())


@pytest.mark.parametrize("spoil, said", [
    (lambda services: services["payment-service"]["calls"].append("order-service"), "payment-service may call order-service by the graph"),
    (lambda services: services["order-service"]["calls"].remove("product-service"), "order-service may call product-service by its routes"),
    (lambda services: services["notification-service"].update(port=3006), "listens on 3005"),
    (lambda services: services["payment-service"]["stores"].append("redis"), "payment-service has"),
    (lambda services: services["order-service"].update(public=True), "order-service: public is True"),
])
def test_a_graph_that_differs_is_found(spoil, said):
    graph = copy.deepcopy(GRAPH)
    spoil(graph["services"])
    assert any(said in line for line in differences(graph)), differences(graph)


def peers(rules: list[dict], side: str) -> set[tuple[str, int]]:
    """(name of the other pod, port) of every rule that names a pod."""
    return {(peer["podSelector"]["matchLabels"]["app.kubernetes.io/name"], port["port"]) for rule in rules for peer in rule[side]
            if "podSelector" in peer and "namespaceSelector" not in peer for port in rule["ports"]}


def test_policies_open_both_ends_of_each_edge_and_no_other(checked):
    for environment in EVERYWHERE:
        policies = {service: one(objects(rendered(service, environment)), "NetworkPolicy", service)["spec"] for service in SERVICES}
        leaving = {(service, name, port) for service, policy in policies.items() for name, port in peers(policy["egress"], "to") if name in SERVICES}
        entering = {(name, service, port) for service, policy in policies.items() for name, port in peers(policy["ingress"], "from")
                    if name in SERVICES and name != service}
        edges = {(caller, callee, GRAPH["services"][callee]["port"]) for caller in SERVICES for callee in GRAPH["services"][caller]["calls"]}
        assert leaving == entering == edges
        checked("edges in network policies", [f"{environment} {edge}" for edge in edges])
        assert all(policy["policyTypes"] == ["Ingress", "Egress"] for policy in policies.values())


def pages() -> set[str]:
    """What the admin server answers with something else than 404."""
    server = (CHECKOUT / "servicekit/runtime/admin_server.cpp").read_text()
    return set(re.findall(r'path == "(/\w+)"', server))


def wrong_questions(things: list[dict], service: str) -> list[str]:
    """Probes, monitors and tests that ask what is not there."""
    port = GRAPH["services"][service]["port"]
    offset = int(re.search(r"admin_offset = ([\d']+)", (CHECKOUT / "servicekit/runtime/service_config.cpp").read_text())[1].replace("'", ""))
    container = one(things, "Deployment", service)["spec"]["template"]["spec"]["containers"][0]
    found = [f"port {name}" for name, number in {p["name"]: p["containerPort"] for p in container["ports"]}.items()
             if number != {"http": port, "admin": port + offset}.get(name)]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        if asked["path"] not in pages() or asked["port"] != "admin":
            found.append(f"{probe} {asked}")
    if container["livenessProbe"]["httpGet"]["path"] != "/livez":
        found.append("liveness tests more than life")
    for endpoint in [end for thing in things if thing["kind"] == "ServiceMonitor" for end in thing["spec"]["endpoints"]]:
        if endpoint["path"] not in pages() or endpoint["port"] != "admin":
            found.append(f"monitor {endpoint}")
    url = one(things, "Pod", f"{service}-test")["spec"]["containers"][0]["command"][-1]
    public = {f":{port}{path}" for path in re.findall(r'router\.get\("([^"{]+)", http::anyone', source(f"services/{service}"))}
    if url.removeprefix(f"http://{service}") not in public | {f":{port + offset}{page}" for page in pages()}:
        found.append(f"test {url}")
    dockerfile = (CHECKOUT / "deploy/images/Dockerfile").read_text()
    exposed = re.search(rf"^FROM runtime AS {service}$.*?^EXPOSE (\d+) (\d+)$", dockerfile, re.MULTILINE | re.DOTALL)
    if exposed.groups() != (str(port), str(port + offset)):
        found.append(f"the image exposes {exposed.groups()}")
    return found


def test_probes_ask_pages_that_exist(checked):
    assert {"/livez", "/readyz", "/startupz", "/metrics"} == pages()
    for service, environment in checked("services whose probes were compared", PAIRS):
        assert wrong_questions(objects(rendered(service, environment)), service) == []


@pytest.mark.parametrize("old, new, said", [
    ("path: /startupz", "path: /health/startup", "startupProbe"), ("path: /livez", "path: /healthz", "livenessProbe"),
    ("path: /livez", "path: /readyz", "liveness tests more"), ("path: /metrics", "path: /actuator/prometheus", "monitor"),
    ("httpGet: {path: /readyz, port: admin}", "httpGet: {path: /readyz, port: http}", "readinessProbe"),
    ("containerPort: 4003", "containerPort: 9090", "port admin"), (":4003/readyz", ":3003/readyz", "test"),
])
def test_a_question_that_nobody_answers_is_found(old, new, said):
    text = rendered("order-service", "dev")
    assert old in text
    assert any(said in line for line in wrong_questions(objects(text.replace(old, new, 1)), "order-service"))


def settings(things: list[dict], kind: str, name: str) -> dict[str, str]:
    container = one(things, kind, name)["spec"]["template"]["spec"]["containers"][0]
    return {variable["name"]: variable["value"] for variable in container["env"]}


def unknown(names: set[str], service: str) -> set[str]:
    """Settings that neither the service nor servicekit reads. A secret may also come from a file."""
    known = set(SETTING.findall(source(f"services/{service}") + source("servicekit")))
    prefixes = {"STOA_DATABASE", "STOA_MIGRATE"} & known
    known |= {f"{prefix}{end}" for prefix in prefixes for end in ("_DSN", "_PASSWORD")}
    return {name for name in names if name not in known and name.removesuffix("_FILE") not in known}


def test_settings_are_those_of_compose_and_the_service_knows_them(checked):
    for service, environment in checked("services whose settings were compared", PAIRS):
        things = objects(rendered(service, environment))
        mine, theirs = settings(things, "Deployment", service), set(compose()["services"][service]["environment"])
        theirs -= {f"STOA_{service.upper().replace('-', '_')}"}  # an anchor tells user-service of itself
        assert unknown(set(mine), service) == set()
        assert theirs - set(mine) == set(), f"{service} lacks what Compose tells it"
        assert set(mine) - theirs <= {"STOA_OTLP_URL", "STOA_BROKER_CA", "STOA_SMTP_STARTTLS", "STOA_TRUSTED_PROXIES"}
        if GRAPH["services"][service]["stores"] != ["redis"]:
            job = settings(things, "Job", f"{service}-migrate")
            assert set(job) == set(compose()["services"][f"{service}-migrate"]["environment"])
            names = re.compile(r"dbname=\w+ user=[\w-]+")
            assert names.search(job["STOA_MIGRATE_DSN"])[0] == names.search(compose()["services"][f"{service}-migrate"]["environment"]["STOA_MIGRATE_DSN"])[0]
            assert names.search(mine["STOA_DATABASE_DSN"])[0] == names.search(compose()["services"][service]["environment"]["STOA_DATABASE_DSN"])[0]


def test_a_setting_that_nobody_reads_is_found():
    assert unknown({"STOA_REDIS_HOST", "STOA_LOG_LEVEL", "STOA_REDIS_PASSWORD_FILE"}, "order-service") == {
        "STOA_REDIS_HOST", "STOA_REDIS_PASSWORD_FILE"}
    assert unknown({"STOA_REDIS_PASSWORD_FILE"}, "product-service") == set()


@pytest.mark.parametrize("service", SERVICES)
def test_secrets_are_those_of_compose(service, checked):
    told = compose()
    wanted = {}
    for secret in told["services"][service]["secrets"]:
        name, target = (secret, secret) if isinstance(secret, str) else (secret["source"], secret["target"])
        wanted[target] = told["secrets"][name]["file"].split("}/", 1)[1]
    things = objects(rendered(service, "production"))
    made = {entry["secretKey"]: entry["remoteRef"]["key"].removeprefix("stoa-production/")
            for entry in one(things, "ExternalSecret", service)["spec"]["data"]}
    assert made == wanted
    named = {value.rsplit("/", 1)[1] for value in settings(things, "Deployment", service).values() if value.startswith("/run/secrets/")}
    assert named == set(wanted)
    checked("secrets compared", [f"{service} {name}" for name in wanted])


@functools.cache
def metrics() -> dict:
    return yaml.load((CHECKOUT / "contracts/telemetry/metrics.yaml").read_text(), LOADER)


def asked() -> set[str]:
    """The custom metrics of all autoscalers."""
    scalers = [one(objects(rendered(service, "production")), "HorizontalPodAutoscaler", service) for service in SERVICES]
    return {metric["pods"]["metric"]["name"] for scaler in scalers for metric in scaler["spec"]["metrics"] if metric["type"] == "Pods"}


def missing(rules: list[dict], names: set[str]) -> list[str]:
    """What autoscalers ask for and nobody answers, and rules about series that no service shows."""
    answered = {rule["name"]["as"] for rule in rules}
    found = [f"{name} has no rule" for name in names - answered] + [f"nobody asks for {name}" for name in answered - names]
    for rule in rules:
        series = rule["seriesQuery"].split("{")[0]
        kind = metrics().get(series, {}).get("type")
        if kind not in ("counter", "gauge"):
            found.append(f"{series} is not in contracts/telemetry")
        elif ("rate(" in rule["metricsQuery"]) != (kind == "counter"):
            found.append(f"{series} is a {kind}")
    return found


def test_autoscalers_ask_for_metrics_that_exist(checked):
    rules = yaml.load((HELM / "metrics-adapter.yaml").read_text(), LOADER)["rules"]
    assert len(checked("custom metrics of autoscalers", sorted(asked()))) == 2
    assert missing(rules, asked()) == []
    assert missing(rules, {"stoa_orders_in_flight"})[0] == "stoa_orders_in_flight has no rule"
    for old, new, said in [("stoa_http_server_in_flight{", "stoa_orders_in_flight{", "not in contracts"),
                           ("avg_over_time(", "rate(", "stoa_http_server_in_flight is a gauge")]:
        spoiled = yaml.load((HELM / "metrics-adapter.yaml").read_text().replace(old, new), LOADER)["rules"]
        assert any(said in line for line in missing(spoiled, asked()))


def test_secrets_and_networks_are_those_of_terraform():
    roots = CHECKOUT / "deploy/terraform/environments"
    for environment in ENVIRONMENTS:
        text = (roots / environment / "main.tf").read_text()
        example = (roots / environment / "terraform.tfvars.example").read_text()
        patch = yaml.load((HELM / f"environments/{environment}/all.yaml").read_text(), LOADER)
        network = re.search(r'network = \{ cidr = "([\d./]+)"', text)[1]
        assert patch["trustedProxies"] == [network]
        assert {cidr for store in patch["stores"].values() for cidr in store["cidrs"]} == {network}
        host = yaml.load((HELM / f"environments/{environment}/api-gateway.yaml").read_text(), LOADER)["route"]["host"]
        assert host == re.search(r'domain\s+= "([\w.]+)"', example)[1]
        assert patch["secretSource"]["prefix"] == f"stoa-{environment}/"


def test_a_second_region_has_the_network_of_its_root(checked):
    for file in checked("regions that follow", HELM.glob("environments/production/*/all.yaml")):
        text = (CHECKOUT / f"deploy/terraform/environments/production-{file.parent.name}/main.tf").read_text()
        network = re.search(r'network = \{ cidr = "([\d./]+)"', text)[1]
        said = [cidr for part in file.parent.glob("*.yaml") for cidr in re.findall(r"\d+\.\d+\.\d+\.\d+/\d+", part.read_text())]
        assert said and set(said) == {network}, file
        host = yaml.load((file.parent / "api-gateway.yaml").read_text(), LOADER)["route"]["host"]
        assert re.search(rf'hosts\s+= \["{host.split(".")[0]}"\]', text)
