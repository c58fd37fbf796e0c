"""What of the cluster can be judged without one: its files agree, its keys are private, its images are the same twice."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile

import pytest
import yaml

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import must, run

HERE = CHECKOUT / "deploy/cluster"
TOOLBOX = CHECKOUT / "deploy/toolbox"
# The machine's root is not needed to read addresses.
WITHOUT_ROOT = {"STOA_CLUSTER_ROOT": "/"}
KUBERNETES = "v0.35.4"


def settings() -> dict[str, str]:
    printed = must("bash", "-c", f'here={HERE}; . $here/settings; for name in node_name host_address node_address pod_network service_network dns_address '
                   'cgroup; do echo "$name=${!name}"; done', **WITHOUT_ROOT)
    return dict(line.split("=", 1) for line in printed.splitlines())


def documents(*files: pathlib.Path) -> list[dict]:
    return [thing for file in files for thing in yaml.safe_load_all(file.read_text()) if thing]


def disagreements(folder: pathlib.Path) -> list[str]:
    """Where the files that are read as they stand say another address or name than `settings`."""
    said, wrong = settings(), []
    kubelet, = documents(folder / "etc/kubelet.yaml")
    proxy, = documents(folder / "etc/kube-proxy.yaml")
    network = json.loads((folder / "etc/cni/10-stoa.conflist").read_text())
    dns = [thing for thing in documents(folder / "manifests/coredns.yaml") if thing["kind"] == "Service"]
    volume, = documents(folder / "manifests/volume.yaml")
    for what, is_said, must_be in [
        ("the kubelet's address", kubelet["address"], said["node_address"]),
        ("the kubelet's DNS", kubelet["clusterDNS"], [said["dns_address"]]),
        ("the proxy's address", proxy["bindAddress"], said["node_address"]),
        ("the proxy's pods", proxy["clusterCIDR"], said["pod_network"]),
        ("the proxy's node", proxy["hostnameOverride"], said["node_name"]),
        ("the addresses of pods", network["plugins"][0]["ipam"]["ranges"], [[{"subnet": said["pod_network"]}]]),
        ("the Service of DNS", [thing["spec"]["clusterIP"] for thing in dns], [said["dns_address"]]),
        ("the volumes' node", volume["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0]["matchExpressions"][0]["values"], [said["node_name"]]),
        ("the machine's cgroup", f"/{said['cgroup']}/" in (folder / "first-process").read_text(), True),
        ("the machine's name", f"hostname {said['node_name']}\n" in (folder / "first-process").read_text(), True),
    ]:
        if is_said != must_be:
            wrong.append(f"{what}: {is_said}, and settings say {must_be}")
    return wrong


def test_files_say_the_addresses_of_the_settings(checked):
    checked("files of the cluster", [file for file in sorted(HERE.rglob("*")) if file.is_file()])
    assert disagreements(HERE) == []


@pytest.mark.parametrize(("file", "old", "new", "named"), [
    ("etc/kubelet.yaml", "10.99.0.1", "10.99.0.7", "the kubelet's address"),
    ("etc/kubelet.yaml", "10.96.0.10", "10.96.0.11", "the kubelet's DNS"),
    ("etc/kube-proxy.yaml", "10.200.0.0/24", "10.201.0.0/24", "the proxy's pods"),
    ("etc/cni/10-stoa.conflist", "10.200.0.0/24", "10.200.0.0/16", "the addresses of pods"),
    ("manifests/coredns.yaml", "10.96.0.10", "10.96.0.53", "the Service of DNS"),
    ("manifests/volume.yaml", "values: [stoa]", "values: [other]", "the volumes' node"),
    ("first-process", "hostname stoa", "hostname other", "the machine's name"),
])
def test_another_address_is_found(tmp_path, file, old, new, named):
    must("cp", "-r", HERE, tmp_path / "cluster")
    planted = tmp_path / "cluster" / file
    assert old in planted.read_text()
    planted.write_text(planted.read_text().replace(old, new))
    assert [line.split(":")[0] for line in disagreements(tmp_path / "cluster")] == [named]


def rendered(folder: pathlib.Path) -> pathlib.Path:
    """The manifests as `addons` applies them, in one file."""
    text = "---\n".join(file.read_text() for file in sorted((HERE / "manifests").glob("*.yaml")))
    for word, value in [("NUMBER", "01"), ("CA_BUNDLE", "Y2E="), ("CERTIFICATE", "Y2E="), ("PRIVATE_KEY", "a2V5")]:
        text = text.replace(word, value)
    file = folder / "manifests.yaml"
    file.write_text(text)
    return file


def test_manifests_are_what_kubernetes_takes_and_restricted_allows(tmp_path, checked):
    file = rendered(tmp_path)
    checked("objects of the cluster's own", [f"{thing['kind']} {thing['metadata']['name']}" for thing in documents(file)])
    must(CHECKOUT / "deploy/helm/validate", file)
    file.write_text(file.read_text().replace("readinessProbe:", "readynessProbe:"))
    refused = run(CHECKOUT / "deploy/helm/validate", file)
    assert refused.returncode != 0 and "readynessProbe" in refused.stdout


def test_toolbox_links_one_kubernetes(checked):
    """The versions agree, so that what the compiler cached for one program serves the next."""
    versions = {}
    for name in checked("programs of the cluster", ["kubernetes", "coredns", "kube-router"]):
        text = (TOOLBOX / name / "go.mod").read_text()
        versions[name] = set(re.findall(r"k8s\.io/(?:api|apimachinery|client-go) => k8s\.io/\S+ (\S+)", text))
    assert versions == {name: {KUBERNETES} for name in versions}
    assert f"gitVersion=v1.{KUBERNETES.removeprefix('v0.')}" in (TOOLBOX / "kubernetes/ldflags").read_text()


def sources(toolbox: pathlib.Path) -> dict[str, str]:
    """Module, version and checksum that a tool's own sources are, and that its definitions are."""
    module = (toolbox / "external-secrets/source").read_text().split()
    [definitions] = [line.split()[:3] for line in (toolbox / "kube-schemas/modules.lock").read_text().splitlines() if line.startswith(f"{module[0]} ")]
    return {"controllers": " ".join(module), "definitions": " ".join(definitions)}


