"""From versions to signed images and a pull request. The engine, cosign and gh are played, and write down what they are told."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib

import pytest
import yaml

from tests.deploy.checked import CHECKOUT
from tests.deploy.conftest import must, run

CI = CHECKOUT / "deploy/ci"
DIGEST = "sha256:" + hashlib.sha256(b"an image").hexdigest()
REGISTRY = "registry.example.com/shop"
TOLD = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "owner/shop", "GITHUB_REF": "refs/heads/main", "STOA_COMMIT": "a" * 40,
        "GITHUB_WORKFLOW_REF": "owner/shop/.github/workflows/release.yml@refs/heads/main", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "1"}
DOCKER = f"""
case "$1 $2" in
  "create "*) echo container ;;
  "cp "*) case $2 in
      *status.d) tar -c -C "$PLAYED" status.d ;;
    esac ;;
  "image inspect") printf 'other.example.com/a@sha256:00\\n%s@%s\\n' "${{@: -1}}" "$DIGEST" | sed 's/:[0-9.]*@/@/' ;;
esac
"""
GH = """
case "$1 $2" in "pr list") echo "${OPEN:-0}" ;; esac
"""


@pytest.fixture
def played(tmp_path) -> pathlib.Path:
    """A folder of programs that write their words to `said`."""
    folder = tmp_path / "played"
    (folder / "status.d").mkdir(parents=True)
    (folder / "status.d/libc6").write_text("Package: libc6\nArchitecture: amd64\nVersion: 2.41-12\n")
    for name, body in {"docker": DOCKER, "cosign": "[ -z \"${REFUSE:-}\" ] || ! [[ \"$*\" == *$REFUSE* ]]\n", "gh": GH}.items():
        program = folder / name
        program.write_text(f'#!/usr/bin/env bash\nprintf "%s\\n" "{name} $*" >> "$PLAYED/said"\n{body}')
        program.chmod(0o755)
    (folder / "said").write_text("")
    return folder


def play(played: pathlib.Path, program: str, *words, cwd: pathlib.Path = CHECKOUT, **options):
    path = f"{played}:{os.environ['PATH']}"
    return run(CI / program, *words, cwd=cwd, PATH=path, PLAYED=str(played), DIGEST=options.pop("DIGEST", DIGEST), **TOLD, **options)


def said(played: pathlib.Path) -> list[str]:
    return (played / "said").read_text().splitlines()


@pytest.fixture
def published(played, tmp_path) -> pathlib.Path:
    released = tmp_path / "released.json"
    released.write_text(json.dumps([{"unit": "order-service", "version": "1.5.0"}, {"unit": "platform", "version": "2.0.0"}]))
    done = play(played, "publish", released, REGISTRY, tmp_path / "out")
    assert done.returncode == 0, done.stdout
    return tmp_path / "out"


def test_what_was_released_is_pushed(published, played, checked):
    images = json.loads((published / "images.json").read_text())["images"]
    assert {name: image["version"] for name, image in images.items()} == {
        "order-service": "1.5.0", "mail-sink": "2.0.0", "payment-simulator": "2.0.0", "tools": "2.0.0"}
    for name, image in images.items():
        assert image["digest"] == DIGEST
        assert f"docker push --quiet {REGISTRY}/{name}:{image['version']}" in said(played)
        assert json.loads((published / name / "sbom.spdx.json").read_text())["packages"][1]["name"] == "libc6"
    # One build for all: none may be compiled alone, or the layer of libraries is not shared.
    assert not any("PROGRAMS=" in line for line in said(played))
    build = next(line for line in said(played) if "--target order-service" in line)
    assert "--label=org.opencontainers.image.version=1.5.0" in build and "--label=org.opencontainers.image.revision=" in build
    assert "--build-arg VERSION=1.5.0" in build
    checked("images published", images)


def test_no_digest_and_no_release_are_refused(played, tmp_path):
    released = tmp_path / "released.json"
    released.write_text(json.dumps([{"unit": "order-service", "version": "1.5.0"}]))
    done = play(played, "publish", released, REGISTRY, tmp_path / "out", DIGEST="sha256:none")
    assert done.returncode == 1 and "no digest of order-service" in done.stdout
    released.write_text("[]")
    assert "nothing was released" in play(played, "publish", released, REGISTRY, tmp_path / "out").stdout
    assert "no such image: gift-service" in play(played, "image", "gift-service", tmp_path / "out").stdout


def test_all_is_signed_by_digest(published, played, checked):
    (played / "said").write_text("")
    done = play(played, "sign", published, REGISTRY)
    assert done.returncode == 0, done.stdout
    lines = said(played)
    assert len(lines) == 3 * 4 and all(line.endswith(f"@{DIGEST}") for line in lines), lines
    provenance = json.loads((published / "order-service/provenance.json").read_text())
    assert provenance["buildDefinition"]["resolvedDependencies"] == [{"uri": "git+https://github.com/owner/shop", "digest": {"gitCommit": "a" * 40}}]
    assert provenance["buildDefinition"]["externalParameters"]["workflow"]["path"] == ".github/workflows/release.yml"
    checked("signatures and attestations", lines)


@pytest.mark.parametrize("refused", ["verify ", "spdxjson", "slsaprovenance1"])
def test_an_environment_is_verified(published, played, refused):
    words = ["--verify", published / "images.json", REGISTRY, "https://github.com/owner/shop/.github/workflows/release.yml@refs/heads/main"]
    assert play(played, "sign", *words).returncode == 0
    verified = [line for line in said(played) if " --certificate-identity https://github.com/owner/shop/" in line]
    assert len(verified) == 3 * 4 and all("--certificate-oidc-issuer https://token.actions" in line for line in verified)
    assert play(played, "sign", *words, REFUSE=refused).returncode != 0


def test_nothing_to_sign_and_a_tag_are_refused(played, tmp_path):
    (tmp_path / "images.json").write_text('{"images": {}}')
    assert "names no image" in play(played, "sign", tmp_path, REGISTRY).stdout
    (tmp_path / "images.json").write_text('{"images": {"tools": {"version": "1.0.0", "digest": "latest"}}}')
    done = play(played, "sign", tmp_path, REGISTRY)
    assert done.returncode != 0 and said(played) == []


def test_provenance_of_nothing_is_refused():
    done = run(CI / "provenance", **(TOLD | {"STOA_COMMIT": "main"}))
    assert done.returncode == 1 and "a whole commit" in done.stdout
    done = run(CI / "provenance", **(TOLD | {"GITHUB_RUN_ID": ""}))
    assert done.returncode == 1 and "GITHUB_RUN_ID" in done.stdout


def with_images(small, name: str, version: str) -> None:
    images = {"images": {"order-service": {"version": version, "digest": "sha256:" + hashlib.sha256(version.encode()).hexdigest()}}}
    (small.folder / f"deploy/environments/{name}.json").write_text(json.dumps(images))


def test_the_next_environment_is_asked_for(small, played):
    with_images(small, "dev", "1.5.0")
    small.git("commit", "-q", "-am", "chore(deploy): dev")
    done = play(played, "propose-next", "dev", cwd=small.folder, GH_TOKEN="x")
    assert done.returncode == 0, done.stdout
    on_remote = json.loads(must("git", "show", "promote/staging:deploy/environments/staging.json", cwd=small.remote))
    assert on_remote["images"]["order-service"]["version"] == "1.5.0"
    assert any(line.startswith("gh pr create --base main --head promote/staging --title chore(deploy): order-service 1.5.0 to staging") for line in said(played))
    done = play(played, "propose-next", "dev", cwd=small.folder, GH_TOKEN="x")
    assert done.returncode == 0 and "staging runs the same already" in done.stdout
    assert play(played, "propose-next", "production", cwd=small.folder, GH_TOKEN="x").returncode == 1


def test_an_open_request_is_brought_up_to_date_and_no_token_is_told(small, played):
    with_images(small, "dev", "1.5.0")
    small.git("commit", "-q", "-am", "chore(deploy): dev")
    assert "a token that may push" in play(played, "propose-next", "dev", cwd=small.folder).stdout
    small.git("checkout", "-q", "--", ".")
    assert play(played, "propose-next", "dev", cwd=small.folder, GH_TOKEN="x", OPEN="1").returncode == 0
    assert any(line.startswith("gh pr edit promote/staging") for line in said(played))


def moved(small, base: str):
    return run(CI / "changed-environments", base, "HEAD", cwd=small.folder)


def test_which_environments_a_push_moves(small):
    base = small.git("rev-parse", "HEAD").strip()
    small.commit("docs: of something else", "README.md")
    assert moved(small, base).stdout.strip() == "[]"
    for name in ("production", "dev"):
        with_images(small, name, "1.5.0")
    (small.folder / "deploy/environments/staging.json").write_text('{"images":  {}}\n')
    small.git("commit", "-q", "-am", "chore(deploy): two")
    assert moved(small, base).stdout.strip() == '["dev","production"]'
    done = moved(small, "f" * 40)
    assert done.returncode == 1 and "cannot compare" in done.stdout


def test_versions_are_made_on_the_side_and_pushed_as_one(scratch, tmp_path, checked):
    scratch.commit("fix(order-service): a total is rounded once", "services/order-service/domain/order.cpp")
    for unit in ("api-gateway", "notification-service", "order-service", "payment-service", "product-service", "user-service"):
        scratch.git("tag", f"{unit}-v1.0.0", "HEAD~1")
    scratch.git("tag", "v1.0.0", "HEAD~1")
    scratch.push()
    out = tmp_path / "out"
    done = run(CI / "versions", out, STOA_RELEASE_IN=str(scratch.folder))
    assert done.returncode == 0, done.stdout
    assert [unit["unit"] for unit in json.loads((out / "released.json").read_text())] == ["order-service", "platform"]
    before = must("git", "rev-parse", "main", cwd=scratch.remote)
    assert before == scratch.git("rev-parse", "HEAD"), "it pushed by itself"
    (tmp_path / "owner").mkdir()
    scratch.remote.rename(tmp_path / "owner/shop.git")
    push = [CI / "push-as-release", "owner/shop", out / "remote.git", "refs/heads/main:refs/heads/main", "refs/tags/*:refs/tags/*"]
    assert "no key" in run(*push, stdin="", STOA_GIT_SERVER=f"file://{tmp_path}").stdout
    done = run(*push, stdin="a key\n", STOA_GIT_SERVER=f"file://{tmp_path}")
    assert done.returncode == 0, done.stdout
    tags = must("git", "tag", cwd=tmp_path / "owner/shop.git").split()
    assert "order-service-v1.0.1" in checked("tags pushed with main", tags) and "v1.0.1" in tags
    assert must("git", "log", "-1", "--format=%s", "main", cwd=tmp_path / "owner/shop.git").startswith("chore(release): platform 1.0.1")


def test_a_deploy_rolls_back_before_it_proposes():
    """A failed proposal must roll nothing back, and nothing red may be proposed."""
    steps = yaml.safe_load((CHECKOUT / ".github/workflows/deploy.yml").read_text())["jobs"]["deploy"]["steps"]
    programs = [next((word for word in ("arrived", "smoke", "rollback", "propose-next") if f"deploy/ci/{word} " in step.get("run", "")), None) for step in steps]
    assert programs == [None, "arrived", "smoke", "rollback", "propose-next"]
    assert steps[3]["if"] == "failure()" and "failure" not in steps[4]["if"] and "always" not in steps[4]["if"]
