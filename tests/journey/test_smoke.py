"""The smoke test of a deployment, against a real stack: green where one can buy, red where one cannot."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

SMOKE = pathlib.Path(__file__).resolve().parents[2] / "deploy/ci/smoke"


def smoke(address: str, payment: str = "tok_ok") -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, SMOKE, address, "--seconds", "60"], text=True, check=False, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=os.environ | {"STOA_SMOKE_PAYMENT": payment})


def test_one_can_buy_and_nothing_stays(shop):
    shop.stock_product(shop.staff(), stock=5)
    done = smoke(shop.gateway)
    assert done.returncode == 0, done.stdout
    steps = [line.split(" ")[1] for line in done.stdout.splitlines()]
    assert steps == ["registered", "found", "ordered", "paid", "cancelled", "account", "ok"]


def test_a_payment_that_is_declined_is_red(shop):
    shop.stock_product(shop.staff(), stock=5)
    done = smoke(shop.gateway, payment="tok_declined")
    assert done.returncode == 1 and "is payment_failed, not paid" in done.stdout, done.stdout
