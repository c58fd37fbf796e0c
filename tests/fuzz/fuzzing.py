"""Runs the libFuzzer targets of the preset asan: `tests/fuzz/run`, `make fuzz`, and a section of the proof."""

from __future__ import annotations

import concurrent.futures
import dataclasses
import os
import pathlib
import re
import subprocess
import time
from collections.abc import Callable

FOLDER = pathlib.Path(__file__).resolve().parent
CHECKOUT = FOLDER.parent.parent
PROGRAMS = CHECKOUT / "build" / "asan" / "fuzz"
FOUND = CHECKOUT / "build" / "fuzz"  # what was found, input by input; kept from run to run
PLANTED = "planted"  # a target with a mistake in it, to see that it is found

INPUT_BYTES_MAX = 4_096
INPUT_SECONDS_MAX = 10  # one input that takes longer is a hang
MEMORY_MIB_MAX = 1_024
START_SECONDS_MAX = 120
EXECUTIONS_A_SECOND_MIN = 100  # on a machine that does much else
PARALLEL = 2  # what the smallest supported machine has


@dataclasses.dataclass(frozen=True)
class Fuzzed:
    target: str
    executions: int
    features: int  # that the coverage tells apart
    seconds: float
    finding: str  # "" or what broke, and the input that shows it


def targets() -> list[str]:
    names = (file.name.removesuffix("_fuzz.cpp") for file in FOLDER.glob("*_fuzz.cpp"))
    return sorted(name for name in names if name != PLANTED)


def build() -> None:
    subprocess.run([CHECKOUT / "tools" / "build", "asan", "fuzz_targets"], cwd=CHECKOUT, check=True, stdout=subprocess.DEVNULL)


def figures_of(text: str) -> tuple[int, int]:
    """Executions and features, of what libFuzzer says."""
    executed = re.search(r"stat::number_of_executed_units: (\d+)", text)
    features = re.findall(r"\bft: (\d+)", text)
    return int(executed[1]) if executed else 0, int(features[-1]) if features else 0


def finding_of(code: int, text: str) -> str:
    """What broke, with the file that shows it; "" when nothing did."""
    if code == 0:
        return ""
    invariant = re.search(r'"event":"invariant_broken","what":"([^"]+)"', text)
    report = re.search(r".*runtime error: .+|SUMMARY: .+", text)
    said = f"not so: {invariant[1]}" if invariant else report[0] if report else text[-300:]
    shown = re.search(r"Test unit written to (\S+)", text)
    return f"{said} ({shown[1] if shown else f'ended with {code}'})"


def fuzz(target: str, *, seed: int, runs: int = 0, seconds: int = 0, found: pathlib.Path = FOUND) -> Fuzzed:
    """Either `runs` executions or `seconds`. It begins with the inputs of the tree and of `found`, where
    new ones go, so that with an empty folder the same seed does the same."""
    kept = found / target
    kept.mkdir(parents=True, exist_ok=True)
    corpus = FOLDER / "corpus" / target
    command = [
        str(PROGRAMS / f"{target}_fuzz"),
        f"-seed={seed}",
        f"-max_len={INPUT_BYTES_MAX}",
        f"-timeout={INPUT_SECONDS_MAX}",
        f"-rss_limit_mb={MEMORY_MIB_MAX}",
        f"-artifact_prefix={found}/{target}-",
        "-print_final_stats=1",
        f"-runs={runs}" if runs else f"-max_total_time={seconds}",
        str(kept),
        *([str(corpus)] if corpus.is_dir() else []),
    ]
    environment = dict(os.environ, ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=0:handle_abort=0")
    began = time.monotonic()
    limit = START_SECONDS_MAX + (seconds or runs // EXECUTIONS_A_SECOND_MIN)
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=environment, timeout=limit)
        code, text = done.returncode, done.stdout + done.stderr
    except subprocess.TimeoutExpired:
        code, text = -1, f"did not end in {limit} s"
    (found / f"{target}.log").write_text(text)
    executions, features = figures_of(text)
    return Fuzzed(target, executions, features, time.monotonic() - began, finding_of(code, text))


def fuzz_all(
    names: list[str], *, seed: int, runs: int = 0, seconds: int = 0, found: pathlib.Path = FOUND, say: Callable[[str], None] = print
) -> list[Fuzzed]:
    results = []
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        waiting = [pool.submit(fuzz, name, seed=seed, runs=runs, seconds=seconds, found=found) for name in names]
        for each in concurrent.futures.as_completed(waiting):
            result = each.result()
            say(
                f"{result.target:20} {result.executions:>10,} executions {result.features:>7,} features"
                f" {result.seconds:6.1f} s  {result.finding or 'nothing found'}"
            )
            results.append(result)
    return sorted(results, key=lambda result: result.target)
