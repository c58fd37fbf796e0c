"""One process of the stack: started unprivileged, killed with its parent, signalled with its children."""
import contextlib
import os
import pathlib
import pwd
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

USER = "build"  # who runs everything when we are root: PostgreSQL refuses uid 0


class _Spawner:
    """Starts every process from one thread that lives as long as we do: the kernel delivers the
    parent-death signal when the *thread* that forked ends."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue = queue.SimpleQueue()
        threading.Thread(target=self._work, name="spawner", daemon=True).start()

    def _work(self) -> None:
        while True:
            job, answer = self._jobs.get()
            try:
                answer.put((job(), None))
            except OSError as error:
                answer.put((None, error))

    def spawn(self, job: Callable[[], subprocess.Popen]) -> subprocess.Popen:
        answer: queue.SimpleQueue = queue.SimpleQueue()
        self._jobs.put((job, answer))
        process, error = answer.get()
        if error is not None:
            raise error
        return process


_spawner: _Spawner | None = None
_spawner_lock = threading.Lock()


def _spawn(job: Callable[[], subprocess.Popen]) -> subprocess.Popen:
    global _spawner
    with _spawner_lock:
        if _spawner is None:
            _spawner = _Spawner()
    return _spawner.spawn(job)


def _confinement() -> list[str]:
    """setpriv takes the uid first and the death signal after it: a change of uid would clear it."""
    if os.getuid() != 0:
        return ["setpriv", "--pdeathsig", "KILL"]
    return ["setpriv", "--reuid", USER, "--regid", USER, "--clear-groups", "--pdeathsig", "KILL"]


def own(path: pathlib.Path) -> None:
    """Gives a file or folder to whoever runs the processes."""
    if os.getuid() == 0:
        entry = pwd.getpwnam(USER)
        os.chown(path, entry.pw_uid, entry.pw_gid)


def run(command: Sequence[str | os.PathLike], env: dict[str, str], timeout: float = 60) -> str:
    """Runs a short command as a process of the stack would run; returns what it printed."""
    process = _spawn(lambda: subprocess.Popen(
        [*_confinement(), *map(str, command)], env=_environment(env), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd="/", start_new_session=True))
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise RuntimeError(f"{command[0]} did not end within {timeout} s:\n{output}") from None
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output}")
    return output


def _environment(env: dict[str, str]) -> dict[str, str]:
    # Nothing of the caller's environment reaches a part: a stray STOA_ name would be refused by it.
    base = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
            "TZ": "UTC", "HOME": "/nonexistent"}
    return base | env


def _children() -> dict[int, list[int]]:
    tree: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = pathlib.Path(entry.path, "stat").read_text()
                # The name in parentheses may hold anything, so count from its end.
                parent = int(stat[stat.rindex(")") + 2:].split()[1])
                tree.setdefault(parent, []).append(int(entry.name))
    return tree


class Process:
    """A named process with a log file. `pid` is the part's own: setpriv becomes it by exec."""

    def __init__(self, name: str, log: pathlib.Path) -> None:
        self.name = name
        self.log = log
        self.paused = False
        self.interruptions = 0  # how often it was started again or paused
        self._popen: subprocess.Popen | None = None

    @property
    def pid(self) -> int | None:
        return self._popen.pid if self.alive() and self._popen else None

    def start(self, command: Sequence[str | os.PathLike], env: dict[str, str], stdin: str | None = None) -> None:
        assert not self.alive(), f"{self.name} runs already"
        self.interruptions += self._popen is not None
        self.paused = False
        with open(self.log, "ab") as log:
            self._popen = _spawn(lambda: subprocess.Popen(
                [*_confinement(), *map(str, command)], env=_environment(env), cwd="/", stdout=log,
                stderr=log, stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
                start_new_session=True))
        if stdin is not None and self._popen.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.write(stdin.encode())
                self._popen.stdin.close()

    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def exit_code(self) -> int | None:
        return self._popen.poll() if self._popen else None

    def tree(self) -> list[int]:
        """Our process and all below it, parents first (PostgreSQL's backends have sessions of their own)."""
        if not self.alive() or self._popen is None:
            return []
        children, found = _children(), [self._popen.pid]
        for pid in found:
            found.extend(children.get(pid, []))
        return found

    def _signal_all(self, pids: list[int], number: signal.Signals) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill(self) -> None:
        """kill -9 of the process and everything below it; returns when all of it is gone."""
        # Stopped first, so that none forks between the look and the blow.
        self._signal_all(self.tree(), signal.SIGSTOP)
        pids = self.tree()
        self._signal_all(pids, signal.SIGKILL)
        if self._popen:
            self._popen.wait()
        deadline = time.monotonic() + 5
        while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.002)
        self.paused = False

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout: float = 15) -> int | None:
        """Asks it to end and waits; kills it when it does not. Returns its exit code."""
        if not self.alive() or self._popen is None:
            return self.exit_code()
        if self.paused:
            self.resume()
        self._popen.send_signal(number)
        try:
            return self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.exit_code()

    def pause(self) -> None:
        self._signal_all(self.tree(), signal.SIGSTOP)
        self.interruptions += 1
        self.paused = True

    def resume(self) -> None:
        self._signal_all(self.tree(), signal.SIGCONT)
        self.paused = False

    def tail(self, lines: int = 20) -> str:
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def _runs(pid: int) -> bool:
    """A zombie does not run: it waits for its reader (PostgreSQL's orphans for the machine's init)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] != "Z"