def test_external_secrets_is_the_one_whose_definitions_judge_the_charts(tmp_path):
    found = sources(TOOLBOX)
    assert found["controllers"] == found["definitions"]
    must("cp", "-r", TOOLBOX, tmp_path / "toolbox")
    planted = tmp_path / "toolbox/external-secrets/source"
    planted.write_text(planted.read_text().replace("v0.20.4", "v0.20.3"))
    found = sources(tmp_path / "toolbox")
    assert found["controllers"] != found["definitions"]


def test_a_source_that_is_not_the_locks_is_not_compiled(tmp_path):
    must("cp", "-r", TOOLBOX, tmp_path / "toolbox")
    planted = tmp_path / "toolbox/external-secrets/source"
    module, version, checksum = planted.read_text().split()
    planted.write_text(f"{module} {version} h1:{'A' * 43}=\n")
    refused = run(tmp_path / "toolbox/build", "external-secrets")
    assert refused.returncode == 1 and f"{module} {version} is not what the lock names: {checksum}" in refused.stdout, refused.stdout


def versions_of_monitoring(tree: pathlib.Path) -> dict[str, set[str]]:
    """Where versions of what measures are said: programs and definitions of the operator are one release."""
    toolbox, prometheus = tree / "toolbox", documents(tree / "cluster/manifests/prometheus.yaml")
    locks = {name: re.search(rf"{module} v(\S+)", (toolbox / name / "go.mod").read_text())[1] for name, module in [
        ("prometheus", "github.com/prometheus/prometheus"), ("prometheus-adapter", "sigs.k8s.io/prometheus-adapter"),
        ("prometheus-operator", "prometheus-operator/prometheus-operator"), ("prometheus-config-reloader", "prometheus-operator/prometheus-operator")]}
    linked = {name: (toolbox / name / "ldflags").read_text().strip().rsplit("=", 1)[1] for name in locks if name != "prometheus-adapter"}
    operator = {locks["prometheus-operator"], locks["prometheus-config-reloader"], linked["prometheus-operator"], linked["prometheus-config-reloader"],
                re.search(r"prometheus-operator/prometheus-operator v(\S+)", (toolbox / "kube-schemas/modules.lock").read_text())[1],
                re.search(r'prometheus-operator.git", targetRevision: v([\d.]+)', (tree / "gitops/region/definitions/definitions.yaml").read_text())[1]}
    # Its module counts 3.11.0 as 0.311.0.
    major, rest = linked["prometheus"].split(".", 1)
    server = {f"{linked['prometheus']}", *(thing["spec"]["version"].removeprefix("v") for thing in prometheus if thing["kind"] == "Prometheus")}
    said = set(re.findall(r"Operator ([\d.]+[\d])|Prometheus ([\d.]+[\d])|adapter ([\d.]+[\d])", (tree / "cluster/monitoring").read_text()))
    return {"operator": operator | {one for one, _, _ in said if one}, "prometheus": server | {one for _, one, _ in said if one},
            "module of prometheus": {locks["prometheus"], f"0.{major}{rest.split('.')[0]:0>2}.{rest.split('.')[1]}"},
            "adapter": {locks["prometheus-adapter"]} | {one for _, _, one in said if one}}


