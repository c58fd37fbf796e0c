"""Links through toxiproxy and the disk that can be filled, on a real PostgreSQL and a real Redis."""
import socket
import time

import psycopg
import pytest

from stack import Stack
from stack.links import Links
from stack.servers import ServerError


@pytest.fixture(scope="module")
def infra():
    with Stack(only="infra", linked=True, database_disk_megabytes=320) as stack:
        yield stack


@pytest.fixture
def link(infra):
    [address] = infra.links.between("shopper-1", "postgres", [f"127.0.0.1:{infra.part('postgres').port}"])
    yield infra.dsn("orders").replace(f"port={infra.part('postgres').port}", f"port={address.rpartition(':')[2]}")
    infra.links.heal()


def seconds_of(dsn: str) -> float:
    began = time.monotonic()
    with psycopg.connect(dsn, connect_timeout=5) as db:
        db.execute("SELECT 1")
    return time.monotonic() - began


def test_a_link_leads_to_its_server_and_keeps_its_address(infra, link):
    assert seconds_of(link) < 2
    server = [f"127.0.0.1:{infra.part('postgres').port}"]
    assert infra.links.between("shopper-1", "postgres", server) == infra.links.between("shopper-1", "postgres", server)
    assert infra.links.names("*>postgres-*") == ["shopper-1>postgres-1"]


def test_latency_is_felt_until_it_is_healed(infra, link):
    with infra.links.hurting("*>postgres-1", "latency", latency=150, jitter=0) as links:
        assert links == 1
        assert seconds_of(link) > 0.4
    assert seconds_of(link) < 0.4


def test_a_cut_ends_connections_and_refuses_new_ones_until_it_is_healed(infra, link):
    with psycopg.connect(link, autocommit=True) as db:
        infra.links.cut("shopper-1>*")
        with pytest.raises(psycopg.OperationalError):
            db.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(link, connect_timeout=2)
    infra.links.heal()
    assert seconds_of(link) < 2


def test_a_pattern_hurts_no_other_link(infra, link):
    assert infra.links.hurt("shopper-2>*", "timeout", timeout=0) == 0
    assert seconds_of(link) < 2


def test_links_come_back_with_a_proxy_that_was_killed(infra, link):
    infra.kill("toxiproxy")
    infra.start("toxiproxy")
    assert seconds_of(link) < 2


def test_a_proxy_that_hangs_is_replaced_when_its_links_heal(infra, link, monkeypatch):
    monkeypatch.setattr("stack.links._CALL_SECONDS", 1)
    [other] = infra.links.between("shopper-2", "redis", [f"127.0.0.1:{infra.part('redis').port}"])
    infra.links.hurt("shopper-1>*", "latency", latency=150, jitter=0)
    infra.links.cut("shopper-2>*")
    hung = infra.links.process.pid
    infra.links.process.pause()

    infra.links.heal("shopper-1>*")

    assert infra.links.process.pid not in (None, hung)
    assert seconds_of(link) < 0.4
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(other.rpartition(":")[2])), timeout=1)
    infra.links.heal()
    socket.create_connection(("127.0.0.1", int(other.rpartition(":")[2])), timeout=1).close()


def test_a_full_disk_refuses_rows_and_takes_them_when_it_is_cleared(infra):
    with psycopg.connect(infra.dsn("orders", "order-service-migrate"), autocommit=True) as db:
        db.execute("CREATE TABLE heap (filling text)")
        infra.disk.fill()
        try:
            with pytest.raises(psycopg.errors.DiskFull):
                db.execute("INSERT INTO heap SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
        finally:
            infra.disk.clear()
        db.execute("INSERT INTO heap SELECT repeat('x', 1000) FROM generate_series(1, 1000)")


def test_nothing_stays_mounted():
    with Stack(only="infra", database_disk_megabytes=320) as stack:
        folder = stack.folder
        assert f"{folder}/postgres" in open("/proc/mounts").read()
    assert str(folder) not in open("/proc/mounts").read()
    assert not folder.exists()


def test_a_proxy_that_is_not_built_is_named_with_the_command_that_builds_it(monkeypatch, tmp_path):
    (tmp_path / "deploy/toolbox").mkdir(parents=True)
    (tmp_path / "deploy/toolbox/build").symlink_to("/bin/false")
    monkeypatch.setattr("stack.links.CHECKOUT", tmp_path)
    with pytest.raises(ServerError, match="tools/root with deploy exec deploy/toolbox/build toxiproxy"):
        Links.program()


def test_links_answer_on_the_loopback_alone(infra, link):
    port = int(link.split("port=")[1].split()[0])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=1)
