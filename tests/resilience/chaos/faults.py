"""Carries out the faults of a schedule on a stack, and undoes them."""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from stack.services import SERVICES

from tests.resilience.chaos.schedule import SERVERS, Fault

if TYPE_CHECKING:
    from stack import Stack

TOXICS = {"latency": "latency", "reset": "reset_peer", "bandwidth": "bandwidth", "silence": "timeout"}
# A slow part runs this long out of each turn.
SLOW_RUN_SECONDS, SLOW_STILL_SECONDS = 0.02, 0.08
# What a client may still meet of a gateway that was away: connections that the kernel had taken.
GRACE_SECONDS = 1.5


@dataclasses.dataclass
class Away:
    """When a replica of the gateway could not answer; `end` is None while it cannot."""

    replica: int
    begin: float
    end: float | None = None


def compile_clock(folder: pathlib.Path) -> pathlib.Path:
    library = folder / "shifted_clock.so"
    source = pathlib.Path(__file__).with_name("shifted_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", library, source], check=True)
    library.chmod(0o644)
    return library


class Faults:
    """`violations` grows by what a fault itself brings to light: a part that does not end or come back as
    promised, or that ended and was not asked to."""

    def __init__(self, stack: Stack) -> None:
        assert stack.links and stack.disk, "the stack must be linked and have a disk that can be filled"
        self.stack = stack
        self.away: list[Away] = []
        self.violations: list[str] = []
        self.provider_repeats = False  # buyers pay by tokens whose webhooks come twice, late and in the wrong order
        self.database_deaths = 0  # by a full disk
        self._clock = compile_clock(stack.folder)
        self._undo: dict[int, Callable[[], None]] = {}

    def begin(self, fault: Fault) -> None:
        """Returns when it holds."""
        if ">" in fault.target:
            self._undo[fault.number] = self._begin_link(fault)
        elif fault.kind == "disk_full":
            self.stack.disk.fill(dict(fault.amounts)["leave_kilobytes"] * 1024)
            self._undo[fault.number] = self._clear_disk
        else:
            self._undo[fault.number] = self._begin_process(fault)

    def end(self, fault: Fault) -> None:
        """Returns when what the fault took is back; what it set off may still be under way."""
        self._undo.pop(fault.number)()

    def unasked_ends(self) -> None:
        """Every part runs while no fault holds; what does not is a violation, and is started again."""
        for (name, replica), part in self.stack.parts.items():
            if not part.process.alive():
                self.violations.append(
                    f"{name} {replica} ended by itself with {part.process.exit_code()}: {part.process.tail(3)[-600:]}"
                )
                self._start(name, replica)

    def _begin_link(self, fault: Fault) -> Callable[[], None]:
        links, pattern = self.stack.links, fault.target
        if fault.kind == "cut":
            hurt = links.cut(pattern)
        else:
            attributes = {"timeout": 0} if fault.kind == "silence" else dict(fault.amounts)
            hurt = links.hurt(pattern, TOXICS[fault.kind], **attributes)
        if not hurt:
            raise ValueError(f"no link is called {pattern}; there are {', '.join(links.names())}")
        return lambda: links.heal(pattern)

    def _begin_process(self, fault: Fault) -> Callable[[], None]:
        gateways = [self._leaves(replica) for replica in fault.replicas] if fault.target == "api-gateway" else []
        undo = getattr(self, f"_begin_{fault.kind}")(fault)

        def back() -> None:
            undo()
            for away in gateways:
                away.end = time.monotonic() + GRACE_SECONDS

        return back

    def _leaves(self, replica: int) -> Away:
        self.away.append(Away(replica, time.monotonic()))
        return self.away[-1]

    def _begin_kill(self, fault: Fault) -> Callable[[], None]:
        for replica in fault.replicas:
            self.stack.kill(fault.target, replica)
        return lambda: self._start_all(fault)

    def _begin_stop(self, fault: Fault) -> Callable[[], None]:
        for replica in fault.replicas:
            self._stop(fault.target, replica)
        return lambda: self._start_all(fault)

    def _begin_restart(self, fault: Fault) -> Callable[[], None]:
        for replica in fault.replicas:
            self._stop(fault.target, replica)
            self._start(fault.target, replica)
        return lambda: None

    def _begin_pause(self, fault: Fault) -> Callable[[], None]:
        for replica in fault.replicas:
            self.stack.pause(fault.target, replica)

        def resume() -> None:
            for replica in fault.replicas:
                self.stack.resume(fault.target, replica)

        return resume

    def _begin_slow(self, fault: Fault) -> Callable[[], None]:
        """It gets a fifth of the time, in turns: answers come, and late."""
        ended = threading.Event()

        def turns() -> None:
            while not ended.is_set():
                for replica in fault.replicas:
                    self.stack.pause(fault.target, replica)
                ended.wait(SLOW_STILL_SECONDS)
                for replica in fault.replicas:
                    self.stack.resume(fault.target, replica)
                ended.wait(SLOW_RUN_SECONDS)

        turner = threading.Thread(target=turns, name=f"slow {fault.target}")
        turner.start()

        def end() -> None:
            ended.set()
            turner.join()

        return end

    def _begin_clock(self, fault: Fault) -> Callable[[], None]:
        environment = {
            "LD_PRELOAD": str(self._clock),
            "SHIFTED_CLOCK_SECONDS": str(dict(fault.amounts)["offset_seconds"]),
        }
        for replica in fault.replicas:
            self._stop(fault.target, replica)
            self._start(fault.target, replica, environment)

        def end() -> None:
            for replica in fault.replicas:
                if not self.stack.part(fault.target, replica).process.alive():
                    self.violations.append(f"{fault.target} {replica} did not live with its clock set wrong")
                self._stop_and_start(fault.target, replica)

        return end

    def _begin_webhooks(self, fault: Fault) -> Callable[[], None]:
        self._stop(fault.target, 1)
        self._start(fault.target, 1, {"STOA_WEBHOOK_EVENTS": "all", "STOA_WEBHOOK_LATE_MS": "700"})
        self.provider_repeats = True

        def end() -> None:
            self.provider_repeats = False
            self._stop_and_start(fault.target, 1)

        return end

    def _clear_disk(self) -> None:
        self.stack.disk.clear()
        if not self.stack.part("postgres").process.alive():
            # Its log found no room, so it ended, as PostgreSQL does: whoever keeps it running starts it again.
            self.database_deaths += 1
            self._start("postgres", 1)

    def _stop(self, name: str, replica: int) -> None:
        """SIGTERM; a service that was asked to end does so by itself, with 0."""
        if not self.stack.part(name, replica).process.alive():
            return
        code = self.stack.stop(name, replica)
        if code != 0 and name in SERVICES:
            self.violations.append(f"{name} {replica} was asked to end and ended with {code}")

    def _start(self, name: str, replica: int, environment: dict[str, str] | None = None) -> None:
        try:
            self.stack.start(name, replica, environment, wait=name in SERVERS)
        except Exception as error:
            self.violations.append(f"{name} {replica} did not come back: {error}")

    def _start_all(self, fault: Fault) -> None:
        for replica in fault.replicas:
            self._start(fault.target, replica)

    def _stop_and_start(self, name: str, replica: int) -> None:
        self._stop(name, replica)
        self._start(name, replica)
