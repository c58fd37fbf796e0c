"""The table, the definitions made of it, and what a real broker then allows."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pika
import pytest
import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import asyncapi  # noqa: E402
import broker  # noqa: E402
import table  # noqa: E402

TOOL = HERE.parent / "topology"
START_TIMEOUT_S = 60


def document() -> dict:
    return yaml.safe_load(table.default_path().read_text())


def read_changed(tmp_path: pathlib.Path, change) -> table.Topology:
    changed = document()
    change(changed)
    path = tmp_path / "topology.yaml"
    path.write_text(yaml.safe_dump(changed))
    return table.read(path)


def write_secrets(directory: pathlib.Path) -> dict[str, str]:
    passwords = {}
    for service in document()["services"]:
        (directory / service).mkdir(parents=True)
        passwords[service] = f"secret of {service}"
        (directory / service / "broker-password").write_text(passwords[service] + "\n")
    passwords["operator"] = "secret of the operator"
    (directory / "broker-admin-password").write_text(passwords["operator"])
    return passwords


# ---- the table

@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d["services"]["user-service"]["publishes"].append("order.paid"), "order.paid: published by two services"),
        (lambda d: d["services"]["order-service"]["queues"].update({"x": ["order.lost"]}), "order.lost: bound, but nobody publishes it"),
        (lambda d: d["unconsumed"]["keys"].remove("stock.low"), "stock.low: goes nowhere"),
        (lambda d: d["unconsumed"]["keys"].append("order.paid"), "order.paid: has a listener and is listed"),
        (lambda d: d["services"]["user-service"]["publishes"].append("Order.*"), "Order.*: not a routing key"),
        (lambda d: d.update(retry_delays_ms=[2000, 500]), "retry_delays_ms: must grow"),
        (lambda d: d.pop("operator"), "missing or misplaced member: 'operator'"),
        (lambda d: d.update(version=2), "version 1 is what this tool reads"),
    ],
)
def test_refuses_a_table_that_contradicts_itself(tmp_path, change, complaint):
    with pytest.raises(table.TableError) as refusal:
        read_changed(tmp_path, change)
    assert complaint in str(refusal.value)


def test_gives_every_work_queue_its_delays_and_dead_letters():
    topology = table.read(table.default_path())
    work = [queue.name for queue in topology.queues if queue.purpose == "work"]
    assert "payment-service.order-placed" in work
    for name in work:
        family = [queue.name.removeprefix(name) for queue in topology.queues if queue.origin == name]
        assert family == [".retry-500ms", ".retry-2s", ".retry-8s", ".wait-10s", ".dead"]


def test_check_names_contracts_that_are_missing_strange_or_broken(tmp_path):
    topology = table.read(table.default_path())
    for key in topology.events:
        (tmp_path / f"{key}.json").write_text("{}")
    assert table.check(topology, tmp_path) == []

    (tmp_path / "order.paid.json").unlink()
    (tmp_path / "order.lost.json").write_text("{}")
    (tmp_path / "stock.low.json").write_text("{")
    problems = "\n".join(table.check(topology, tmp_path))
    assert "order.paid.json is missing" in problems
    assert "order.lost.json: no service publishes it" in problems
    assert "stock.low.json: not JSON" in problems


def test_asyncapi_names_every_publisher_and_every_listener(tmp_path):
    topology = table.read(table.default_path())
    for key in topology.events:
        (tmp_path / f"{key}.json").write_text(json.dumps({"title": key, "type": "object"}))
    api = asyncapi.document(topology, tmp_path)
    told = {(o["action"], api["channels"][o["channel"]["$ref"].rsplit("/", 1)[1]]["address"]) for o in api["operations"].values()}
    assert {key for action, key in told if action == "send"} == set(topology.events)
    heard = {key for queue in topology.queues if queue.purpose == "work" for key in queue.keys}
    assert {key for action, key in told if action == "receive"} == heard
    assert api["channels"]["orderPaymentFailed"]["address"] == "order.payment_failed"


def test_check_tells_that_asyncapi_is_out_of_date(tmp_path):
    topology = table.read(table.default_path())
    for key in topology.events:
        (tmp_path / f"{key}.json").write_text("{}")
    assert "missing" in asyncapi.check(topology, tmp_path)[0]
    (tmp_path / "asyncapi.yaml").write_text(asyncapi.to_yaml(topology, tmp_path))
    assert asyncapi.check(topology, tmp_path) == []
    (tmp_path / "order.paid.json").write_text('{"title": "An order is paid"}')
    assert "out of date" in asyncapi.check(topology, tmp_path)[0]


def test_hashes_as_rabbitmq_documents_it():
    # The worked example of RabbitMQ's "Passwords" guide.
    assert broker.password_hash("test12", bytes.fromhex("908DC60A")) == "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    assert broker.password_matches("test12", "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR")
    assert not broker.password_matches("test13", "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR")


def test_definitions_hold_no_password_and_are_for_the_owner_only(tmp_path):
    passwords = write_secrets(tmp_path / "secrets")
    output = tmp_path / "definitions.json"
    subprocess.run([TOOL, "definitions", "--secrets", tmp_path / "secrets", "--output", output], check=True)
    text = output.read_text()
    assert not [password for password in passwords.values() if password in text]
    assert output.stat().st_mode & 0o777 == 0o600
    assert "guest" not in text


def test_an_empty_secret_is_refused(tmp_path):
    write_secrets(tmp_path)
    (tmp_path / "order-service/broker-password").write_text("\n")
    run = subprocess.run([TOOL, "definitions", "--secrets", tmp_path], capture_output=True, text=True)
    assert run.returncode == 1
    assert "order-service/broker-password" in run.stderr


# ---- a broker

class PrivateBroker:
    def __init__(self, directory: pathlib.Path, definitions: pathlib.Path | None):
        self.port, dist_port, self.management_port = free_ports(3)
        command = [HERE.parent / "slim-broker", directory, self.port, dist_port, definitions or "", self.management_port]
        self.log = (directory.parent / f"{directory.name}.log").open("w")
        self.process = subprocess.Popen(
            [str(part) for part in command], stdout=self.log, stderr=self.log, start_new_session=True)
        self.url = f"http://127.0.0.1:{self.management_port}"
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.answers():
            assert self.process.poll() is None, "the broker ended: " + pathlib.Path(self.log.name).read_text()[-2000:]
            assert time.monotonic() < deadline, "the broker does not answer"
            time.sleep(0.02)

    def answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                connection.sendall(b"AMQP\0\0\x09\x01")
                ready = connection.recv(3) == b"\x01\0\0"
            urllib.request.urlopen(self.url, timeout=2).close()
            return ready
        except OSError:
            return False

    def connect(self, user: str, password: str) -> pika.BlockingConnection:
        credentials = pika.PlainCredentials(user, password)
        return pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", self.port, credentials=credentials))

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.log.close()


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    """A broker that imported the definitions at boot, and the passwords."""
    base = tmp_path_factory.mktemp("broker")
    passwords = write_secrets(base / "secrets")
    definitions = base / "definitions.json"
    subprocess.run([TOOL, "definitions", "--secrets", base / "secrets", "--output", definitions], check=True)
    private = PrivateBroker(base / "node", definitions)
    private.passwords, private.secrets = passwords, base / "secrets"
    yield private
    private.stop()


def load(private: PrivateBroker, secrets: pathlib.Path, *options) -> subprocess.CompletedProcess:
    command = [TOOL, "load", "--url", private.url, "--secrets", secrets, *options]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True)


def test_what_is_imported_at_boot_is_what_load_wants(loaded):
    run = load(loaded, loaded.secrets)
    assert run.stdout == "topology: unchanged\n", run.stderr


def test_nobody_gets_in_as_guest(loaded):
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        loaded.connect("guest", "guest")


def channel_of(private: PrivateBroker, service: str):
    channel = private.connect(service, private.passwords[service]).channel()
    channel.confirm_delivery()
    return channel


def publish(channel, exchange: str, key: str) -> None:
    channel.basic_publish(exchange, key, b"{}", pika.BasicProperties(delivery_mode=2), mandatory=True)


def test_every_event_finds_a_queue(loaded):
    for service, keys in table.read(table.default_path()).publishers.items():
        channel = channel_of(loaded, service)
        for key in keys:
            publish(channel, "stoa.events", key)  # raises when it is returned
        channel.connection.close()


def test_what_nobody_listens_to_is_not_hoarded(loaded):
    channel = channel_of(loaded, "product-service")
    for _ in range(50):
        publish(channel, "stoa.events", "stock.low")
    operator = channel_of(loaded, "operator")
    assert operator.queue_declare("stoa.unconsumed", passive=True).method.message_count == 0


@pytest.mark.parametrize(
    ("service", "act"),
    [
        ("order-service", lambda c: publish(c, "stoa.events", "payment.captured")),
        ("order-service", lambda c: publish(c, "payment-service.retry", "payment-service.order-placed")),
        ("order-service", lambda c: publish(c, "", "payment-service.order-placed")),
        ("order-service", lambda c: c.basic_get("payment-service.order-placed")),
        ("order-service", lambda c: c.queue_declare("mine", durable=True, arguments={"x-queue-type": "quorum"})),
        ("order-service", lambda c: c.queue_purge("payment-service.order-placed")),
        ("order-service", lambda c: c.queue_bind("order-service.payment-results", "stoa.events", "#")),
        ("user-service", lambda c: publish(c, "stoa.events", "order.placed")),
        ("notification-service", lambda c: c.basic_get("order-service.payment-results.dead")),
    ],
)
def test_a_service_touches_nothing_of_another(loaded, service, act):
    channel = channel_of(loaded, service)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refusal:
        act(channel)
    assert refusal.value.reply_code == 403


def test_a_refused_message_comes_back_after_its_delay(loaded):
    channel = channel_of(loaded, "payment-service")
    queue = "payment-service.order-cancel-requested"
    channel_of(loaded, "operator").queue_purge(queue)
    started = time.monotonic()
    publish(channel, "payment-service.retry", f"{queue}.retry-500ms")
    found = next(channel.consume(queue, inactivity_timeout=10))
    assert found[2] == b"{}"
    assert time.monotonic() - started >= 0.5
    channel.basic_ack(found[0].delivery_tag)


def test_loads_an_empty_broker_twice_and_tells_a_difference(tmp_path):
    passwords = write_secrets(tmp_path / "secrets")
    guest = tmp_path / "guest"
    guest.write_text("guest\n")
    private = PrivateBroker(tmp_path / "node", None)
    try:
        first = load(private, tmp_path / "secrets", "--user", "guest", "--password-file", guest)
        assert first.stdout == "topology: loaded\n", first.stderr
        assert load(private, tmp_path / "secrets").stdout == "topology: unchanged\n"

        api = broker.Api(private.url, "operator", passwords["operator"])
        assert "guest" not in [user["name"] for user in api.call("GET", "/api/users")]
        api.call("DELETE", "/api/queues/%2F/order-service.payment-results.dead")
        assert load(private, tmp_path / "secrets").stdout == "topology: loaded\n"

        api.call("DELETE", "/api/queues/%2F/stoa.unconsumed")
        api.call("PUT", "/api/queues/%2F/stoa.unconsumed", {"durable": True, "arguments": {"x-queue-type": "quorum"}})
        differing = load(private, tmp_path / "secrets")
        assert differing.returncode == 1
        assert "stoa.unconsumed" in differing.stderr
    finally:
        private.stop()


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q"]))
