"""The stack as an object: up, down, and every verb a failure test needs."""
import atexit
import concurrent.futures
import dataclasses
import os
import pathlib
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

from .databases import Databases
from .disk import SmallDisk
from .folders import disk_folder, fresh_folder, memory_folder, take_lock
from .links import Links
from .ports import Ports
from .process import Process, own, run
from .profiles import PROFILES
from .servers import CHECKOUT, Postgres, Redis, RabbitMq, ServerError, answers, wait_until
from .services import SERVICES, SERVICES_WITH_DATABASE, TOOLS, Settings, direct

READY_SECONDS = 30


class StackError(Exception):
    """What went wrong, in words for the person who started the stack."""


@dataclasses.dataclass
class Part:
    """One replica of one thing that runs."""
    name: str
    replica: int
    process: Process
    start: Callable[[], None]
    stop: Callable[[], Any]
    ready: Callable[[], bool]
    port: int
    admin_port: int | None = None


class Stack(Databases):
    """Runs until `down` or the end of this process, whichever comes first: every child is killed with us."""

    def __init__(self, profile: str = "test", replicas: int = 1, preset: str = "debug",
                 only: Literal["all", "infra"] = "all", environment: Mapping[str, Mapping[str, str]] | None = None,
                 data: pathlib.Path | None = None, ports: Mapping[str, int] | None = None,
                 management: bool = False, say: Callable[[str], None] = lambda _: None,
                 linked: bool = False, database_disk_megabytes: int | None = None, standby: bool = False) -> None:
        """`environment`: settings by service ("*": every service) over those of the profile.
        `standby`: PostgreSQL has a second server that follows the first, ("postgres", 2).
        `data`: a folder that is kept; without it one is made and removed. `ports`: fixed ports for
        "api-gateway", "mail-sink", "rabbitmq-management"; every other is free. `linked`: the services reach
        everything through toxiproxy (`links`). `database_disk_megabytes`: PostgreSQL on a tmpfs that `disk` fills."""
        if profile not in PROFILES:
            raise StackError(f"no profile {profile}; there are {', '.join(PROFILES)}")
        if replicas < 1:
            raise StackError("replicas: at least 1")
        self.profile = PROFILES[profile]
        self.replicas = replicas
        self.preset = preset
        self.only = only
        self.management = management
        self.standby = standby
        self.parts: dict[tuple[str, int], Part] = {}
        self.folder = pathlib.Path()
        self.secrets = pathlib.Path()
        self.links: Links | None = None
        self.disk: SmallDisk | None = None
        self._linked = linked
        self._disk_megabytes = database_disk_megabytes
        self._environment = environment or {}
        self._data = data
        self._fixed_ports = ports or {}
        self._say = say
        self._ports = Ports()
        self._lock: Any = None
        self._verbs = threading.RLock()  # one verb at a time: the control socket and a test may meet
        self._up = False

    # ---- life -------------------------------------------------------------------------------------

    def __enter__(self) -> "Stack":
        return self.up()

    def __exit__(self, *_: object) -> None:
        self.down()

    def up(self) -> "Stack":
        """Returns when every part is ready. Raises StackError, with everything taken down again."""
        with self._verbs:
            atexit.register(self.down)
            try:
                self._require_binaries()
                self._make_folder()
                self._up = True
                self._start_everything()
            except (ServerError, RuntimeError, OSError) as error:
                self.down()
                raise StackError(str(error)) from error
            except BaseException:
                self.down()
                raise
            return self

    def down(self) -> None:
        """Ends every part and removes the folder. Safe to repeat."""
        with self._verbs:
            atexit.unregister(self.down)
            keep = self._data is not None
            # Callers before callees, servers last; killed where nothing is to be kept.
            for part in reversed(list(self.parts.values())):
                if keep:
                    part.stop()
                else:
                    part.process.kill()
            self.parts.clear()
            self._ports.release()
            if self.disk:
                self.disk.remove()
                self.disk = None
            if self._up and not keep:
                shutil.rmtree(self.folder, ignore_errors=True)
            if self._lock:
                self._lock.close()
                self._lock = None
            self._up = False

    # ---- verbs ------------------------------------------------------------------------------------

    def part(self, name: str, replica: int = 1) -> Part:
        try:
            return self.parts[name, replica]
        except KeyError:
            known = sorted({f"{part.name}" for part in self.parts.values()})
            raise StackError(f"no part {name} {replica}; there are {', '.join(known)} (replicas 1 to {self.replicas})") from None

    def kill(self, name: str, replica: int = 1) -> None:
        """kill -9, children included."""
        with self._verbs:
            self.part(name, replica).process.kill()

    def stop(self, name: str, replica: int = 1) -> int | None:
        """SIGTERM and wait; the exit code. A part that does not end within its limit is killed (-9)."""
        with self._verbs:
            part = self.part(name, replica)
            part.stop()
            return part.process.exit_code()

    def pause(self, name: str, replica: int = 1) -> None:
        """SIGSTOP: the part keeps its connections and says nothing."""
        with self._verbs:
            self.part(name, replica).process.pause()

    def resume(self, name: str, replica: int = 1) -> None:
        with self._verbs:
            self.part(name, replica).process.resume()

    def start(self, name: str, replica: int = 1, environment: Mapping[str, str] | None = None,
              wait: bool = True, program: pathlib.Path | None = None) -> None:
        """Starts a part that is down, on its old port. `environment` and `program` (another build of a
        service) hold for this start alone."""
        with self._verbs:
            part = self.part(name, replica)
            if part.process.alive():
                raise StackError(f"{name} {replica} runs already")
            if (environment or program) and (name in SERVICES or name in TOOLS):
                self._start_program(part, environment or {}, program)
            else:
                part.start()
            if wait:
                try:
                    wait_until(part.ready, part.process, READY_SECONDS)
                except ServerError as error:
                    raise StackError(str(error)) from error

    def restart(self, name: str, replica: int = 1, environment: Mapping[str, str] | None = None,
                wait: bool = True, program: pathlib.Path | None = None) -> None:
        """stop (when it runs) and start."""
        with self._verbs:
            part = self.part(name, replica)
            if part.process.alive():
                part.stop()
            self.start(name, replica, environment, wait, program)

    def logs(self, name: str, replica: int = 1, lines: int = 50) -> str:
        return self.part(name, replica).process.tail(lines)

    def run_command(self, service: str, *arguments: str, migrate: bool = False, timeout: float = 60,
                    environment: Mapping[str, str] | None = None, program: pathlib.Path | None = None) -> str:
        """Runs `<service> arguments…` with the settings of its first replica; returns what it printed."""
        part = self.part(service)
        settings = self._settings.migrate(service) if migrate else self._environment_of(part)
        return run([program or self._binary(service), *arguments], settings | dict(environment or {}), timeout)

    def url(self, name: str = "api-gateway", replica: int = 1) -> str:
        return f"http://127.0.0.1:{self.part(name, replica).port}"

    def admin_url(self, name: str, replica: int = 1) -> str:
        return f"http://127.0.0.1:{self.part(name, replica).admin_port}"

    def secret(self, name: str) -> str:
        """A file of the secrets folder, as "audit-password" or "order-service/database-password"."""
        return (self.secrets / name).read_text().rstrip("\n")

    def state(self) -> dict[str, Any]:
        """Everything a client needs to know; what the state file holds."""
        with self._verbs:
            parts: dict[str, list[dict[str, Any]]] = {}
            for part in self.parts.values():
                entry = {"replica": part.replica, "port": part.port, "pid": part.process.pid,
                         "state": self._state_of(part), "interruptions": part.process.interruptions,
                         "log": str(part.process.log)}
                if part.name in SERVICES or part.name in TOOLS:
                    entry["url"] = f"http://127.0.0.1:{part.port}"
                if part.admin_port:
                    entry["admin_url"] = f"http://127.0.0.1:{part.admin_port}"
                parts.setdefault(part.name, []).append(entry)
            databases = {database: {"audit": self.dsn(database), "service": self.dsn(database, service),
                                    "migrate": self.dsn(database, f"{service}-migrate")}
                         for service, database in SERVICES_WITH_DATABASE.items()}
            return {"supervisor": os.getpid(), "profile": self.profile.name, "preset": self.preset,
                    "replicas": self.replicas, "folder": str(self.folder), "secrets": str(self.secrets),
                    "parts": parts, "databases": databases, "urls": self._urls(),
                    "rabbitmq": {"host": "127.0.0.1", "port": self.part("rabbitmq").port, "user": "operator",
                                 "password": self.secret("broker-admin-password"),
                                 "management_url": self._management_url()},
                    "redis": {"host": "127.0.0.1", "port": self.part("redis").port,
                              "password": self.secret("redis-password")}}

    def client_environment(self) -> dict[str, str]:
        """For a command that is run against the stack: STOA_URL, STOA_<PART>_URL, STOA_AUDIT_DSN_<DATABASE>."""
        environment = {f"STOA_{name.upper().replace('-', '_')}_URL": url for name, url in self._urls().items() if url}
        environment |= {f"STOA_AUDIT_DSN_{database.upper()}": self.dsn(database)
                        for database in SERVICES_WITH_DATABASE.values()}
        if "api-gateway" in self._urls():
            environment["STOA_URL"] = self._urls()["api-gateway"]
        return environment | {"STOA_SECRETS": str(self.secrets)}

    # ---- how --------------------------------------------------------------------------------------

    @staticmethod
    def _state_of(part: Part) -> str:
        if not part.process.alive():
            code = part.process.exit_code()
            return "not started" if code is None else f"ended with {code}"
        return "paused" if part.process.paused else "running"

    def _urls(self) -> dict[str, str]:
        return {part.name: f"http://127.0.0.1:{part.port}" for part in self.parts.values()
                if part.replica == 1 and (part.name in SERVICES or part.name in TOOLS)}

    def _management_url(self) -> str | None:
        port = self._rabbitmq.management_port
        return f"http://127.0.0.1:{port}" if port else None

    def _binary(self, name: str) -> pathlib.Path:
        return CHECKOUT / "build" / self.preset / "bin" / name

    def _require_binaries(self) -> None:
        if self.only == "infra":
            return
        missing = [name for name in [*SERVICES, *TOOLS] if not self._binary(name).exists()]
        if missing:
            raise StackError(f"not built: {', '.join(missing)} in build/{self.preset}/bin; "
                             f"run: tools/build {self.preset} {' '.join(missing)}")

    def _make_folder(self) -> None:
        try:
            if self._data is not None:
                self.folder = self._data.resolve()
                self.folder.mkdir(mode=0o711, parents=True, exist_ok=True)
                self._lock = take_lock(self.folder)
            else:
                self.folder, self._lock = fresh_folder(disk_folder() if self.profile.on_disk else memory_folder())
        except BlockingIOError:
            raise StackError(f"another stack runs in {self.folder}") from None
        (self.folder / "logs").mkdir(exist_ok=True)

    def _start_everything(self) -> None:
        started = time.monotonic()

        def step(text: str) -> None:
            self._say(f"{time.monotonic() - started:6.2f} s  {text}")

        self._make_secrets()
        step("secrets")
        self._prepare()
        if self._linked:
            self.parts["toxiproxy", 1].start()
        with concurrent.futures.ThreadPoolExecutor() as pool:
            redis = pool.submit(self.parts["redis", 1].start)
            broker = pool.submit(self.parts["rabbitmq", 1].start)
            self.parts["postgres", 1].start()
            self._postgres.bootstrap()
            step("PostgreSQL, with databases and roles")
            if self.only == "all":
                list(pool.map(lambda name: run([self._binary(name), "migrate"], self._settings.migrate(name)),
                              SERVICES_WITH_DATABASE))
                self._make_demo_accounts()
                step("schemas and demo accounts")
            if self.standby:
                self._databases[2].follow(self._postgres)
                step("PostgreSQL's standby")
            redis.result()
            broker.result()
            step("Redis, RabbitMQ with its topology")
            if self.only == "all":
                programs = [part for part in self.parts.values() if part.name in SERVICES or part.name in TOOLS]
                # First the one whose keys all others ask for when they start.
                programs.sort(key=lambda part: part.name != "user-service")
                for part in programs:
                    part.start()
                    if part.name == "user-service":
                        wait_until(part.ready, part.process, READY_SECONDS)
                for part in programs:
                    wait_until(part.ready, part.process, READY_SECONDS)
                step(f"{len(programs)} processes ready")

    def _make_demo_accounts(self) -> None:
        password = os.environ.get("STOA_DEMO_PASSWORD") or "stoa-demo-password"
        run([self._binary("user-service"), "demo"],
            self._environment_of(self.part("user-service")) | {"STOA_DEMO_PASSWORD": password})

    def _make_secrets(self) -> None:
        self.secrets = self.folder / "secrets"
        self._tool("tools/secrets", str(self.secrets))
        definitions = self.folder / "definitions.json"
        self._tool("tools/topology/topology", "definitions", "--secrets", str(self.secrets), "--output", str(definitions))
        for path in [definitions, self.secrets, *self.secrets.rglob("*")]:
            own(path)

    def _tool(self, *command: str) -> None:
        done = subprocess.run([str(CHECKOUT / command[0]), *command[1:]], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise StackError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}")

    def _port(self, name: str) -> int:
        return self._fixed_ports.get(name) or self._ports.take()

    def _prepare(self) -> None:
        """Every part with its port, before any starts: the address lists name them all."""
        folder = self.folder
        profile = self.profile
        if self._disk_megabytes:
            self.disk = SmallDisk(folder / "postgres", self._disk_megabytes)
            profile = profile.with_wal_of(self._disk_megabytes // 4)
        if self._linked:
            links = self.links = Links(folder, self._ports)
            self.parts["toxiproxy", 1] = Part("toxiproxy", 1, links.process, links.start, links.process.stop, links.ready, links.port)
        self._postgres = Postgres(folder / "postgres", self._ports.take(), profile, self.secrets)
        self._redis = Redis(folder / "redis", self._ports.take(), self.secret("redis-password"))
        management = self._port("rabbitmq-management") if self.management else None
        self._rabbitmq = RabbitMq(folder / "rabbitmq", self._ports.take(), self._ports.take(),
                                  folder / "definitions.json", self.secret("broker-cookie"), management)
        for name, server in [("postgres", self._postgres), ("redis", self._redis), ("rabbitmq", self._rabbitmq)]:
            self.parts[name, 1] = Part(name, 1, server.process, server.start, server.stop, server.ready, server.port)
        self._databases = {1: self._postgres}
        if self.standby:
            self._databases[2] = second = Postgres(folder / "postgres-2", self._ports.take(), self.profile, self.secrets)
            self.parts["postgres", 2] = Part("postgres", 2, second.process, second.start, second.stop, second.ready, second.port)
        if self.only == "infra":
            return
        addresses = {name: [f"127.0.0.1:{self.parts[name, 1].port}"] for name in ("redis", "rabbitmq")}
        addresses["postgres"] = [f"127.0.0.1:{server.port}" for server in self._databases.values()]
        addresses["mail-sink-smtp"] = [f"127.0.0.1:{self._port('mail-sink-smtp')}"]
        for name in [*TOOLS, *SERVICES]:
            for replica in range(1, (self.replicas if name in SERVICES else 1) + 1):
                part = self._program(name, replica)
                addresses.setdefault(name, []).append(f"127.0.0.1:{part.port}")
        self._settings = Settings(self.secrets, addresses, self.links.between if self.links else direct)

    def _program(self, name: str, replica: int) -> Part:
        process = Process(f"{name}-{replica}", self.folder / "logs" / f"{name}-{replica}.log")
        port = self._port(name) if replica == 1 else self._ports.take()
        admin_port = self._ports.take()
        part = Part(name, replica, process, lambda: None, process.stop, lambda: True, port, admin_port)
        part.start = lambda: self._start_program(part, {})
        part.ready = lambda: answers(admin_port, "/readyz")
        self.parts[name, replica] = part
        return part

    def _environment_of(self, part: Part) -> dict[str, str]:
        settings = self._settings.service(part.name, part.replica, part.port, part.admin_port or 0)
        settings |= {"STOA_LOG_LEVEL": self.profile.log_level, "STOA_TRACE_RATIO": self.profile.trace_ratio}
        settings |= self.profile.services.get(part.name, {})
        return settings | dict(self._environment.get("*", {})) | dict(self._environment.get(part.name, {}))

    def _start_program(self, part: Part, extra: Mapping[str, str], program: pathlib.Path | None = None) -> None:
        if part.name in SERVICES:
            settings = self._environment_of(part)
        else:
            data = self.folder / part.name
            data.mkdir(exist_ok=True)
            own(data)
            settings = self._settings.tool(part.name, part.port, part.admin_port or 0, data) | dict(self._environment.get(part.name, {}))
        part.process.start([program or self._binary(part.name)], settings | dict(extra))
