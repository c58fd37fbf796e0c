"""No secret in the history, by gitleaks; a planted one is found, and told without itself."""

from __future__ import annotations

import hashlib

import pytest

from tests.deploy.conftest import CHECKOUT, must, run


def test_no_secret_in_any_commit(checked):
    told = must("deploy/ci/secret-scan")
    checked("commits without a secret", [f"{number}" for number in range(int(told.split("nothing in ")[1].split()[0]))])


def noise(alphabet: str, length: int) -> str:
    """Looks random and is the same in every run; no file has it, so none of these is a secret in the history."""
    digest = hashlib.sha512(alphabet.encode()).digest()
    return "".join(alphabet[byte % len(alphabet)] for byte in digest)[:length]


PLANTED = {
    "a key of AWS": "aws_access_key_id = AKIA" + noise("ABCDEFGHJKLMNPQRSTUVWXYZ234567", 16),
    "a token of GitHub": "token: ghp_" + noise("abcdefghkmnpqrstuvwxyzABCDEFGH23456789", 36),
    "a private key": "-----BEGIN PRIVATE " + "KEY-----\n" + noise("abcdefghkmnpqrstuvwxyzABCDEFGH2345", 64) * 3 + "\n-----END PRIVATE " + "KEY-----",
    "a password": f'api_key = "{noise("abcdefghkmnpqrstuvwxyz0123456789", 40)}"',
}


@pytest.mark.parametrize("plant", PLANTED)
def test_a_planted_secret_is_found_even_when_it_was_removed(small, plant, refused):
    text = PLANTED[plant]
    small.change("deploy/terraform/leak.txt", text + "\n")
    small.commit("feat: a leak")
    small.git("rm", "-q", "deploy/terraform/leak.txt")
    small.commit("fix: no leak")
    done = run(CHECKOUT / "deploy/ci/secret-scan", small.folder)
    assert done.returncode == 1, done.stdout
    secret = text.splitlines()[1] if "\n" in text else text.split()[-1].strip('"')
    assert secret not in done.stdout
    refused("planted secrets found", plant, "File:        deploy/terraform/leak.txt", done.stdout)


def test_a_shallow_clone_is_refused(small, tmp_path):
    small.commit("fix: more", "README.md")
    small.push()
    must("git", "clone", "-q", "--depth=1", f"file://{small.remote}", tmp_path / "shallow")
    done = run(CHECKOUT / "deploy/ci/secret-scan", tmp_path / "shallow")
    assert done.returncode == 1 and "shallow" in done.stdout
