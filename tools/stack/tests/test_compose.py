"""The two ways to run the platform give every program the same settings."""
import pathlib

import pytest
import yaml

from stack.profiles import PROFILES
from stack.services import SERVICES, SERVICES_WITH_DATABASE, Settings

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]


class _Strict(yaml.SafeLoader):
    """Refuses a key that is there twice, as Compose does."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.value != "<<"]
        assert len(set(keys)) == len(keys), f"twice at {node.start_mark}: {sorted(keys)}"
        return super().construct_mapping(node, deep)


COMPOSE = yaml.load((CHECKOUT / "deploy/compose/compose.yaml").read_text(), _Strict)["services"]
ADDRESSES = {name: ["127.0.0.1:1"] for name in [*SERVICES, "postgres", "redis", "rabbitmq", "payment-simulator", "mail-sink-smtp"]}
SETTINGS = Settings(pathlib.Path("/secrets"), ADDRESSES)
# In a container each program has its default ports and its host's name.
ONLY_PROCESSES = {"STOA_ADDRESS", "STOA_PORT", "STOA_ADMIN_ADDRESS", "STOA_ADMIN_PORT", "STOA_INSTANCE"}
# The process stack takes these two from its profile.
FROM_PROFILE = {"STOA_TRACE_RATIO", "STOA_LOG_LEVEL"}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_same_settings_in_both(service):
    processes = set(SETTINGS.service(service, 1, 1, 1)) - ONLY_PROCESSES
    assert set(COMPOSE[service]["environment"]) - FROM_PROFILE == processes


@pytest.mark.parametrize("service", SERVICES_WITH_DATABASE)
def test_a_migration_has_the_same_settings_in_both(service):
    assert set(COMPOSE[f"{service}-migrate"]["environment"]) == set(SETTINGS.migrate(service))


def test_every_container_is_confined():
    for name, part in COMPOSE.items():
        assert part["read_only"] and part["cap_drop"] == ["ALL"], name
        assert part["security_opt"] == ["no-new-privileges:true"] and part["mem_limit"], name
        assert part["logging"]["options"]["max-size"] == "10m", name


def test_only_three_views_are_published_and_only_on_loopback():
    published = {name: part["ports"] for name, part in COMPOSE.items() if "ports" in part}
    assert set(published) == {"api-gateway", "mail-sink", "rabbitmq"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_development_publishes_on_loopback_only():
    development = yaml.safe_load((CHECKOUT / "deploy/compose/compose.dev.yaml").read_text())["services"]
    ports = [port for part in development.values() for port in part.get("ports", [])]
    assert len(ports) > 10 and all(port.startswith("127.0.0.1:") for port in ports)


def test_proof_shortens_the_deadlines():
    assert PROFILES["proof"].services["order-service"]["STOA_PENDING_DEADLINE_SECONDS"] == "10"
    assert PROFILES["proof"].services["product-service"]["STOA_RESERVATION_DEADLINE_SECONDS"] == "15"
