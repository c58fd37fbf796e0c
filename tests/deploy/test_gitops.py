"""deploy/gitops: real kustomize builds it, the definitions of Argo CD accept it, the projects permit what it makes and no more."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.deploy import gitops
from tests.deploy.charts import LOADER, SERVICES, objects, validate
from tests.deploy.checked import ANYTHING, CHECKOUT
from tests.deploy.gitops import ENVIRONMENTS, GITOPS, PLACES, Tree, build, copy_of_delivery, wave

FOLDERS = ["argocd", *(f"environments/{environment}" for environment in ENVIRONMENTS), *(f"environments/{place}" for place in PLACES),
           *(f"environments/{place}/policies" for place in PLACES)]
PLACEHOLDER = re.compile(r"\b(ENVIRONMENT|REGION|REPOSITORY|REVISION)\b")
DIGEST = re.compile(r"[^@\s]+@sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module")
def delivery(tmp_path_factory):
    """Shared: not to be changed."""
    return copy_of_delivery(tmp_path_factory.mktemp("delivery"))


@pytest.fixture
def spoiled(delivery, tmp_path):
    shutil.copytree(delivery / "deploy", tmp_path / "deploy")
    return tmp_path


@pytest.fixture(scope="module")
def trees(delivery) -> dict[str, Tree]:
    return {environment: Tree(environment, delivery) for environment in ENVIRONMENTS}


def change(tree, file: str, old: str, new: str) -> None:
    target = tree / "deploy" / file
    text = target.read_text()
    assert old in text, f"{file} has no {old!r}: the plant is out of date"
    target.write_text(text.replace(old, new, 1))


def test_every_overlay_builds_and_kubernetes_accepts_it(checked):
    assert set(ENVIRONMENTS) == {"dev", "staging", "production", "local"} and len([place for place in PLACES if place.startswith("production/")]) == 2
    texts = {folder.replace("/", "."): build(GITOPS / folder) for folder in FOLDERS}
    assert {name: said for name, said in validate(texts).items() if said} == {}
    checked("overlays that kustomize builds", texts)
    checked("objects of deploy/gitops that their definitions accept", [f"{name} {thing['kind']}/{thing['metadata']['name']}"
                                                                     for name, text in texts.items() for thing in objects(text)])
    left = {name: found for name, text in texts.items() if (found := PLACEHOLDER.findall(text))}
    assert left == {}, "an overlay left what it had to replace"


def test_what_is_generated_is_accepted_too(trees, checked):
    texts = {name: yaml.safe_dump(application) for tree in trees.values() for name, application in tree.applications.items()}
    assert {name: said for name, said in validate(texts).items() if said} == {}
    checked("applications", texts)
    assert not [name for name, text in texts.items() if PLACEHOLDER.search(text) or "{{" in text]
    for environment, tree in trees.items():
        regions = [place.split("/")[1] for place in PLACES if place.startswith(f"{environment}/")]
        assert {f"{environment}-{region}-{service}" for region in regions for service in SERVICES} <= set(tree.applications)
        assert {application["metadata"]["labels"]["environment"] for application in tree.applications.values()} == {environment}


MISSPELT = {
    "Application": ("staging", "targetRevision:", "targetRevison:"),
    "Application value": ("staging", "selfHeal: true", "selfHeal: yes-please"),
    "ApplicationSet": ("staging", "requeueAfterSeconds:", "requeueAfterSecond:"),
    "AppProject": ("staging", "sourceRepos:", "sourceRepositories:"),
    "AppProject value": ("staging", "warn: true", "warn: loudly"),
    "ImageUpdater": ("dev", "writeBackTarget:", "writebackTarget:"),
    "ImageUpdater value": ("dev", "git:secret:argocd/image-updater-git", "push"),
}


def test_a_misspelt_field_is_refused(refused):
    texts = {}
    for plant, (environment, old, new) in MISSPELT.items():
        text = build(GITOPS / "environments" / environment)
        assert old in text
        texts[plant.replace(" ", "-")] = text.replace(old, new, 1)
    for plant, said in validate(texts).items():
        refused("planted fields of Argo CD's kinds that were refused", plant, ANYTHING, said)


@pytest.mark.parametrize("old, new", [("resources: [place.yaml, ../../../region", "resources: [place.yaml, ../../../regions"),
                                      ("components: [../../../wiring/region, ../../../keep", "components: [../../../keep")])
def test_a_broken_overlay_is_found(spoiled, old, new):
    change(spoiled, "gitops/environments/production/us-east-1/kustomization.yaml", old, new)
    folder = spoiled / "deploy/gitops/environments/production/us-east-1"
    done = subprocess.run([gitops.tool("kustomize"), "build", folder], text=True, capture_output=True, check=False)
    assert done.returncode != 0 or PLACEHOLDER.search(done.stdout)


def differences_only(tree) -> list[str]:
    """Overlays are short, and say of themselves what their folders say."""
    found = []
    for place in PLACES:
        environment, region = place.split("/")
        folder = tree / "deploy/gitops/environments" / place
        facts = yaml.load((folder / "place.yaml").read_text(), LOADER)["data"]
        if facts != {"environment": environment, "region": region, "images": f"{environment}.json"}:
            found.append(f"{place}: its facts are {facts}")
        if yaml.load((folder.parent / "place.yaml").read_text(), LOADER)["data"] != {"environment": environment}:
            found.append(f"{environment}: its facts")
        for file in [folder / "kustomization.yaml", folder / "policies/kustomization.yaml", folder.parent / "kustomization.yaml"]:
            if len(file.read_text().splitlines()) > 12:
                found.append(f"{file} is more than differences")
    return found


def test_an_overlay_holds_only_differences(delivery, spoiled, checked):
    assert differences_only(delivery) == []
    one, two = (delivery / f"deploy/gitops/environments/production/{region}" for region in ("eu-west-1", "us-east-1"))
    assert build(one).replace("eu-west-1", "us-east-1") == build(two)
    checked("overlays compared with their folders", PLACES)
    change(spoiled, "gitops/environments/production/us-east-1/place.yaml", "region: us-east-1", "region: eu-west-1")
    assert differences_only(spoiled) == ["production/us-east-1: its facts are {'environment': 'production', 'region': 'eu-west-1', 'images': 'production.json'}"]


ORDER = ["definitions", "policies", "data", "services"]


def wrong_order(tree) -> list[str]:
    """Definitions → policies → data → (migrations →) services; projects before what needs them. No root is of its own tree: it could not be deleted."""
    found = []
    for environment in ENVIRONMENTS:
        things = objects(build(tree / "deploy/gitops/environments" / environment))
        waves = {thing["kind"]: wave(thing) for thing in things if not gitops.left_out(thing)}
        if "Application" in waves or not waves["AppProject"] < waves["ApplicationSet"]:
            found.append(f"{environment}: {waves}")
    for place in PLACES:
        things = objects(build(tree / "deploy/gitops/environments" / place))
        waves = [(wave(thing), thing["metadata"]["name"].removeprefix(place.replace("/", "-") + "-")) for thing in things]
        came = [name for _, name in sorted(waves)]
        if came != [name for name in ORDER if name in came] or len({number for number, _ in waves}) != len(waves):
            found.append(f"{place}: {sorted(waves)}")
    return found


def test_waves_are_in_order(delivery, spoiled, trees, checked):
    assert wrong_order(delivery) == []
    checked("places whose waves are in order", PLACES)
    for old, new in (('sync-wave: "-1"', 'sync-wave: "-4"'), ('sync-wave: "-1"', 'sync-wave: "0"')):
        change(spoiled, "gitops/region/data/data.yaml", old, new)
        assert {line.split(":")[0] for line in wrong_order(spoiled)} == {place for place in PLACES if not place.startswith("production/")}
        change(spoiled, "gitops/region/data/data.yaml", new, old)
    orders = trees["production"].made["production-eu-west-1-order-service"]
    waves = {(thing["kind"], thing["metadata"]["name"]): wave(thing) for thing in orders}
    assert waves["ExternalSecret", "order-service-migrate"] < waves["Job", "order-service-migrate"] < waves["Deployment", "order-service"]


def test_the_waves_between_applications_wait_for_health():
    """Proved on a control plane by tests/cluster; here only that nobody removes it."""
    settings = {thing["metadata"]["name"]: thing["data"] for thing in objects(build(GITOPS / "argocd")) if thing["kind"] == "ConfigMap"}
    lua = settings["argocd-cm"]["resource.customizations.health.argoproj.io_Application"]
    for word in ('state.sync.status ~= "Synced"', 'state.operationState.phase ~= "Succeeded"', "hs.status = state.health.status"):
        assert word in lua


def test_projects_permit_what_the_tree_makes(trees, checked):
    for environment, tree in trees.items():
        assert gitops.refused(tree) == []
        checked("objects permitted by their projects", [f"{name} {thing['kind']}/{thing['metadata']['name']}" for name, made in tree.made.items() for thing in made])
    assert max(len(tree.made[name]) for tree in trees.values() for name in tree.made) > 20  # definitions


# Not made by the tree, but shown, with their images, only where they are permitted.
SEEN = {("", "Pod", True), ("apps", "ReplicaSet", True)}


def made_by_project(tree: Tree) -> dict[str, set]:
    return {name.split("-", 1)[1]: set().union(*(gitops.kinds_of(tree.made[one]) for one, application in tree.applications.items()
                                                 if application["spec"]["project"] == name)) for name in tree.projects}


def test_projects_permit_nothing_else(trees, checked):
    """An environment may also what production makes: it is made ready there."""
    production = made_by_project(trees["production"])
    for environment, tree in trees.items():
        made = made_by_project(tree)
        for name, project in tree.projects.items():
            role = name.split("-", 1)[1]
            assert role != "shop" or SEEN <= gitops.allowed(project), "Argo CD would not know what runs"
            extra = gitops.allowed(project) - SEEN - made[role] - (set() if environment == "production" else production[role])
            assert extra == set(), f"{name} permits what nothing makes: {extra}"
            checked("kinds on whitelists", [f"{name} {group}/{kind}" for group, kind, _ in gitops.allowed(project)])
    assert ("apps", "StatefulSet", True) not in gitops.allowed(trees["production"].projects["production-shop"])


PLANTED = {
    "a kind of the cluster": ("gitops/policies/closed.yaml", "# A pod", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: all}\nrules: []\n---\n# A pod",
                              "production-eu-west-1-policies: kind rbac.authorization.k8s.io/ClusterRole"),
    "a kind in a service": ("helm/service/templates/service.yaml", "apiVersion: v1\nkind: Service\n",
                            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n---\napiVersion: v1\nkind: Service\n",
                            "production-eu-west-1-order-service: kind /ConfigMap"),
    "another repository": ("gitops/region/definitions/definitions.yaml", "kubernetes-sigs/gateway-api.git", "somebody/gateway-api.git",
                           "production-eu-west-1-definitions: source https://github.com/somebody/gateway-api.git"),
    "another namespace": ("gitops/policies/closed.yaml", "namespace: stoa", "namespace: kube-system",
                          "production-eu-west-1-policies: destination production-eu-west-1/kube-system"),
    "another environment's cluster": ("gitops/region/policies.yaml", "destination: {name: ENVIRONMENT-REGION,", "destination: {name: staging-REGION-ENVIRONMENT,",
                                      "destination "),
    "a project that is not there": ("gitops/region/policies.yaml", "project: ENVIRONMENT-platform", "project: ENVIRONMENT-everything",
                                    "production-eu-west-1-policies: no project production-everything"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_what_a_project_does_not_name_is_refused(plant, spoiled, refused):
    file, old, new, said = PLANTED[plant]
    change(spoiled, file, old, new)
    if plant == "another environment's cluster":
        change(spoiled, "gitops/wiring/region/kustomization.yaml", "fieldPaths: [metadata.name, spec.project, spec.destination.name]", "fieldPaths: [metadata.name, spec.project]")
    refused("planted faults that the projects refused", plant, said, gitops.refused(Tree("production", spoiled)))


def images_of(tree: Tree) -> dict[str, str]:
    found = {}
    for name, made in tree.made.items():
        for thing in made:
            for number, image in enumerate(re.findall(r'"image": "([^"]+)"', json.dumps(thing))):
                if thing["kind"] != "CustomResourceDefinition":
                    found[f"{name} {thing['kind']}/{thing['metadata']['name']} {number}"] = image
    return found


def test_production_runs_by_digest_alone(trees, delivery, spoiled, checked):
    told = {entry["digest"] for entry in json.loads((delivery / "deploy/environments/production.json").read_text())["images"].values()}
    found = images_of(trees["production"])
    assert len(checked("images of production by digest", found)) == 2 * (len(SERVICES) + 5)
    assert {name: image for name, image in found.items() if not DIGEST.fullmatch(image) or image.split("@")[1] not in told} == {}
    file = spoiled / "deploy/environments/production.json"
    images = json.loads(file.read_text())
    del images["images"]["order-service"]
    file.write_text(json.dumps(images))
    with pytest.raises(AssertionError, match="the image of order-service has no digest, and this environment deploys by digest"):
        Tree("production", spoiled)
    change(spoiled, "helm/environments/production/all.yaml", "requireDigest: true", 'tag: "1.0.0"')
    assert [image for image in images_of(Tree("production", spoiled)).values() if not DIGEST.fullmatch(image)] == [
        "registry.example.com/stoa/order-service:1.0.0"] * 4


def without_denial(tree) -> list[str]:
    """Places whose namespace would take a tag."""
    policies = {place: objects(build(tree / f"deploy/gitops/environments/{place}/policies")) for place in PLACES}
    actions = {place: [thing["spec"]["validationActions"] for thing in things if thing["kind"] == "ValidatingAdmissionPolicyBinding"] for place, things in policies.items()}
    return [place for place, found in actions.items() if found != [["Deny"]]]


def test_every_namespace_refuses_tags_and_a_node_runs_digests_too(trees, spoiled, checked):
    assert without_denial(CHECKOUT) == []
    checked("places that refuse tags", PLACES)
    found = images_of(trees["local"])
    assert len(checked("images of a cluster without a cloud by digest", found)) == 2 * len(SERVICES) + 7
    assert [image for image in found.values() if not DIGEST.fullmatch(image)] == []
    change(spoiled, "gitops/policies/by-digest.yaml", "validationActions: [Deny]", "validationActions: [Warn]")
    assert without_denial(spoiled) == PLACES
    (spoiled / "deploy/environments/local.json").write_text('{"images": {}}')
    with pytest.raises(AssertionError, match="the image of mail-sink has neither digest nor tag"):
        Tree("local", spoiled)


def test_an_entry_of_an_environment_without_a_digest_is_refused(spoiled):
    for entry in ({"version": "1.0.0", "digest": "latest"}, {"version": "1.0.0"}, "sha256:" + "0" * 64):
        (spoiled / "deploy/environments/production.json").write_text(json.dumps({"images": {"order-service": entry}}))
        with pytest.raises(AssertionError, match="don't meet the specifications of the schema"):
            Tree("production", spoiled)


def test_values_are_those_that_render_takes(trees, delivery, checked):
    for environment, tree in trees.items():
        for name, application in tree.applications.items():
            source = application["spec"].get("source", {})
            if "helm" not in source:
                continue
            region = application["metadata"]["labels"]["region"]
            place = f"{environment}/{region}" if (delivery / f"deploy/helm/environments/{environment}/{region}").is_dir() else environment
            listed = subprocess.run([delivery / "deploy/helm/render", "values", source["helm"]["releaseName"], place], text=True, capture_output=True, check=True)
            mine = [str(file.relative_to(delivery.resolve())) for file in gitops.values_of(source, delivery)]
            assert mine == listed.stdout.split(), name
            checked("values of applications compared with deploy/helm/render", [name])


def unread(tree) -> list[str]:
    """Files of values that no application reads: most likely a misspelt name, since those that are missing are passed over."""
    read = set()
    for environment in ENVIRONMENTS:
        for application in Tree(environment, tree).applications.values():
            if "helm" in application["spec"].get("source", {}):
                read |= set(gitops.values_of(application["spec"]["source"], tree))
    helm = (tree / "deploy/helm").resolve()
    return sorted(str(file.relative_to(helm)) for file in [*helm.glob("environments/**/*.yaml"), *helm.glob("values/*.yaml")] if file not in read)


def test_every_file_of_values_is_read(delivery, spoiled):
    assert unread(delivery) == []
    folder = spoiled / "deploy/helm/environments/production"
    (folder / "api-gateway.yaml").rename(folder / "api-gatway.yaml")
    (folder / "us-east-1").rename(folder / "us-east-2")
    assert [name.removeprefix("environments/production/") for name in unread(spoiled)] == [
        "api-gatway.yaml", "us-east-2/all.yaml", "us-east-2/api-gateway.yaml", "us-east-2/notification-service.yaml", "us-east-2/payment-service.yaml"]


def other_versions(tree) -> list[str]:
    """Sources of definitions that are not what judges the charts."""
    lock = {}
    for line in (tree / "deploy/toolbox/kube-schemas/modules.lock").read_text().splitlines():
        if not line.startswith(("#", "k8s.io/kubernetes")):
            module, version, _, inside = line.split()
            lock[module.rsplit("/", 1)[1]] = (version, inside)
    sources = yaml.load((tree / "deploy/gitops/region/definitions/definitions.yaml").read_text(), LOADER)["spec"]["sources"]
    assert sources
    return [source["repoURL"] for source in sources
            if lock[source["repoURL"].removesuffix(".git").rsplit("/", 1)[1]] != (source["targetRevision"], source["path"])]


def test_definitions_are_those_that_judge_the_charts(delivery, spoiled):
    assert other_versions(delivery) == []
    change(spoiled, "gitops/region/definitions/definitions.yaml", "v1.4.1", "v1.4.2")
    assert other_versions(spoiled) == ["https://github.com/kubernetes-sigs/gateway-api.git"]


def test_the_manager_of_secrets_is_the_one_that_the_charts_ask(trees):
    for environment in ("dev", "staging", "production"):
        tree = trees[environment]
        for place in (place for place in PLACES if place.startswith(f"{environment}/")):
            stores = [thing for thing in tree.made[f"{place.replace('/', '-')}-policies"] if thing["kind"] == "ClusterSecretStore"]
            assert [(one["metadata"]["name"], one["spec"]["provider"]["aws"]["region"]) for one in stores] == [("aws-secrets-manager", place.split("/")[1])]
        asked = {thing["spec"]["secretStoreRef"]["name"] for made in tree.made.values() for thing in made if thing["kind"] == "ExternalSecret"}
        assert asked == {"aws-secrets-manager"}


def test_regions_and_their_networks_are_those_of_terraform(delivery, checked):
    for place in checked("regions compared with Terraform", [place for place in PLACES if not place.startswith("local/")]):
        environment, region = place.split("/")
        root = CHECKOUT / "deploy/terraform/environments" / (f"{environment}-{region}" if place == "production/us-east-1" else environment)
        text = (root / "main.tf").read_text()
        assert re.search(r'region\s+= "([\w-]+)"', text)[1] == region
        network = re.search(r'network = \{ cidr = "([\d./]+)"', text)[1]
        files = [delivery / f"deploy/helm/environments/{environment}/all.yaml", delivery / f"deploy/helm/environments/{place}/all.yaml"]
        assert yaml.load([file for file in files if file.is_file()][-1].read_text(), LOADER)["trustedProxies"] == [network]


def test_the_region_that_follows_has_all_but_the_services(delivery):
    """Its database refuses migrations, and an application that cannot become healthy would stop every promotion."""
    follows, sells = (objects(build(GITOPS / f"environments/production/{region}")) for region in ("us-east-1", "eu-west-1"))
    assert [thing["metadata"]["name"] for thing in follows] == ["production-us-east-1-definitions", "production-us-east-1-policies"]
    assert [thing["kind"] for thing in sells] == ["Application", "Application", "ApplicationSet"]


def test_production_keeps_what_it_runs(trees):
    assert [name for name, application in trees["production"].applications.items() if application["metadata"].get("finalizers")] == []
    for name, made in trees["production"].made.items():
        for thing in made:
            if thing["kind"] == "ApplicationSet":
                assert thing["spec"]["syncPolicy"] == {"preserveResourcesOnDeletion": True}, name
    kept = [name for name, application in trees["staging"].applications.items() if not application["metadata"].get("finalizers")]
    assert sorted(name.rsplit("-", 1)[1] for name in kept) == ["definitions", "policies"]


def test_the_image_updater_watches_every_service_and_writes_to_a_branch(trees, checked):
    updater = next(thing for thing in trees["dev"].made["dev"] if thing["kind"] == "ImageUpdater")
    running = {image.split("@")[0].rsplit("/", 1)[1]: image.split("@")[0] for image in images_of(trees["dev"]).values()}
    watched = {image["alias"]: image["imageName"] for one in updater["spec"]["applicationRefs"] for image in one["images"]}
    assert watched == {service: running[service] for service in SERVICES}
    for one in checked("images that the updater watches", updater["spec"]["applicationRefs"]):
        assert [name for name in trees["dev"].applications if gitops.fnmatch.fnmatchcase(name, one["namePattern"])] == [f"dev-eu-west-1-{one['images'][0]['alias']}"]
    base, branch = updater["spec"]["writeBackConfig"]["gitConfig"]["branch"].split(":")
    assert base == "main" and branch == "image-updater/dev"
    assert not (CHECKOUT / updater["spec"]["writeBackConfig"]["gitConfig"]["writeBackTarget"].split(":/")[1]).exists(), "a second home of what runs"
