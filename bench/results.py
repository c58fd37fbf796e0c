"""Where results are kept: each run appends a line to bench/results/KIND.jsonl, which nobody commits; those that the
documents show are in bench/results/published/, one file a kind, put there by `make bench-publish`."""

from __future__ import annotations

import datetime
import json
import os
import pathlib
import subprocess

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = CHECKOUT / "bench/results"
KINDS = ["bench", "build", "sweep"]


def commit() -> str:
    """Of the sources, marked when they differ from it; STOA_BENCH_COMMIT says it of a copy without a history."""
    if told := os.environ.get("STOA_BENCH_COMMIT"):
        return told
    done = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", CHECKOUT, "describe", "--always", "--dirty", "--abbrev=10", "--exclude=*"],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def today() -> str:
    return datetime.datetime.now(datetime.UTC).date().isoformat()


def result(kind: str, facts: dict, settings: dict, rows: dict, **more: object) -> dict:
    at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"kind": kind, "at": at, "commit": commit(), "machine": facts, "settings": settings, **more, "rows": rows}


def append(one: dict, folder: pathlib.Path = RESULTS) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{one['kind']}.jsonl").open("a") as file:
        file.write(json.dumps(one, ensure_ascii=False) + "\n")


def latest(folder: pathlib.Path = RESULTS) -> list[dict]:
    """The last run of each kind, those that were never run left out."""
    found = []
    for kind in KINDS:
        file = folder / f"{kind}.jsonl"
        lines = file.read_text().splitlines() if file.exists() else []
        if lines:
            found.append(json.loads(lines[-1]))
    return found


def published(folder: pathlib.Path = RESULTS / "published") -> list[dict]:
    return [json.loads(file.read_text()) for kind in KINDS if (file := folder / f"{kind}.json").exists()]


def publish(results: list[dict], folder: pathlib.Path = RESULTS / "published") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for one in results:
        (folder / f"{one['kind']}.json").write_text(json.dumps(one, ensure_ascii=False, indent=1) + "\n")
