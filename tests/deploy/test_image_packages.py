"""What images are made of: their bill of materials, the security archive, the scanner's gate. All without a network."""

from __future__ import annotations

import json
import pathlib

import pytest

from tests.deploy.conftest import must, run

STATUS = {
    "libssl3t64": "Package: libssl3t64\nStatus: install ok installed\nArchitecture: amd64\nSource: openssl\n"
                  "Version: 3.5.1-1\nDescription: toolkit\n Version: 0 stands in a text that goes on\n",
    "libhiredis1.1.0": "Package: libhiredis1.1.0\nArchitecture: amd64\nSource: hiredis (1.2.0-6)\nVersion: 1.2.0-6+b3\n",
    "ca-certificates": "Package: ca-certificates\nArchitecture: all\nVersion: 20250419\n",
}
OTHERS = "Package: curl\nArchitecture: amd64\nVersion: 99.0-1\n\nPackage: libssl3t64\nArchitecture: arm64\nVersion: 99.0-1\n"


@pytest.fixture
def status(tmp_path) -> pathlib.Path:
    folder = tmp_path / "status.d"
    folder.mkdir()
    for name, text in STATUS.items():
        (folder / name).write_text(text)
    return folder


def archive(tmp_path, version: str, status: pathlib.Path):
    index = tmp_path / "Packages"
    index.write_text(OTHERS + f"\nPackage: libssl3t64\nArchitecture: amd64\nVersion: {version}\n")
    return run("deploy/ci/security-archive", "--status", status, "--index", index)


@pytest.mark.parametrize(("version", "code"), [
    ("3.5.1-1", 0), ("3.5.0-9", 0), ("3.5.1-1~deb13u1", 0),
    ("3.5.1-1+deb13u1", 1), ("3.5.10-1", 1), ("1:0.1-1", 1),
], ids=["the same", "older", "before it", "an update", "ten is more than one", "an epoch"])
def test_the_security_archive(tmp_path, status, version, code, checked):
    done = archive(tmp_path, version, status)
    assert done.returncode == code, done.stdout
    assert (f"libssl3t64 3.5.1-1: the security archive has {version}" in done.stdout) == (code == 1)
    assert f"3 packages, 1 of them in the archive's 3, {code} out of date" in done.stdout
    checked("versions compared with a security archive", [version])


def test_nothing_to_compare_is_no_success(tmp_path, status):
    empty = tmp_path / "empty"
    empty.mkdir()
    done = archive(tmp_path, "1-1", empty)
    assert done.returncode == 2 and "no package; an image that lists nothing" in done.stdout
    (tmp_path / "none").write_text("\n")
    done = run("deploy/ci/security-archive", "--status", status, "--index", tmp_path / "none")
    assert done.returncode == 2 and "an index without entries" in done.stdout
    (status / "broken").write_text("Package: broken\n")
    done = archive(tmp_path, "1-1", status)
    assert done.returncode == 2 and "an entry without Package and Version" in done.stdout


def test_apt_without_lists_is_told(status, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "apt.conf").write_text(f'Dir::State::lists "{tmp_path}/none";\n')
    done = run("deploy/ci/security-archive", "--status", status, APT_CONFIG=str(tmp_path / "apt.conf"))
    assert done.returncode == 2 and ("apt-get update first" in done.stdout or "knows no security archive" in done.stdout), done.stdout


def test_the_bill_of_materials(status, checked):
    first = must("deploy/ci/sbom", "--name", "order-service", "--status", status)
    assert must("deploy/ci/sbom", "--name", "order-service", "--status", status) == first
    told = json.loads(first)
    ids = [one["SPDXID"] for one in told["packages"]]
    assert len(ids) == len(set(ids)) == len(STATUS) + 1
    assert {one["relatedSpdxElement"] for one in told["relationships"]} == set(ids)
    purls = [ref["referenceLocator"] for one in told["packages"] for ref in one.get("externalRefs", [])]
    assert "pkg:deb/debian/libhiredis1.1.0@1.2.0-6%2Bb3?arch=amd64&distro=debian-13" in checked("packages of a bill", purls)
    assert next(one for one in told["packages"] if one["name"] == "libssl3t64")["sourceInfo"] == "built from openssl"
    (status / "libssl3t64").write_text(STATUS["libssl3t64"].replace("3.5.1", "3.5.2"))
    assert json.loads(must("deploy/ci/sbom", "--name", "order-service", "--status", status))["documentNamespace"] != told["documentNamespace"]


