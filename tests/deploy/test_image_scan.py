"""The real syft and trivy look into images that this suite makes, with a vulnerability database of its own."""

from __future__ import annotations

import hashlib
import io
import json
import pathlib
import tarfile

import pytest

from tests.deploy.conftest import must, run
from tests.deploy.test_secrets import PLANTED

RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nNAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n'
PACKAGE = "Package: {name}\nStatus: install ok installed\nMaintainer: Nobody <nobody@example.com>\nArchitecture: amd64\nSource: {source}\nVersion: {version}\n"
COPYRIGHT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nCopyright: 2026 Nobody\nLicense: {licence}\n"
SSL = PACKAGE.format(name="libssl3t64", source="openssl", version="3.5.1-1")


def tar_of(files: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for folder in sorted({str(parent) for name in files for parent in pathlib.PurePath(name).parents} - {"."}):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            tar.addfile(entry, io.BytesIO(text.encode()))
    return packed.getvalue()


def archive(files: dict[str, str]) -> bytes:
    """What `docker save` writes, of one layer."""
    layer = tar_of(files)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "COPY"}],
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer).hexdigest()]}})
    name = hashlib.sha256(config.encode()).hexdigest()
    manifest = json.dumps([{"Config": f"{name}.json", "RepoTags": ["stoa/order-service:1.5.0"], "Layers": ["layer.tar"]}])
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for member, data in {f"{name}.json": config.encode(), "layer.tar": layer, "manifest.json": manifest.encode()}.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


@pytest.fixture
def image(tmp_path):
    """Makes the folder that deploy/ci/image leaves; `more` is laid over the files of the image, None takes one away."""
    def made(listed: dict[str, str] | None = None, **more: str | None) -> pathlib.Path:
        files = {"etc/os-release": RELEASE, "etc/debian_version": "13.1\n", "var/lib/dpkg/status.d/libssl3t64": SSL,
                 "usr/share/doc/libssl3t64/copyright": COPYRIGHT.format(licence="Apache-2.0")} | more
        folder = tmp_path / "order-service"
        (folder / "packages").mkdir(parents=True)
        for name, text in (listed or {"libssl3t64": SSL}).items():
            (folder / "packages" / name).write_text(text)
        (folder / "image.tar").write_bytes(archive({name: text for name, text in files.items() if text is not None}))
        (folder / "sbom.spdx.json").write_text(must("deploy/ci/sbom", "--name", "order-service", "--status", folder / "packages"))
        return folder
    return made


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """A cache of trivy with these advisories for Debian 13."""
    program = must("deploy/toolbox/build", "trivy-database").strip().splitlines()[-1]

    def made(**advisories: dict) -> pathlib.Path:
        cache = tmp_path_factory.mktemp("database")
        must(program, cache, stdin=json.dumps({"debian 13": {"openssl": advisories}}))
        return cache
    return made


def scan(*words):
    return run("deploy/ci/image-scan", *words)


HIGH = {"severity": "HIGH", "fixed": "3.5.1-1+deb13u1"}


@pytest.mark.parametrize(("advisories", "says"), [
    ({"FIXED_HERE": HIGH | {"fixed": "3.5.1-1"}, "FIXED_BEFORE": HIGH | {"fixed": "3.5.0-9"}, "NO_FIX_YET": HIGH | {"fixed": ""},
      "MEDIUM": HIGH | {"severity": "MEDIUM"}}, None),
    ({"OTHER": HIGH}, "OTHER HIGH: libssl3t64 3.5.1-1, fixed in 3.5.1-1+deb13u1"),
    ({"OTHER": HIGH | {"severity": "CRITICAL", "fixed": "3.5.10-1"}, "LOW": HIGH | {"severity": "LOW"}}, "OTHER CRITICAL: libssl3t64"),
], ids=["none that closes it", "high", "critical"])
def test_the_vulnerability_gate_by_a_database(image, database, advisories, says, checked):
    done = scan("--database", database(**advisories), image())
    assert done.returncode == (1 if says else 0), done.stdout
    assert "order-service, 1 packages, 1 licences, " in done.stdout and (says or "0 findings") in done.stdout
    checked("images scanned by trivy with a database", [json.dumps(advisories)])


UNKNOWN = PACKAGE.format(name="libnovel1", source="novel", version="1.0-1")


@pytest.mark.parametrize(("listed", "more", "says"), [
    ({"libssl3t64": SSL, "libnovel1": UNKNOWN}, {}, "libnovel1 1.0-1: syft does not have it"),
    (None, {"var/lib/dpkg/status.d/libnovel1": UNKNOWN}, "libnovel1 1.0-1: only syft has it"),
    (None, {"var/lib/dpkg/status.d/libssl3t64": SSL.replace("3.5.1", "3.5.2")}, "libssl3t64 3.5.2-1: only syft has it"),
    (None, {"etc/os-release": None, "etc/debian_version": None}, "trivy does not know whose packages these are"),
    (None, {"usr/share/doc/libssl3t64/copyright": COPYRIGHT.format(licence="AGPL-3.0")}, "licence AGPL-3.0"),
    (None, {"usr/share/doc/libssl3t64/copyright": None}, "trivy found no licence"),
    (None, {"app/settings": PLANTED["a password"], "app/key": PLANTED["a private key"]}, "secret private-key in"),
], ids=["listed alone", "not listed", "another version", "no distribution", "licence", "no licence", "a secret"])
def test_a_planted_fault_is_named(image, listed, more, says, refused, request):
    done = scan("--no-vulnerabilities", image(listed, **more))
    assert done.returncode == 1, done.stdout
    refused("planted faults of images", request.node.callspec.id, says, done.stdout)


def test_an_image_of_nothing_is_unknown(image):
    folder = image()
    (folder / "packages/libssl3t64").unlink()
    done = scan("--no-vulnerabilities", folder)
    assert done.returncode == 2 and "not clean but unknown" in done.stdout
    assert scan("--no-vulnerabilities", folder / "nothing").returncode == 2
