"""What this machine takes for work that everybody knows, so that figures of different machines compare as ratios:
a static file from nginx, a transaction of pgbench, a password hash."""

from __future__ import annotations

import concurrent.futures
import contextlib
import ctypes
import ctypes.util
import pathlib
import re
import socket
import subprocess
import time
from collections.abc import Iterator

import psycopg
from stack import Stack
from stack.process import run
from stack.servers import Postgres

from bench import machine
from bench.figures import Figure, figure
from bench.parts import ANSWER_SECONDS, CONNECTIONS, Failed, pids

FILE = '{"id":1}' * 40
DATABASE = "calibration"
HASH_BYTES, SALT_BYTES = 32, 16
# As servicekit/crypto hashes a password: 19 MiB, 2 passes, Argon2id.
HASH_PASSES, HASH_MEMORY, ARGON2ID = 2, 19 * 1024 * 1024, 2
START_SECONDS = 10


class Calibration:
    """Rounds of each, as often and as long as asked; `figures` is what they came to: CPU µs for one."""

    def __init__(self, stack: Stack, folder: pathlib.Path) -> None:
        self._stack, self._folder = stack, folder
        self._samples: dict[str, list[float]] = {}
        self._prepared = False

    def measure(self, seconds: int, rounds: int = 1) -> None:
        for _ in range(rounds):
            for name, sample in self.once(seconds).items():
                self._samples.setdefault(name, []).append(sample)

    def once(self, seconds: int) -> dict[str, float]:
        with nginx(self._folder / "calibration") as (pid, url):
            file = nginx_us(pid, url, seconds)
        return {"nginx": file, "pgbench": self._pgbench_us(seconds), "argon2": argon2_us(seconds)}

    def figures(self) -> dict[str, Figure]:
        return {name: figure(samples) for name, samples in self._samples.items()}

    def _pgbench_us(self, seconds: int) -> float:
        """CPU of the shop's own server for one transaction of pgbench (simple update), its disk settings included."""
        program = [str(Postgres.binaries() / "pgbench")]
        place = ["-h", str(self._stack.folder / "postgres"), "-p", str(self._stack.part("postgres").port), "-U", "postgres"]
        if not self._prepared:
            with psycopg.connect(self._stack.dsn("postgres", "postgres"), autocommit=True) as db:
                db.execute(f"CREATE DATABASE {DATABASE}")
            run([*program, "-i", "-q", "-s", "5", *place, DATABASE], {})
            self._prepared = True
        [server] = pids(self._stack, "postgres")
        before = machine.cpu_seconds(server)
        printed = run([*program, "-n", "-N", "-M", "prepared", "-c", "8", "-j", "1", "-T", str(seconds), *place, DATABASE], {},
                      timeout=seconds + START_SECONDS)
        done = re.search(r"transactions actually processed: (\d+)", printed)
        if not done or int(done[1]) == 0:
            raise Failed(f"pgbench did nothing:\n{printed}")
        return (machine.cpu_seconds(server) - before) / int(done[1]) * 1e6


@contextlib.contextmanager
def nginx(folder: pathlib.Path) -> Iterator[tuple[int, str]]:
    """One worker that serves one small file; its process and the file's URL."""
    (folder / "www").mkdir(parents=True, exist_ok=True)
    for place in (folder.parent, folder, folder / "www"):
        place.chmod(0o755)
    (folder / "www/file.json").write_text(FILE)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = folder / "nginx.conf"
    conf.write_text(
        f"worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/log;"
        "events { worker_connections 512; } http { access_log off; keepalive_requests 100000000;"
        f"server {{ listen 127.0.0.1:{port}; root {folder}/www; }} }}"
    )
    server = subprocess.Popen(["nginx", "-c", str(conf)], stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            if server.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"nginx did not start: {(folder / 'log').read_text()}")
            time.sleep(0.01)
        yield server.pid, f"http://127.0.0.1:{port}/file.json"
    finally:
        server.terminate()
        server.wait(START_SECONDS)


def nginx_us(pid: int, url: str, seconds: int) -> float:
    before = machine.cpu_seconds(pid)
    printed = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"--timeout={ANSWER_SECONDS}s", url], check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    if "Non-2xx" in printed or "Socket errors" in printed:
        raise Failed(f"nginx: {printed}")
    return (machine.cpu_seconds(pid) - before) / int(re.search(r"(\d+) requests in", printed)[1]) * 1e6


def argon2_us(seconds: int) -> float:
    """CPU of one hash, two at a time as user-service hashes them."""
    sodium = ctypes.CDLL(ctypes.util.find_library("sodium") or "libsodium.so.23")
    end = time.monotonic() + seconds

    def hashes() -> tuple[int, float]:
        out, salt, password = ctypes.create_string_buffer(HASH_BYTES), bytes(SALT_BYTES), b"correct horse battery"
        begin, count = time.thread_time(), 0
        while count == 0 or time.monotonic() < end:
            failed = sodium.crypto_pwhash(
                out, ctypes.c_ulonglong(HASH_BYTES), password, ctypes.c_ulonglong(len(password)), salt,
                ctypes.c_ulonglong(HASH_PASSES), ctypes.c_size_t(HASH_MEMORY), ctypes.c_int(ARGON2ID),
            )  # fmt: skip
            if failed:
                raise Failed("libsodium refused to hash")
            count += 1
        return count, time.thread_time() - begin

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = [one.result() for one in [pool.submit(hashes), pool.submit(hashes)]]
    return sum(used for _, used in both) / sum(count for count, _ in both) * 1e6
