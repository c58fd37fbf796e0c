"""The command line of the stack."""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

from .control import VERBS, ControlServer, ask, socket_of
from .profiles import PROFILES
from .stack import Stack, StackError

HELP = """Runs the platform as processes on free loopback ports.

  stack up [--profile test|proof|bench] [--replicas N] [--preset debug|release] [--only infra]
           [--set SERVICE:NAME=VALUE]... [--data FOLDER] [--port PART=N]... [--management]
           [--linked] [--foreground]
  stack run [the same options] -- CMD...    up, CMD with STOA_URL, STOA_<PART>_URL,
                                            STOA_AUDIT_DSN_<DATABASE>, STOA_STACK_STATE, down; CMD's exit code
  stack status | down
  stack kill|stop|pause|resume|start|restart PART [REPLICA]      start, restart: [--env NAME=VALUE]...
  stack logs PART [REPLICA] [--lines N]

PART: postgres, redis, rabbitmq, payment-simulator, mail-sink, or a service. --state FILE names the file
that tells a client where everything is (default: stoa-stack.json in the folder for temporary files).
"""


def _parser() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--state", type=pathlib.Path,
                        default=pathlib.Path(os.environ.get("STOA_STACK_STATE")
                                             or pathlib.Path(tempfile.gettempdir(), "stoa-stack.json")))
    making = argparse.ArgumentParser(add_help=False)
    making.add_argument("--profile", choices=PROFILES, default="test")
    making.add_argument("--replicas", type=int, default=1)
    making.add_argument("--preset", choices=["debug", "release", "asan", "tsan"], default="debug")
    making.add_argument("--only", choices=["all", "infra"], default="all")
    making.add_argument("--set", action="append", default=[], metavar="SERVICE:NAME=VALUE")
    making.add_argument("--data", type=pathlib.Path)
    making.add_argument("--port", action="append", default=[], metavar="PART=N")
    making.add_argument("--management", action="store_true")
    making.add_argument("--linked", action="store_true")
    parser = argparse.ArgumentParser(prog="tools/stack/stack", description=HELP,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", parents=[shared, making])
    up.add_argument("--foreground", action="store_true")
    run = verbs.add_parser("run", parents=[shared, making])
    run.add_argument("command", nargs="+")
    for verb in ("status", "down"):
        verbs.add_parser(verb, parents=[shared])
    for verb in sorted(VERBS | {"logs"}):
        one = verbs.add_parser(verb, parents=[shared])
        one.add_argument("part")
        one.add_argument("replica", type=int, nargs="?", default=1)
        if verb in ("start", "restart"):
            one.add_argument("--env", action="append", default=[], metavar="NAME=VALUE")
        if verb == "logs":
            one.add_argument("--lines", type=int, default=50)
    return parser


def _pairs(texts: list[str], what: str) -> dict[str, str]:
    for text in texts:
        if "=" not in text:
            raise StackError(f"{what} {text}: NAME=VALUE is wanted")
    return dict(text.split("=", 1) for text in texts)


def _stack(arguments: argparse.Namespace) -> Stack:
    environment: dict[str, dict[str, str]] = {}
    for name, value in _pairs(arguments.set, "--set").items():
        service, _, setting = name.rpartition(":")
        environment.setdefault(service or "*", {})[setting] = value
    ports = {name: int(port) for name, port in _pairs(arguments.port, "--port").items()}
    return Stack(arguments.profile, arguments.replicas, arguments.preset, arguments.only, environment,
                 arguments.data, ports, arguments.management, say=lambda text: print(text, flush=True),
                 linked=arguments.linked)


def _write_state(path: pathlib.Path, stack: Stack) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(stack.state(), file, indent=1)
    partial.rename(path)


class _Served:
    """A stack with its state file and its control socket."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._path: pathlib.Path = arguments.state.resolve()
        if socket_of(self._path).exists():
            try:
                ask(self._path, "status")
            except StackError:
                pass  # left by one that was killed
            else:
                raise StackError(f"a stack runs already ({self._path}); end it with: tools/stack/stack down")
        self.stack = _stack(arguments)

    def __enter__(self) -> "_Served":
        self.stack.up()
        try:
            self.control = ControlServer(self.stack, socket_of(self._path))
            _write_state(self._path, self.stack)
        except BaseException:
            self.stack.down()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # The socket last: a client that asked for `down` waits until it is gone.
        self.stack.down()
        self._path.unlink(missing_ok=True)
        self.control.close()


def _up(arguments: argparse.Namespace) -> int:
    if not arguments.foreground:
        return _up_behind(arguments)
    with _Served(arguments) as served:
        print("ready", flush=True)
        served.control.ended.wait()
    return 0


def _up_behind(arguments: argparse.Namespace) -> int:
    """Starts the supervisor in a session of its own and shows its steps until it is ready."""
    log_path = arguments.state.resolve().with_name(arguments.state.name + ".log")
    with open(log_path, "w") as log:
        supervisor = subprocess.Popen([sys.executable, sys.argv[0], *sys.argv[1:], "--foreground"], stdout=log,
                                      stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
    with open(log_path) as log:
        while True:
            ended = supervisor.poll() is not None
            for line in log:
                if line == "ready\n":
                    print(f"ready; state in {arguments.state}")
                    return 0
                print(line, end="", flush=True)
            if ended:
                return supervisor.returncode or 1
            time.sleep(0.02)


def _run(arguments: argparse.Namespace) -> int:
    with _Served(arguments) as served:
        environment = os.environ | served.stack.client_environment() | {
            "STOA_STACK_STATE": str(arguments.state.resolve())}
        return subprocess.run(arguments.command, env=environment, check=False).returncode


def _status(arguments: argparse.Namespace) -> int:
    state = ask(arguments.state, "status")
    print(f"profile {state['profile']}, preset {state['preset']}, {state['folder']}")
    for name, replicas in state["parts"].items():
        for part in replicas:
            print(f"{name:<22} {part['replica']}  {part['state']:<16} port {part['port']}  pid {part['pid']}")
    return 0


def _down(arguments: argparse.Namespace) -> int:
    ask(arguments.state, "down")
    deadline = time.monotonic() + 60
    while socket_of(arguments.state).exists() or arguments.state.exists():
        if time.monotonic() > deadline:
            raise StackError("the stack did not end within 60 s")
        time.sleep(0.01)
    return 0


def main() -> int:
    # A terminated supervisor takes its stack down as one that was asked to.
    for terminating in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(terminating, lambda number, _: sys.exit(128 + number))
    arguments = _parser().parse_args()
    try:
        if arguments.verb in ("up", "run", "status", "down"):
            return {"up": _up, "run": _run, "status": _status, "down": _down}[arguments.verb](arguments)
        details = {"name": arguments.part, "replica": arguments.replica}
        if arguments.verb in ("start", "restart"):
            details["environment"] = _pairs(arguments.env, "--env")
        if arguments.verb == "logs":
            details["lines"] = arguments.lines
        answer = ask(arguments.state, arguments.verb, **details)
        if answer is not None:
            print(answer)
        return 0
    except StackError as error:
        print(f"stack: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
