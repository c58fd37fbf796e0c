"""The loop of make dev without a compiler; the watcher with the real inotify."""

import pathlib
import socket
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from dev.loop import Loop, Watcher  # noqa: E402
from stack import StackError  # noqa: E402


DEV = pathlib.Path(__file__).resolve().parents[1] / "dev"


class FakeStack:
    def __init__(self):
        self.calls = []
        self.broken = None

    def restart(self, name):
        self.calls.append(f"restart {name}")
        if name == self.broken:
            raise StackError("it ended at once")

    def run_command(self, name, command, migrate):
        assert migrate
        self.calls.append(f"{command} {name}")


@pytest.fixture
def place(tmp_path):
    binaries = tmp_path / "build/debug/bin"
    binaries.mkdir(parents=True)
    for name in ("order-service", "user-service"):
        (binaries / name).touch()
    return tmp_path


def loop_that_builds(place, *names, built=True):
    stack, said = FakeStack(), []

    def build():
        for name in names:
            (place / "build/debug/bin" / name).write_text(str(time.monotonic_ns()))
        return built, "orders.cpp:1: error"

    return Loop(place, ["order-service", "user-service"], build, stack, said.append), stack, said


def test_restarts_only_what_the_build_changed(place):
    loop, stack, said = loop_that_builds(place, "order-service")
    loop.turn({"services/order-service/app/orders.cpp"})
    assert stack.calls == ["restart order-service"]
    assert said[0].startswith("services/order-service/app/orders.cpp → order-service  ")


def test_restarts_everything_that_holds_a_changed_library(place):
    loop, stack, _ = loop_that_builds(place, "order-service", "user-service")
    loop.turn({"servicekit/http/server.cpp"})
    assert stack.calls == ["restart order-service", "restart user-service"]


def test_a_failed_build_leaves_everything_running(place):
    loop, stack, said = loop_that_builds(place, "order-service", built=False)
    loop.turn({"services/order-service/app/orders.cpp"})
    assert stack.calls == []
    assert "orders.cpp:1: error" in said[0]


def test_a_new_migration_is_applied_first(place):
    loop, stack, _ = loop_that_builds(place, "order-service")
    loop.turn({"services/order-service/migrations/0002_more.sql"})
    assert stack.calls == ["migrate order-service", "restart order-service"]


def test_a_program_that_does_not_come_up_ends_nothing_else(place):
    loop, stack, said = loop_that_builds(place, "order-service", "user-service")
    stack.broken = "order-service"
    loop.turn({"servicekit/http/server.cpp"})
    assert stack.calls == ["restart order-service", "restart user-service"]
    assert said[0] == "order-service did not come up: it ended at once"


def test_other_binaries_are_no_part_of_it(place):
    loop, stack, _ = loop_that_builds(place, "bench-messaging")
    loop.turn({"servicekit/http/server.cpp"})
    assert stack.calls == []


def test_a_save_that_changes_no_program_restarts_nothing(place):
    loop, stack, said = loop_that_builds(place)
    loop.turn({"servicekit/core/money_test.cpp"})
    assert stack.calls == []
    assert "nothing to restart" in said[0]


def test_the_watcher_tells_of_saved_sources_only(tmp_path):
    folder = tmp_path / "services/order-service"
    folder.mkdir(parents=True)
    wanted = {"services/order-service/order.cpp", "services/order-service/order.hpp"}
    with Watcher(tmp_path, ["services", "not-there"]) as watcher:
        seen: set[str] = set()

        def follow():
            for saved in watcher:
                seen.update(saved)
                if seen >= wanted:
                    return

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        (folder / "notes.txt").write_text("not a source")
        (folder / "order.cpp").write_text("int x;")
        (folder / "order.cpp.new").write_text("int y;")
        (folder / "order.cpp.new").rename(folder / "order.hpp")
        thread.join(10)
    assert seen == wanted


@pytest.mark.parametrize("option", ["--port", "--mail-port"])
def test_says_which_port_is_taken_before_it_builds(option):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ports = {"--port": "0", "--mail-port": "0", option: port}
        command = [sys.executable, DEV, *(word for pair in ports.items() for word in pair)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1
    assert f"port {port} is taken" in ended.stdout and option in ended.stdout
    assert "building" not in ended.stdout + ended.stderr
