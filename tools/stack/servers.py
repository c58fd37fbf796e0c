"""The three servers behind the services, private to one stack."""
import contextlib
import http.client
import json
import pathlib
import shutil
import signal
import socket
import time
from collections.abc import Callable

from .process import Process, own, run
from .profiles import Profile

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]


class ServerError(Exception):
    pass


def answers(port: int, path: str) -> bool:
    """Whether a GET on the loopback is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until(ready: Callable[[], bool], process: Process, timeout: float, every: float = 0.005) -> None:
    deadline = time.monotonic() + timeout
    while not ready():
        if not process.alive():
            raise ServerError(f"{process.name} ended with {process.exit_code()}:\n{process.tail()}")
        if time.monotonic() > deadline:
            raise ServerError(f"{process.name} is not ready after {timeout:g} s:\n{process.tail()}")
        time.sleep(every)


def _private_folder(path: pathlib.Path) -> pathlib.Path:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    own(path)
    return path


# What a standby calls itself, and its replication slot.
_STANDBY = "standby"


class Postgres:
    """PostgreSQL 17. Over TCP with passwords, as in production; its superuser only by the socket in
    the data's folder. `settings` are this server's own, over those of the profile."""

    def __init__(self, folder: pathlib.Path, port: int, profile: Profile, secrets: pathlib.Path) -> None:
        self.folder = _private_folder(folder)
        self.port = port
        self.settings: dict[str, str] = {}
        self.process = Process(folder.name, folder.parent / "logs" / f"{folder.name}.log")
        self._profile = profile
        self._secrets = secrets

    @staticmethod
    def binaries() -> pathlib.Path:
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("17*/bin"))
        if not found:
            raise ServerError("PostgreSQL 17 is not installed: run inside the Debian 13 root (tools/root exec …)")
        return found[-1]

    def start(self) -> None:
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            run([self.binaries() / "initdb", "-D", data, "-U", "postgres", "--auth-local=trust",
                 "--auth-host=scram-sha-256", "-E", "UTF8", "--locale-provider=builtin",
                 "--builtin-locale=C.UTF-8", "--locale=C", "--no-sync", "--no-instructions"], {})
        settings = self._profile.postgres | {"unix_socket_directories": str(self.folder)} | self.settings
        options = [argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")]
        self.process.start([self.binaries() / "postgres", "-D", data, "-p", str(self.port), *options], {})
        wait_until(self.ready, self.process, timeout=60)

    def ready(self) -> bool:
        with contextlib.suppress(RuntimeError):
            run([self.binaries() / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], {})
            return True
        return False

    def bootstrap(self) -> None:
        run([self.binaries() / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p", str(self.port),
             "-U", "postgres", "-d", "postgres", "-f", CHECKOUT / "deploy/postgres/bootstrap.sql"],
            {"STOA_SECRETS": str(self._secrets)})

    def sql(self, statement: str) -> str:
        """As the superuser, outside of a transaction; what it printed, one row a line."""
        return run([self.binaries() / "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-h", self.folder, "-p",
                    str(self.port), "-U", "postgres", "-d", "postgres", "-c", statement], {}).strip()

    def follow(self, primary: "Postgres") -> None:
        """Throws away what it holds, takes a copy of `primary`, and starts as its standby (asynchronous)."""
        data = self.folder / "data"
        shutil.rmtree(data, ignore_errors=True)
        primary.sql(f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '{_STANDBY}'")
        run([self.binaries() / "pg_basebackup", "-h", primary.folder, "-p", str(primary.port), "-U", "postgres", "-D", data,
             "-c", "fast", "-X", "stream", "-C", "-S", _STANDBY], {}, timeout=120)
        with open(data / "postgresql.auto.conf", "a") as settings:
            # The copy must not wait for a standby of its own when it is promoted.
            settings.write("synchronous_standby_names = ''\n" f"primary_slot_name = '{_STANDBY}'\n"
                           f"primary_conninfo = 'host={primary.folder} port={primary.port} user=postgres application_name={_STANDBY}'\n")
        (data / "standby.signal").touch()
        own(data / "standby.signal")
        self.start()
        wait_until(lambda: primary.sql("SELECT state FROM pg_stat_replication") == "streaming", self.process, timeout=60, every=0.02)

    def wait_for_standby(self, synchronous: bool) -> None:
        """Whether a commit is answered only when the standby has it on its disk too."""
        self.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{_STANDBY if synchronous else ''}'")
        self.sql("SELECT pg_reload_conf()")
        wanted = "sync" if synchronous else "async"
        wait_until(lambda: self.sql("SELECT sync_state FROM pg_stat_replication") == wanted, self.process, timeout=10, every=0.02)

    def promote(self) -> None:
        """A standby becomes a primary; returns when it takes writes."""
        self.sql("SELECT pg_promote(true, 60)")
        wait_until(lambda: self.sql("SELECT pg_is_in_recovery()") == "f", self.process, timeout=60)

    def dsn(self, database: str, role: str, password: str | None = None) -> str:
        """libpq keywords; without a password as the services take it, with one for a client of a test."""
        text = f"host=127.0.0.1 port={self.port} dbname={database} user={role}"
        return text if password is None else f"{text} password={password}"

    def stop(self) -> None:
        self.process.stop(signal.SIGINT)  # "fast": running statements are rolled back


class Redis:
    def __init__(self, folder: pathlib.Path, port: int, password: str) -> None:
        self.folder = _private_folder(folder)
        self.port = port
        self.process = Process("redis", folder.parent / "logs" / "redis.log")
        self._password = password

    def start(self) -> None:
        # By standard input, since an argument would be seen in the process list. A cache keeps nothing.
        configuration = (f'port {self.port}\nbind 127.0.0.1\ndir {self.folder}\nsave ""\nappendonly no\n'
                         f"maxmemory 128mb\nmaxmemory-policy allkeys-lru\nrequirepass {self._password}\n")
        self.process.start(["/usr/bin/redis-server", "-"], {}, stdin=configuration)
        wait_until(self.ready, self.process, timeout=10)

    def ready(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as redis:
            redis.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2 and (more := redis.recv(256)):
                answer += more
            return answer == b"+OK\r\n+PONG\r\n"
        return False

    def stop(self) -> None:
        self.process.kill()  # nothing to keep, and its clean end takes 100 ms


# What a node without any plugin loads. The boot script puts every plugin found on the path into the
# VM, so a folder with these alone starts in a third of the time of the packaged script.
_BROKER_LIBRARIES = """rabbit rabbit_common rabbitmq_prelaunch ra aten gen_batch_server khepri
    khepri_mnesia_migration horus osiris seshat cuttlefish getopt enough ranch recon observer_cli redbug
    stdout_formatter syslog sysmon_handler systemd thoas credentials_obfuscation amqp10_common""".split()
_MANAGEMENT_LIBRARIES = """rabbitmq_management rabbitmq_management_agent rabbitmq_web_dispatch cowboy cowlib
    amqp_client oauth2_client jose base64url""".split()


# As the image does: an idle scheduler sleeps. By default it spins a while in the hope of work, on cores
# that the services share.
_BROKER_IDLES = "+sbwt none +sbwtdcpu none +sbwtdio none".split()

# Erlang's many threads wait long for their turn where others compile; one that ends is noticed at once.
_BROKER_READY_SECONDS = 180


class RabbitMq:
    """RabbitMQ 4 with the project's topology loaded before its listener opens."""

    def __init__(self, folder: pathlib.Path, port: int, distribution_port: int, definitions: pathlib.Path,
                 cookie: str, management_port: int | None = None) -> None:
        self.folder = _private_folder(folder)
        self.port = port
        self.management_port = management_port
        self.process = Process("rabbitmq", folder.parent / "logs" / "rabbitmq.log")
        self._distribution_port = distribution_port
        self._definitions = definitions
        self._cookie = cookie

    @staticmethod
    def home() -> pathlib.Path:
        found = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-4*"))
        if not found:
            raise ServerError("RabbitMQ 4 is not installed: run inside the Debian 13 root (tools/root exec …)")
        return found[-1]

    def _libraries(self) -> pathlib.Path:
        wanted = _BROKER_LIBRARIES + (_MANAGEMENT_LIBRARIES if self.management_port else [])
        slim = _private_folder(self.folder / "plugins-slim")
        for name in wanted:
            found = sorted(self.home().glob(f"plugins/{name}-*"))
            if not found:
                raise ServerError(f"RabbitMQ's library {name} is missing in {self.home()}/plugins")
            link = slim / found[-1].name
            if not link.is_symlink():
                link.symlink_to(found[-1])
        return slim

    def _write(self, name: str, text: str, mode: int = 0o600) -> None:
        path = self.folder / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)
        own(path)

    def _configure(self) -> None:
        self._write(".erlang.cookie", self._cookie, 0o400)
        self._write("plugins", "[rabbitmq_management].\n" if self.management_port else "[].\n")
        sections = [f'{{rabbit, [{{load_definitions, "{self._definitions}"}}]}}']
        if self.management_port:
            sections.append("{rabbitmq_management, [{tcp_config, [{port, %d}, {ip, \"127.0.0.1\"}]}]}"
                            % self.management_port)
        self._write("advanced.config", "[" + ",\n ".join(sections) + "].\n")

    def start(self) -> None:
        self._configure()
        slim, folder = self._libraries(), self.folder
        environment = {
            "HOME": folder, "ERL_LIBS": slim, "RABBITMQ_PLUGINS_DIR": slim, "RABBITMQ_HOME": self.home(),
            "SYS_PREFIX": "", "RABBITMQ_NODENAME": "rabbit@localhost", "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": self.port, "RABBITMQ_DIST_PORT": self._distribution_port,
            "RABBITMQ_MNESIA_BASE": folder / "db", "RABBITMQ_LOG_BASE": folder / "log", "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins", "RABBITMQ_FEATURE_FLAGS_FILE": folder / "flags",
            "RABBITMQ_CONFIG_FILE": folder / "absent", "RABBITMQ_ADVANCED_CONFIG_FILE": folder / "advanced.config",
            "RABBITMQ_GENERATED_CONFIG_DIR": folder / "generated", "RABBITMQ_SCHEMA_DIR": folder / "schema",
            "RABBITMQ_PID_FILE": folder / "pid",
        }
        # No port mapper daemon: it would outlive us, and two nodes of one name could not register.
        self.process.start(
            ["erl", "+W", "w", *_BROKER_IDLES, "-noinput", "-s", "rabbit", "boot", "-boot", "start_sasl", "-sname",
             "rabbit@localhost", "-start_epmd", "false", "-erl_epmd_port", str(self._distribution_port),
             "-syslog", "logger", "[]", "-syslog", "syslog_error_logger", "false",
             "-kernel", "prevent_overlapping_partitions", "false"],
            {name: str(value) for name, value in environment.items()})
        wait_until(self.ready, self.process, timeout=_BROKER_READY_SECONDS, every=0.02)

    def ready(self) -> bool:
        """Its listener opens last, so the first bytes of a greeting mean that all else is up."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as broker:
            broker.settimeout(2)
            broker.sendall(b"AMQP\x00\x00\x09\x01")
            return broker.recv(3) == b"\x01\x00\x00" and self._survives_a_kill()
        return False

    def _survives_a_kill(self) -> bool:
        """Whether the names of all queues are on disk: the broker writes those of new quorum queues up to
        0.5 s after their declaration, and a queue killed before that never comes back."""
        names = b"".join(file.read_bytes() for file in self.folder.glob("db/*/quorum/*/names.dets"))
        queues = json.loads(self._definitions.read_text())["queues"]
        return all(b"%2F_" + queue["name"].encode() in names for queue in queues)

    def control(self, *arguments: str) -> str:
        """rabbitmqctl against this node. A VM each: about 0.7 s."""
        command = shutil.which("rabbitmqctl", path="/usr/lib/rabbitmq/bin") or str(self.home() / "sbin/rabbitmqctl")
        return run([command, "-n", "rabbit@localhost", *arguments], {
            "HOME": str(self.folder), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CTL_ERL_ARGS": f"-start_epmd false -erl_epmd_port {self._distribution_port} -dist_listen false"})

    def stop(self) -> None:
        self.process.stop(timeout=30)
