"""What images say of themselves, and how a deployment names them. What the engine shows of them: tests/containers/run."""

from __future__ import annotations

import hashlib
import json
import pathlib

import pytest
import yaml

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import must, run

KEY = "org.opencontainers.image."
GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "owner/shop"}
DIGEST = "sha256:" + hashlib.sha256(b"an image").hexdigest()


def labels(folder: pathlib.Path, **environment) -> dict[str, str]:
    told = must(folder / "deploy/images/labels", "order-service", "1.5.0", cwd=folder, **environment)
    return {key.removeprefix(KEY): value for key, value in (line.split("=", 1) for line in told.splitlines())}


def test_the_labels_of_an_image(scratch, checked):
    commit, seconds = scratch.git("log", "-1", "--format=%H %ct").split()
    told = labels(scratch.folder, **GITHUB)
    assert told == {"title": "order-service", "version": "1.5.0", "revision": commit, "licenses": "Apache-2.0",
                    "created": must("date", "-u", "-d", f"@{seconds}", "+%FT%TZ").strip(), "source": "https://github.com/owner/shop"}
    assert labels(scratch.folder, SOURCE_DATE_EPOCH="86400", **GITHUB)["created"] == "1970-01-02T00:00:00Z"
    checked("labels of an image", told)


def test_a_changed_tree_is_no_commit_and_a_source_is_not_made_up(scratch):
    scratch.change("CMakeLists.txt", "# more\n")
    told = labels(scratch.folder, GITHUB_REPOSITORY="")
    assert told["revision"] == scratch.git("rev-parse", "HEAD").strip() + "-dirty"
    assert "source" not in told


def images_file(tmp_path, **digests: str) -> pathlib.Path:
    file = tmp_path / "images.json"
    file.write_text(json.dumps({"images": {name.replace("_", "-"): {"version": "1.5.0", "digest": digest} for name, digest in digests.items()}}))
    return file


def test_compose_by_digest(tmp_path, checked):
    file = images_file(tmp_path, order_service=DIGEST, tools=DIGEST)
    pinned = yaml.safe_load(must("deploy/compose/by-digest", file, "registry.example.com/shop"))["services"]
    compose = yaml.safe_load((CHECKOUT / "deploy/compose/compose.yaml").read_text())["services"]
    ours = {name for name, service in compose.items() if service["image"].split("/")[-1].split(":")[0] in ("order-service", "tools")}
    assert {"order-service", "order-service-migrate"} < ours
    assert pinned == {name: {"image": f"registry.example.com/shop/{image}@{DIGEST}"} for name in ours
                      for image in [compose[name]["image"].split("/")[-1].split(":")[0]]}
    checked("services pinned to a digest", pinned)


@pytest.mark.parametrize(("digests", "says"), [
    ({"order_service": "latest"}, "not named by a digest: latest"), ({"gift_service": DIGEST}, "names no image of compose.yaml"), ({}, "names no image"),
], ids=["a tag", "a stranger", "nothing"])
def test_what_is_no_image_by_digest_is_refused(tmp_path, digests, says, refused, request):
    done = run("deploy/compose/by-digest", images_file(tmp_path, **digests), "registry.example.com/shop")
    assert done.returncode == 1
    refused("planted digests", request.node.callspec.id, says, done.stdout)
