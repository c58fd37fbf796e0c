"""The machinery, on the real servers. The services on top of it are what tests/journey runs."""
import os
import pathlib
import signal
import subprocess
import sys
import time

import pika
import psycopg
import pytest
import redis as redis_client

from stack import Stack, StackError
from stack.control import ask

CHECKOUT = pathlib.Path(__file__).resolve().parents[3]
STACK = str(CHECKOUT / "tools/stack/stack")


@pytest.fixture(scope="module")
def infra():
    with Stack(only="infra") as stack:
        yield stack


def broker(stack: Stack) -> pika.BlockingConnection:
    return pika.BlockingConnection(pika.ConnectionParameters(
        "127.0.0.1", stack.part("rabbitmq").port, heartbeat=30, blocked_connection_timeout=5,
        credentials=pika.PlainCredentials("operator", stack.secret("broker-admin-password"))))


def alive(pid: int) -> bool:
    try:
        status = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status[status.rindex(")") + 2] != "Z"


def eventually(condition, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def test_nothing_runs_as_root(infra):
    for name in ("postgres", "redis", "rabbitmq"):
        for pid in infra.part(name).process.tree():
            assert os.stat(f"/proc/{pid}").st_uid != 0, f"{name}: process {pid}"


def test_each_role_enters_only_its_own_database(infra):
    with psycopg.connect(infra.dsn("orders", "order-service")) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("order-service",)
    for dsn in [infra.dsn("users", "order-service"), infra.dsn("users", "order-service-migrate"),
                infra.dsn("postgres", "order-service")]:
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(dsn)


def test_a_role_is_refused_without_its_password(infra):
    with pytest.raises(psycopg.OperationalError, match="no password supplied"):
        psycopg.connect(infra.dsn("orders", "order-service").partition(" password=")[0])


def test_only_the_migrating_role_changes_the_schema_and_audit_only_reads(infra):
    with psycopg.connect(infra.dsn("orders", "order-service-migrate")) as owner:
        owner.execute("CREATE TABLE rights_probe (n int)")
    with psycopg.connect(infra.dsn("orders", "order-service")) as service:
        service.execute("INSERT INTO rights_probe VALUES (1)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            service.execute("ALTER TABLE rights_probe ADD COLUMN m int")
    with psycopg.connect(infra.dsn("orders"), autocommit=True) as audit:
        assert audit.execute("SELECT count(*) FROM rights_probe").fetchone() == (0,)
        audit.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            audit.execute("INSERT INTO rights_probe VALUES (2)")


def test_the_topology_is_there_before_any_client_and_guest_is_not(infra):
    with broker(infra) as connection:
        channel = connection.channel()
        assert channel.queue_declare("payment-service.order-placed", passive=True).method.message_count == 0
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", infra.part("rabbitmq").port, credentials=pika.PlainCredentials("guest", "guest")))


def test_redis_wants_its_password(infra):
    port = infra.part("redis").port
    assert redis_client.Redis(port=port, password=infra.secret("redis-password")).ping()
    with pytest.raises(redis_client.AuthenticationError):
        redis_client.Redis(port=port).ping()


def test_postgres_killed_with_its_backends_comes_back_on_its_port_with_its_data(infra):
    with psycopg.connect(infra.dsn("users", "postgres")) as connection:
        connection.execute("CREATE TABLE survives (n int); INSERT INTO survives VALUES (7)")
        connection.commit()
        connection.execute("CHECKPOINT")  # the profile `test` promises nothing of what is not written yet
        port, pids = infra.part("postgres").port, infra.part("postgres").process.tree()
        infra.kill("postgres")
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert len(pids) > 3 and not any(alive(pid) for pid in pids)
    infra.start("postgres")
    assert infra.part("postgres").port == port
    with psycopg.connect(infra.dsn("users", "postgres")) as connection:
        assert connection.execute("SELECT n FROM survives").fetchone() == (7,)


def test_a_killed_broker_keeps_confirmed_messages(infra):
    # A queue of the topology: RabbitMQ writes the name of a fresh one to disk only within 500 ms of its
    # declaration, and a kill -9 before that loses it.
    queue = "payment-service.order-placed.dead"
    connection = broker(infra)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("", queue, b"one", pika.BasicProperties(delivery_mode=2), mandatory=True)
    infra.kill("rabbitmq")
    infra.start("rabbitmq")
    with broker(infra) as connection:
        channel = connection.channel()
        assert eventually(lambda: channel.queue_declare(queue, passive=True).method.message_count == 1)
        channel.queue_purge(queue)


def test_a_paused_part_is_silent_and_comes_back(infra):
    client = redis_client.Redis(port=infra.part("redis").port, password=infra.secret("redis-password"), socket_timeout=0.2)
    infra.pause("redis")
    with pytest.raises(redis_client.TimeoutError):
        client.ping()
    infra.resume("redis")
    assert client.ping()


def test_a_stopped_part_can_be_started_but_not_twice(infra):
    infra.stop("redis")
    assert infra.part("redis").process.pid is None
    infra.start("redis")
    with pytest.raises(StackError, match="runs already"):
        infra.start("redis")


def test_an_unknown_part_is_named_with_those_that_exist(infra):
    with pytest.raises(StackError, match="no part reddis 1; there are postgres, rabbitmq, redis"):
        infra.kill("reddis")


def test_missing_binaries_are_named_with_the_command_that_builds_them():
    with pytest.raises(StackError, match=r"not built: .*api-gateway.*; run: tools/build tsan .*order-service"):
        Stack(preset="tsan").up()


def test_two_stacks_share_nothing():
    with Stack(only="infra") as one, Stack(only="infra") as two:
        ports = [part.port for stack in (one, two) for part in stack.parts.values()]
        assert len(set(ports)) == len(ports)
        assert one.secret("audit-password") != two.secret("audit-password")


def test_down_leaves_no_process_and_no_folder():
    stack = Stack(only="infra").up()
    folder, pids = stack.folder, [pid for part in stack.parts.values() for pid in part.process.tree()]
    assert len(pids) >= 5
    stack.down()
    assert not folder.exists() and not any(alive(pid) for pid in pids)


def test_durable_profiles_keep_data_on_disk_with_synchronous_commits():
    with Stack(profile="proof", only="infra") as stack:
        assert str(stack.folder).startswith("/var/tmp/")
        with psycopg.connect(stack.dsn("orders", "postgres")) as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
                assert connection.execute(f"SHOW {name}").fetchone() == ("on",), name


def test_a_folder_that_is_kept_serves_the_next_stack_and_only_one_at_a_time(tmp_path):
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:3]:
        parent.chmod(0o755)
    data = tmp_path / "kept"
    with Stack(profile="proof", only="infra", data=data) as stack:
        with psycopg.connect(stack.dsn("users", "postgres")) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        with pytest.raises(StackError, match="another stack runs"):
            Stack(only="infra", data=data).up()
    with Stack(profile="proof", only="infra", data=data) as stack:
        with psycopg.connect(stack.dsn("users", "postgres")) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_children_die_with_a_supervisor_killed_by_9_and_the_next_stack_sweeps(tmp_path):
    state = tmp_path / "state.json"
    subprocess.run([STACK, "up", "--only", "infra", "--state", str(state)], check=True, capture_output=True)
    answer = ask(state, "status")
    pids = [part["pid"] for replicas in answer["parts"].values() for part in replicas]
    os.kill(answer["supervisor"], signal.SIGKILL)
    assert eventually(lambda: not any(alive(pid) for pid in pids)), "a server outlived its supervisor"
    assert pathlib.Path(answer["folder"]).exists()
    with Stack(only="infra"):
        assert not pathlib.Path(answer["folder"]).exists()


def test_the_command_line_drives_a_stack_in_the_background(tmp_path):
    state = tmp_path / "a-folder-whose-name-is-longer-than-a-unix-socket-may-be" / ("x" * 80) / "state.json"
    state.parent.mkdir(parents=True)

    def stack(*arguments: str, fails: bool = False) -> str:
        done = subprocess.run([STACK, *arguments, "--state", str(state)], text=True, capture_output=True, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert "no stack runs" in stack("status", fails=True)
    assert "ready" in stack("up", "--only", "infra")
    assert "a stack runs already" in stack("up", "--only", "infra", fails=True)
    stack("kill", "redis")
    assert "ended with -9" in stack("status")
    stack("restart", "redis")
    stack("pause", "postgres")
    assert "paused" in stack("status")
    stack("resume", "postgres")
    assert "ready to accept connections" in stack("logs", "postgres")
    stack("down")
    assert not state.exists()
    assert "no stack runs" in stack("down", fails=True)


def test_run_gives_the_addresses_and_passes_the_exit_code_on(tmp_path):
    script = ("import os, psycopg, sys; psycopg.connect(os.environ['STOA_AUDIT_DSN_ORDERS']); "
              "assert os.path.exists(os.environ['STOA_STACK_STATE']); sys.exit(7)")
    done = subprocess.run([STACK, "run", "--only", "infra", "--state", str(tmp_path / "s.json"), "--",
                           sys.executable, "-c", script], text=True, capture_output=True, check=False)
    assert done.returncode == 7, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []
