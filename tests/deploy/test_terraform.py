"""The modules: the real program accepts them on the real schema, and refuses what is planted."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.deploy.checked import CHECKOUT
from tests.deploy.terraform import ENVIRONMENTS, MODULES, Tree, settings

TERRAFORM = CHECKOUT / "deploy/terraform"
WHOLE = [*(f"modules/{module}" for module in MODULES), "global", "platform", "bootstrap"]
ROOTS = [*WHOLE, *(f"environments/{environment}" for environment in ENVIRONMENTS)]
SCREEN = 55  # lines
RESOURCE = re.compile(r'^resource "(\w+)" "(\w+)"', re.MULTILINE)


@pytest.fixture(scope="module")
def told():
    return settings()


@pytest.fixture(scope="module")
def tree(tmp_path_factory, told):
    return Tree(tmp_path_factory.mktemp("whole") / "terraform", told)


@pytest.fixture
def spoiled(tmp_path, told):
    return Tree(tmp_path / "terraform", told)


def test_the_files_are_formatted(tree):
    tree.must(".", "fmt", "-check", "-recursive", "-diff")


def test_a_badly_formatted_file_is_refused(spoiled):
    spoiled.change("modules/network/main.tf", "  cidr_block           = var.cidr", "  cidr_block = var.cidr")
    assert spoiled.run(".", "fmt", "-check", "-recursive").returncode != 0


@pytest.mark.parametrize("root", ROOTS)
def test_the_schema_accepts(root, tree, checked):
    tree.init(root)
    assert "The configuration is valid" in tree.must(root, "validate", "-no-color")
    if RESOURCE.search((TERRAFORM / root / "main.tf").read_text()):
        checked("Terraform resources", [f"{root} {kind}.{name}" for kind, name in
                                        RESOURCE.findall((TERRAFORM / root / "main.tf").read_text())])


@pytest.mark.parametrize("root", ROOTS)
def test_the_modules_own_tests_pass(root, tree, checked):
    tree.init(root)
    done = tree.run(root, "test", "-no-color")
    assert done.returncode == 0, done.stdout
    assert re.search(r"^Success! [1-9]\d* passed, 0 failed", done.stdout, re.MULTILINE), done.stdout
    checked("runs of terraform test", re.findall(r'run "(\w+)"\.\.\. pass', done.stdout))


PLANTED = {
    "misspelt attribute": ("modules/network", "enable_dns_support ", "enable_dns_suport ", "Unsupported argument"),
    "missing attribute": ("modules/cluster", "  role_arn                      = aws_iam_role.cluster.arn\n", "",
                          "Missing required argument"),
    "misspelt block": ("modules/cluster", "  encryption_config {", "  encryption_configuration {", "Unsupported block type"),
    "missing block": ("modules/cluster", "  scaling_config {\n    min_size     = each.value.min\n    max_size     = each.value.max\n"
                      "    desired_size = each.value.min\n  }\n", "", "Insufficient scaling_config blocks"),
    "attribute for a block": ("modules/registry", "image_scanning_configuration {\n    scan_on_push = true\n  }",
                              "image_scanning_configuration = { scan_on_push = true }", "Unsupported argument"),
    "wrong type": ("modules/network", "  max_aggregation_interval = 60", '  max_aggregation_interval = "often"',
                   "Incorrect attribute value type|Inappropriate value"),
    "unknown type": ("modules/network", 'resource "aws_flow_log" "this"', 'resource "aws_flow_logs" "this"',
                     "Invalid resource type"),
    "unknown output": ("modules/network", "value       = aws_vpc.this.cidr_block", "value       = aws_vpc.this.cidr_blok",
                       "Unsupported attribute"),
}


@pytest.mark.parametrize("plant", PLANTED)
def test_the_schema_refuses(plant, spoiled, refused):
    root, old, new, said = PLANTED[plant]
    spoiled.change(f"{root}/{'outputs' if plant == 'unknown output' else 'main'}.tf", old, new)
    spoiled.init(root)
    done = spoiled.run(root, "validate", "-no-color")
    assert done.returncode != 0, done.stdout
    refused("planted faults that Terraform refused", plant, re.compile(said), done.stdout)


def test_a_broken_module_fails_its_own_test(spoiled):
    spoiled.change("modules/network/main.tf", "map_public_ip_on_launch = false", "map_public_ip_on_launch = true")
    spoiled.init("modules/network")
    done = spoiled.run("modules/network", "test", "-no-color")
    assert done.returncode != 0 and "No subnet hands out public addresses" in done.stdout


BROKEN = {
    "another network": ("production-us-east-1/main.tf", 'cidr = "10.40.0.0/16"', 'cidr = "10.30.0.0/16"', "The network of production-us-east-1 is"),
    "an API server for some": ("production-us-east-1/main.tf", 'version = "1.35"', 'version = "1.35"\n    public_access_cidrs = ["192.0.2.0/24"]',
                               "Nobody reaches the API server from outside"),
    "no reader": ("production-us-east-1/main.tf", "reader_count = 1", "reader_count = 0", "instances, nodes or brokers differ"),
    "any owner": ("production-us-east-1/variables.tf", 'can(regex("^[a-z][a-z0-9-]{1,62}$", var.owner))', "length(var.owner) > 0",
                  "Missing expected failure"),
}


@pytest.mark.parametrize("plant", BROKEN)
def test_a_broken_environment_fails_its_own_test(plant, tree, refused):
    file, old, new, said = BROKEN[plant]
    tree.init("environments/production-us-east-1")
    with tree.spoiled(f"environments/{file}", old, new):
        done = tree.run("environments/production-us-east-1", "test", "-no-color")
    assert done.returncode != 0, done.stdout
    refused("planted faults that an environment's own test refused", plant, said, done.stdout)


def test_a_schema_creates_nothing(spoiled):
    spoiled.init("modules/network")
    done = spoiled.run("modules/network", "apply", "-auto-approve", "-no-color", "-var=name=stoa-x", "-var=region=eu-west-1",
                       '-var=availability_zones=["eu-west-1a","eu-west-1b","eu-west-1c"]', "-var=cidr=10.0.0.0/16",
                       "-var=kms_key_arn=arn:aws:kms:eu-west-1:000000000000:key/x",
                       '-var=tags={project="stoa",environment="x",owner="x"}')
    assert done.returncode != 0 and "a schema cannot create" in done.stdout


def test_every_module_has_its_five_files_and_counts_nothing(checked):
    for root in checked("Terraform modules", WHOLE):
        names = {file.name for file in (TERRAFORM / root).glob("*.*") if not file.name.startswith(".")}
        assert names == {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"}, root
        assert not re.search(r"^\s+count\s+=", (TERRAFORM / root / "main.tf").read_text(), re.MULTILINE), root


def test_the_readmes_tell_inputs_and_outputs():
    done = subprocess.run([TERRAFORM / "describe", "--check"], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_an_environment_is_one_screen(environment):
    lines = (TERRAFORM / "environments" / environment / "main.tf").read_text().splitlines()
    assert len(lines) <= SCREEN and "resource " not in "\n".join(lines)


def unlike(variables: str, example: str) -> set[str]:
    """Variables that the example has too much or too little; passwords are never in a file."""
    declared = re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', variables, re.MULTILINE | re.DOTALL)
    wanted = {name for name, body in declared if "sensitive" not in body and "default" not in body}
    return wanted ^ set(re.findall(r"^(\w+)\s+=", example, re.MULTILINE))


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_example_names_what_only_an_owner_knows(environment, checked):
    folder = TERRAFORM / "environments" / environment
    variables, example = (folder / "variables.tf").read_text(), (folder / "terraform.tfvars.example").read_text()
    assert unlike(variables, example) == set()
    assert unlike(variables, example + 'cache_password = "x"\n') == {"cache_password"}
    assert unlike(variables, example.replace("owner ", "# owner ")) == {"owner"}
    checked("examples of terraform.tfvars", [environment])
    assert not re.search(r'"\d{12}"', (folder / "main.tf").read_text() + (folder / "versions.tf").read_text())


def test_there_is_a_repository_for_each_image():
    dockerfile = (CHECKOUT / "deploy/images/Dockerfile").read_text()
    stages = re.findall(r"^FROM (\S+) AS (\S+)", dockerfile, re.MULTILINE)
    parts = {base for base, _ in stages} | set(re.findall(r"--from=([\w-]+)", dockerfile))
    built = {stage for _, stage in stages} - parts
    stores = {"postgres", "redis", "rabbitmq", "registry"}  # the cloud's own are used
    wired = (TERRAFORM / "global/main.tf").read_text()
    listed = set(re.findall(r'"([a-z-]+)"', re.search(r"  images = \[(.*?)\]", wired, re.DOTALL)[1]))
    assert stores < built and listed == built - stores


def test_databases_are_those_of_the_bootstrap():
    sql = (CHECKOUT / "deploy/postgres/bootstrap.sql").read_text()
    module = (TERRAFORM / "modules/database/variables.tf").read_text()
    services = dict(re.findall(r"^    ([a-z-]+-service)\s+= \"(\w+)\"", module, re.MULTILINE))
    assert services == dict(re.findall(r"\('([a-z-]+-service)', '(\w+)', ", sql)) and len(services) == 5
