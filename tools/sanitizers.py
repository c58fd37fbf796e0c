"""Where a sanitizer leaves what it finds, so that a report of a program that nobody watches is not lost."""

from __future__ import annotations

import pathlib

_OPTIONS = {
    # A library may be preloaded before its own: the clock that chaos sets wrong.
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1:verify_asan_link_order=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def options(log: pathlib.Path) -> dict[str, str]:
    """The environment of a program of the presets asan and tsan: each process reports to `log`.PID, an absolute path."""
    return {name: f"{value}:log_path={log}" for name, value in _OPTIONS.items()}


def reports(log: pathlib.Path) -> list[pathlib.Path]:
    """Empty: no process that was given options(log) had anything to report."""
    return sorted(log.parent.glob(f"{log.name}.*"))
