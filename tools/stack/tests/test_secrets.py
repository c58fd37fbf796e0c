"""tools/secrets: once, whole, private, and its public keys are those of its private ones."""
import base64
import hashlib
import json
import os
import pathlib
import stat
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
SERVICES = {"api-gateway", "user-service", "product-service", "order-service", "payment-service", "notification-service"}


def secrets(folder: pathlib.Path, *options: str) -> dict[str, bytes]:
    subprocess.run([CHECKOUT / "tools/secrets", *options, folder], check=True)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and path.name != ".lock"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("secrets") / "new"
    return folder, secrets(folder)


def test_every_service_with_a_database_has_its_four(made):
    _, files = made
    for service in SERVICES - {"api-gateway"}:
        for name in ("database-password", "migrate-password", "broker-password", "service-key.pem"):
            assert f"{service}/{name}" in files
    assert "api-gateway/service-key.pem" in files


def test_no_two_are_alike_and_all_have_256_bits(made):
    _, files = made
    values = [value.strip() for name, value in files.items() if not name.endswith((".pem", ".json"))]
    assert len(values) == 24 and len(set(values)) == len(values)
    assert all(len(value) in (43, 64) for value in values)


def test_only_the_owner_reads_them(made):
    folder, _ = made
    for path in [folder, *folder.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_files_for_containers_are_readable_inside_folders_that_are_not(tmp_path):
    folder = tmp_path / "mounted"
    secrets(folder, "--mounted")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "redis-password").stat().st_mode) == 0o644


def test_a_second_run_changes_nothing_and_a_missing_one_is_made_again(made):
    folder, before = made
    assert secrets(folder) == before
    os.unlink(folder / "redis-password")
    after = secrets(folder)
    assert after.pop("redis-password") != before["redis-password"]
    assert after == {name: value for name, value in before.items() if name != "redis-password"}


def test_parallel_runs_agree(tmp_path):
    folder = tmp_path / "raced"
    runs = [subprocess.Popen([CHECKOUT / "tools/secrets", folder]) for _ in range(4)]
    assert [run.wait() for run in runs] == [0] * 4
    assert not list(folder.rglob("*.partial"))
    keys = json.loads((folder / "service-jwks.json").read_text())["keys"]
    for key in keys:
        assert public_numbers(folder / key["service"] / "service-key.pem").n == number(key["n"])


def number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def public_numbers(path: pathlib.Path):
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    assert key.key_size == 2048
    return key.public_key().public_numbers()


def test_the_published_keys_are_the_public_halves_under_their_thumbprints(made):
    folder, files = made
    keys = json.loads(files["service-jwks.json"])["keys"]
    assert {key["service"] for key in keys} == SERVICES
    for key in keys:
        assert set(key) == {"kty", "n", "e", "kid", "alg", "use", "service"} and key["alg"] == "RS256"
        numbers = public_numbers(folder / key["service"] / "service-key.pem")
        assert (number(key["n"]), number(key["e"])) == (numbers.n, numbers.e)
        canonical = f'{{"e":"{key["e"]}","kty":"RSA","n":"{key["n"]}"}}'
        digest = hashlib.sha256(canonical.encode()).digest()
        assert key["kid"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_a_key_replaced_by_hand_is_published_under_its_new_thumbprint(made):
    folder, before = made
    os.unlink(folder / "order-service/service-key.pem")
    after = secrets(folder)
    old = {key["service"]: key["kid"] for key in json.loads(before["service-jwks.json"])["keys"]}
    new = {key["service"]: key["kid"] for key in json.loads(after["service-jwks.json"])["keys"]}
    assert {service for service in old if old[service] != new[service]} == {"order-service"}