def test_what_measures_is_of_the_versions_that_are_said(tmp_path, checked):
    found = versions_of_monitoring(CHECKOUT / "deploy")
    assert {what: len(versions) for what, versions in found.items()} == dict.fromkeys(found, 1), found
    checked("versions of what measures", [f"{what} {version}" for what, [version] in found.items()])
    for name in ("cluster", "toolbox", "gitops"):
        must("cp", "-r", CHECKOUT / "deploy" / name, tmp_path / name)
    lock = tmp_path / "toolbox/kube-schemas/modules.lock"
    lock.write_text(lock.read_text().replace("v0.82.0", "v0.83.0"))
    assert versions_of_monitoring(tmp_path)["operator"] == {"0.82.0", "0.83.0"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("pki") / "kubernetes"
    must(HERE / "pki", "10.99.0.1", folder, **WITHOUT_ROOT)
    return folder


def test_keys_are_readable_by_their_owner_alone(certificates, checked):
    files = [file for file in certificates.rglob("*") if file.is_file()]
    assert {oct(file.stat().st_mode & 0o777) for file in checked("keys and certificates", files)} == {"0o600"}
    assert {oct(folder.stat().st_mode & 0o777) for folder in [certificates, certificates / "pki"]} == {"0o700"}


def test_certificates_are_of_their_authority_and_name_whom_they_must(certificates):
    pki = certificates / "pki"
    for name, expected in {"apiserver": ["10.99.0.1", "10.96.0.1", "kubernetes.default.svc"], "kubelet": ["10.99.0.1", "system:node:stoa", "system:nodes"],
                           "metrics-server": ["metrics-server.kube-system.svc"], "admin": ["system:masters"]}.items():
        must("openssl", "verify", "-CAfile", pki / "ca.crt", pki / f"{name}.crt")
        shown = must("openssl", "x509", "-in", pki / f"{name}.crt", "-noout", "-text")
        assert [word for word in expected if word not in shown] == []
    # What speaks for others to aggregated servers is no user of the API server.
    assert run("openssl", "verify", "-CAfile", pki / "ca.crt", pki / "front-proxy.crt").returncode != 0


def test_a_kubeconfig_holds_all_it_needs(certificates):
    admin = yaml.safe_load((certificates / "admin.conf").read_text())
    assert admin["clusters"][0]["cluster"]["server"] == "https://10.99.0.1:6443"
    user = admin["users"][0]["user"]
    assert base64.b64decode(user["client-key-data"]).startswith(b"-----BEGIN PRIVATE KEY-----")
    assert base64.b64decode(user["client-certificate-data"]) == (certificates / "pki/admin.crt").read_bytes()


def test_certificates_are_made_once(certificates):
    before = (certificates / "admin.conf").read_text()
    must(HERE / "pki", "10.99.0.1", certificates, **WITHOUT_ROOT)
    assert (certificates / "admin.conf").read_text() == before


def image(program: pathlib.Path, umask: int = 0o022) -> bytes:
    return subprocess.run([HERE / "image", "stoa.local/some:1", program, "65532", "/bin/some", "serve"],
                          check=True, capture_output=True, umask=umask).stdout


def test_an_image_of_one_program_is_the_same_twice(tmp_path):
    program = tmp_path / "built-as-something"
    program.write_bytes(b"\x7fELF and more")
    first = image(program)
    program.touch()
    assert image(program, umask=0o077) == first
    program.write_bytes(b"\x7fELF and other")
    assert image(program) != first


def test_an_image_is_what_a_container_engine_reads(tmp_path):
    program = tmp_path / "built-as-something"
    program.write_bytes(b"\x7fELF and more")
    with tarfile.open(fileobj=io.BytesIO(image(program))) as archive:
        [manifest] = json.load(archive.extractfile("manifest.json"))
        config = json.load(archive.extractfile(manifest["Config"]))
        layer = archive.extractfile(manifest["Layers"][0]).read()
    assert manifest["RepoTags"] == ["stoa.local/some:1"]
    assert config["config"] == {"User": "65532:65532", "Entrypoint": ["/bin/some", "serve"]}
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]
    with tarfile.open(fileobj=io.BytesIO(layer)) as files:
        some = files.getmember("./bin/some")
        assert (some.mode, some.uid, some.mtime) == (0o755, 0, 0)
        assert {files.getmember(folder).mode for folder in (".", "./bin")} == {0o755}


