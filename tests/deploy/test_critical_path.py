"""What a change waits for, by the needs of ci.yml."""

from __future__ import annotations

import pytest

from tests.deploy.conftest import run

JOBS = ("changed", "commits", "secrets", "check", "unit", "journey", "sanitizers", "images", "scan", "deploy", "gate")


def path(seconds: dict[str, float], *words):
    return run("deploy/ci/critical-path", *words, stdin="".join(f"{job} {time}\n" for job, time in seconds.items()))


EACH_A_SECOND = dict.fromkeys(JOBS, 1)


@pytest.mark.parametrize(("longer", "says"), [
    ({}, "changed 1 s → images 1 s → scan 1 s → gate 1 s: 4 s of 11 s in all jobs"),
    ({"unit": 9}, "changed 1 s → unit 9 s → gate 1 s: 11 s of 19 s"),
    ({"deploy": 9.5}, "deploy 9.5 s → gate 1 s: 10.5 s of 19.5 s"),
], ids=["the longest chain", "a slow job", "one that waits for nothing"])
def test_the_longest_chain_is_named(longer, says, checked):
    done = path(EACH_A_SECOND | longer)
    assert done.returncode == 0 and says in done.stdout, done.stdout
    checked("critical paths", [says])


def test_too_long_and_what_is_not_known_are_refused():
    assert path(EACH_A_SECOND, "--max", "4").returncode == 0
    assert path(EACH_A_SECOND, "--max", "3.9").returncode == 1
    done = path(EACH_A_SECOND | {"lunch": 3600})
    assert done.returncode == 2 and "no such job: lunch" in done.stdout
    done = path({job: 1 for job in JOBS if job != "unit"})
    assert done.returncode == 2 and "no time of unit" in done.stdout
