"""The measuring programs against a shop, small: not what they measure, but that they do."""

import os
import re
import subprocess

from bench.parts import CHECKOUT

SECONDS_MAX = 600
PRESET = os.environ.get("STOA_TEST_PRESET", "debug")
# What a run must print of each row; the sustained rate is left out, for it needs a machine that has time.
ROWS = ["memory idle", "starts", "images", "calibration", "product by id", "list, uncached", "list, cached",
        "text search, uncached", "users/me", "order accepted", "POST to paid", "memory after load"]  # fmt: skip


def run(program: str, *arguments: str) -> str:
    command = ["python3", CHECKOUT / "bench" / program, "--small", "--preset", PRESET, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_bench_measures_every_row_and_asks_the_audit():
    groups = [word for group in ("footprint", "reads", "accepted", "latency") for word in ("--only", group)]
    printed = run("run.py", *groups)
    told = dict(re.findall(r"^ *\d+ s  ([^:]+): (.+)$", printed, re.MULTILINE))
    assert set(ROWS) <= set(told), printed
    assert re.search(r"^audit: {'violations': 0", printed, re.MULTILINE), printed
    assert re.search(r"^POST to paid at 100/s, p50 +[\d.,]+ ", printed, re.MULTILINE), printed


def test_a_sweep_makes_the_catalogue_grow():
    printed = run("sweep.py", "--only", "products")
    for count in (200, 400):
        assert re.search(rf"^{count} products, text search, uncached: [\d.,]+ µs", printed, re.MULTILINE), printed