MOUNTS = {
    "first": ("40 30 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct\n"
              "41 30 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset,clone_children\n"
              "42 30 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
              "43 30 0:33 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"
              "44 30 0:34 / /proc rw - proc proc rw\n",
              "/sys/fs/cgroup/cpu,cpuacct cpu,cpuacct\n/sys/fs/cgroup/cpuset cpuset\n/sys/fs/cgroup/systemd name=systemd\n/sys/fs/cgroup/unified cgroup2\n"),
    "second": ("30 20 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", "/sys/fs/cgroup cgroup2\n"),
    "mounted twice": ("30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n31 20 0:26 / /mnt/again rw - cgroup2 cgroup2 rw\n", "/sys/fs/cgroup cgroup2\n"),
    "none": ("44 30 0:34 / /proc rw - proc proc rw\n", ""),
}


@pytest.mark.parametrize("version", MOUNTS)
def test_hierarchies_of_cgroups_are_read_from_the_mounts(tmp_path, version):
    mounts, expected = MOUNTS[version]
    file = tmp_path / "mountinfo"
    file.write_text(mounts)
    assert must(HERE / "machine", "cgroups", file, **WITHOUT_ROOT) == expected


def test_without_a_cluster_its_commands_say_so(tmp_path):
    nowhere = {"STOA_IN_ROOT": "", "STOA_CACHE": str(tmp_path)} | WITHOUT_ROOT
    for command in (["env"], ["exec", "true"]):
        refused = run(HERE / "cluster", *command, **nowhere)
        assert refused.returncode == 1 and "no cluster runs: make cluster" in refused.stdout
    assert run(HERE / "cluster", "status", **nowhere).returncode == 3
