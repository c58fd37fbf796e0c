"""The states: kept, versioned and locked. S3 and DynamoDB are moto's, on this machine; everything else is real."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import boto3
import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.terraform import Tree, settings

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "eu-west-1",
               "AWS_EC2_METADATA_DISABLED": "true"}
WAIT_MAX_S = 60
# Each apply makes a resource whose provisioner waits for a file: so long the lock is held.
ROOT = """
variable "wait_for" {
  type    = string
  default = ""
}

variable "generation" {
  type    = number
  default = 1
}

resource "terraform_data" "it" {
  input            = var.generation
  triggers_replace = [var.generation]

  provisioner "local-exec" {
    command = "touch '${path.module}/applying'; n=0; while [ -n '${var.wait_for}' ] && [ ! -e '${var.wait_for}' ] && [ $n -lt 600 ]; do sleep 0.1; n=$((n + 1)); done"
  }
}

output "generation" {
  value = terraform_data.it.output
}
"""


def wait_until(condition, what: str) -> None:
    end = time.monotonic() + WAIT_MAX_S
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen in {WAIT_MAX_S} s"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def told():
    return settings()


@pytest.fixture(scope="module")
def planned(told, tmp_path_factory):
    """Bucket and table as bootstrap plans them."""
    tree = Tree(tmp_path_factory.mktemp("bootstrap") / "terraform", told)
    tree.init("bootstrap")
    plan = tree.plan("bootstrap", "-var=name=stoa", "-var=region=eu-west-1", "-var=account_id=000000000000",
                     '-var=tags={project="stoa",environment="all",owner="platform"}')
    return {change["type"]: change["change"]["after"] for change in plan["resource_changes"]}


@pytest.fixture(scope="module")
def cloud(planned):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen([pathlib.Path(sys.executable).parent / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"

    def client(service):
        return boto3.client(service, endpoint_url=url, region_name="eu-west-1", aws_access_key_id="nobody",
                            aws_secret_access_key="nothing")

    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, "the start of moto")
        bucket, table = planned["aws_s3_bucket"]["bucket"], planned["aws_dynamodb_table"]
        client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        client("s3").put_bucket_versioning(Bucket=bucket, VersioningConfiguration={
            "Status": planned["aws_s3_bucket_versioning"]["versioning_configuration"][0]["status"]})
        client("dynamodb").create_table(
            TableName=table["name"], BillingMode=table["billing_mode"],
            KeySchema=[{"AttributeName": table["hash_key"], "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": one["name"], "AttributeType": one["type"]} for one in table["attribute"]])
        yield {"url": url, "client": client, "bucket": bucket, "table": table["name"]}
    finally:
        server.terminate()
        server.wait(timeout=10)


class Root:
    """A root whose backend is that of environments/dev, pointed at moto."""

    def __init__(self, folder: pathlib.Path, told: dict[str, str], cloud: dict, locks: str, key: str):
        self.folder, self.told = folder, told
        folder.mkdir(parents=True)
        text = (CHECKOUT / "deploy/terraform/environments/dev/versions.tf").read_text()
        backend = re.search(r'^  backend "s3" \{\n.*?^  \}\n', text, re.MULTILINE | re.DOTALL)[0]
        if locks == "file":
            backend = re.sub(r".*dynamodb_table.*\n", "", backend)
        elif locks == "table":
            backend = re.sub(r".*use_lockfile.*\n", "", backend)
        elif locks == "none":
            backend = re.sub(r".*(dynamodb_table|use_lockfile).*\n", "", backend)
        assert "bucket" not in backend
        backend = backend.replace("dev/terraform.tfstate", key)
        self.key = key
        (folder / "main.tf").write_text("terraform {\n" + backend + "}\n" + ROOT)
        (folder / "moto.tfbackend").write_text(
            f'bucket = "{cloud["bucket"]}"\nendpoints = {{ s3 = "{cloud["url"]}", dynamodb = "{cloud["url"]}" }}\nuse_path_style = true\n'
            "skip_credentials_validation = true\nskip_metadata_api_check = true\nskip_region_validation = true\n"
            "skip_requesting_account_id = true\nskip_s3_checksum = true\n")
        done = self.run("init", "-input=false", "-backend-config=moto.tfbackend")
        assert done.returncode == 0, done.stdout

    def command(self, *words: str) -> list[str]:
        return [self.told["TERRAFORM"], f"-chdir={self.folder}", *words]

    def run(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*words), text=True, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=120, env=os.environ | self.told | CREDENTIALS)

    def apply(self, *words: str) -> subprocess.CompletedProcess:
        return self.run("apply", "-auto-approve", "-input=false", "-no-color", *words)

    def start(self, *words: str) -> subprocess.Popen:
        return subprocess.Popen(self.command("apply", "-auto-approve", "-input=false", "-no-color", *words), text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | self.told | CREDENTIALS)

    def twin(self) -> Root:
        """The same state from another folder, as a colleague has it."""
        other = Root.__new__(Root)
        other.folder, other.told, other.key = self.folder.parent / (self.folder.name + "-twin"), self.told, self.key
        shutil.copytree(self.folder, other.folder, symlinks=True, ignore=shutil.ignore_patterns("applying"))
        return other


def test_every_write_of_a_state_is_a_version(told, cloud, tmp_path):
    root = Root(tmp_path / "root", told, cloud, "both", "versions.tfstate")
    for generation in (1, 2, 3):
        done = root.apply(f"-var=generation={generation}")
        assert done.returncode == 0, done.stdout
    versions = cloud["client"]("s3").list_object_versions(Bucket=cloud["bucket"], Prefix="versions.tfstate")["Versions"]
    states = [one for one in versions if one["Key"] == "versions.tfstate"]
    assert len(states) >= 3
    oldest = min(states, key=lambda one: one["LastModified"])
    body = cloud["client"]("s3").get_object(Bucket=cloud["bucket"], Key="versions.tfstate", VersionId=oldest["VersionId"])
    assert b'"generation"' in body["Body"].read()


@pytest.mark.parametrize("locks", ["file", "table", "both"])
def test_a_second_apply_is_refused_while_one_runs(locks, told, cloud, tmp_path, checked):
    root = Root(tmp_path / "root", told, cloud, locks, f"{locks}.tfstate")
    colleague = root.twin()
    released = tmp_path / "go"
    first = root.start(f"-var=wait_for={released}")
    try:
        wait_until(lambda: (root.folder / "applying").exists(), "the first apply")
        objects = cloud["client"]("s3").list_objects_v2(Bucket=cloud["bucket"]).get("Contents", [])
        assert (f"{locks}.tfstate.tflock" in [one["Key"] for one in objects]) == (locks != "table")
        rows = cloud["client"]("dynamodb").scan(TableName=cloud["table"])["Items"]
        held = [row for row in rows if row["LockID"]["S"] == f"{cloud['bucket']}/{locks}.tfstate"]
        assert bool(held) == (locks != "file")
        second = colleague.apply("-var=generation=2")
        assert second.returncode != 0 and "Error acquiring the state lock" in second.stdout, second.stdout
        assert not (colleague.folder / "applying").exists(), "it did its work without the lock"
    finally:
        released.touch()
        output, _ = first.communicate(timeout=WAIT_MAX_S)
    assert first.returncode == 0, output
    after = colleague.apply("-var=generation=2")
    assert after.returncode == 0, after.stdout
    checked("locks seen held and refused", [locks])


def test_without_locks_two_would_run_at_once(told, cloud, tmp_path):
    """The negative control: it is the lock that refuses."""
    root = Root(tmp_path / "root", told, cloud, "none", "none.tfstate")
    colleague = root.twin()
    released = tmp_path / "go"
    first = root.start(f"-var=wait_for={released}")
    try:
        wait_until(lambda: (root.folder / "applying").exists(), "the first apply")
        assert colleague.apply("-var=generation=2").returncode == 0
    finally:
        released.touch()
        first.communicate(timeout=WAIT_MAX_S)


def test_the_lock_of_a_killed_apply_is_kept_and_can_be_broken(told, cloud, tmp_path):
    root = Root(tmp_path / "root", told, cloud, "file", "killed.tfstate")
    colleague = root.twin()
    released = tmp_path / "go"
    first = root.start(f"-var=wait_for={released}")
    try:
        wait_until(lambda: (root.folder / "applying").exists(), "the first apply")
        first.send_signal(signal.SIGKILL)
    finally:
        released.touch()
        first.communicate(timeout=WAIT_MAX_S)
    refused = colleague.apply("-var=generation=2")
    assert refused.returncode != 0 and "Error acquiring the state lock" in refused.stdout
    lock = re.search(r"ID:\s+([0-9a-f-]{36})", refused.stdout)[1]
    broken = colleague.run("force-unlock", "-force", lock)
    assert broken.returncode == 0, broken.stdout
    assert colleague.apply("-var=generation=2").returncode == 0