def test_a_bill_of_nothing_is_refused(tmp_path):
    done = run("deploy/ci/sbom", "--name", "order-service", "--status", tmp_path)
    assert done.returncode == 1 and "not clean but unknown" in done.stdout


FOUND = {"VulnerabilityID": "CVE-2026-0001", "PkgName": "libssl3t64", "InstalledVersion": "3.5.1-1", "FixedVersion": "3.5.1-1+deb13u1",
         "Severity": "HIGH"}
SEEN = [{"Name": "libssl3t64", "Version": "3.5.1-1"}]
ACCEPTED = "accepted:\n- {id: CVE-2026-0001, until: 2026-03-01, why: no path leads there}\n"


def gate(tmp_path, results, accepted: str = "accepted: []\n", today: str = "2026-02-01", schema: int = 2):
    report, file = tmp_path / "report.json", tmp_path / "accepted.yaml"
    report.write_text(json.dumps({"SchemaVersion": schema, "ArtifactName": "order-service", "Results": results}))
    file.write_text(accepted)
    return run("deploy/ci/vulnerability-gate", report, "--accepted", file, "--today", today)


def result(**parts) -> list[dict]:
    return [{"Target": "debian 13", "Class": "os-pkgs", "Type": "debian", "Packages": SEEN} | parts]


@pytest.mark.parametrize(("results", "accepted", "says"), [
    (result(), "", None),
    (result(Vulnerabilities=[FOUND | {"Severity": "MEDIUM"}]), "", None),
    (result(Vulnerabilities=[FOUND | {"FixedVersion": ""}]), "", None),
    (result(Vulnerabilities=[FOUND]), ACCEPTED, None),
    (result(Vulnerabilities=[FOUND]), "", "CVE-2026-0001 HIGH: libssl3t64 3.5.1-1, fixed in 3.5.1-1+deb13u1"),
    (result(Vulnerabilities=[FOUND | {"Severity": "CRITICAL"}]), "", "CVE-2026-0001 CRITICAL"),
    (result(Vulnerabilities=[FOUND | {"VulnerabilityID": "CVE-2026-0002"}, FOUND]), ACCEPTED, "CVE-2026-0002 HIGH"),
    (result(Vulnerabilities=[FOUND]), ACCEPTED.replace("2026-03-01", "2026-01-31"), "accepted until 2026-01-31"),
    (result(), ACCEPTED, "CVE-2026-0001 is accepted but not in the report"),
    (result(Secrets=[{"RuleID": "private-key", "StartLine": 3}]), "", "secret private-key in debian 13:3"),
    (result(Packages=[]), "", "lists no package"),
    ([], "", "lists no package"),
    (None, "", "lists no package"),
], ids=["clean", "medium", "no fix yet", "accepted", "high", "critical", "another", "ran out", "superfluous", "secret", "no packages",
        "no results", "null"])
def test_the_gate_of_vulnerabilities(tmp_path, results, accepted, says, checked):
    done = gate(tmp_path, results, accepted or "accepted: []\n")
    assert done.returncode == (1 if says else 0) and (says or "open") in done.stdout, done.stdout
    checked("reports of a scanner", [json.dumps([results, accepted])])


@pytest.mark.parametrize(("accepted", "schema"), [
    ("accepted:\n- {id: CVE-1, until: soon, why: x}\n", 2), ("accepted:\n- {id: CVE-1, until: 2026-03-01}\n", 2),
    ("accepted:\n- {id: CVE-1, until: 2027-03-01, why: for ever}\n", 2), ("", 2), ("accepted: []\n", 1),
], ids=["no date", "no reason", "for ever", "no list", "another report"])
def test_what_the_gate_cannot_read_closes_it(tmp_path, accepted, schema):
    assert gate(tmp_path, result(), accepted, schema=schema).returncode == 2
