"""What the services really answer is what contracts/http promises.

schemathesis, an independent client, generates requests from each OpenAPI file and sends them to the
running service itself, not through the gateway.
"""

from __future__ import annotations

import pathlib
import subprocess

import pytest

CHECKOUT = pathlib.Path(__file__).resolve().parent.parent.parent
CONTRACTS = sorted((CHECKOUT / "contracts/http").glob("*-*.yaml"))
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def test_there_is_a_contract_for_each_service_with_endpoints() -> None:
    assert {c.stem for c in CONTRACTS} >= {
        "api-gateway", "user-service", "product-service", "order-service", "payment-service",
    }  # fmt: skip


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda c: c.stem)
def test_generated_requests_meet_only_promised_answers(contract, stack, shop, staff) -> None:
    # user-service lets its caller erase themselves: somebody whom nobody will miss.
    caller = shop.sign_up() if contract.stem == "user-service" else staff
    venv = subprocess.run([CHECKOUT / "tools/venv"], check=True, capture_output=True, text=True).stdout.strip()
    done = subprocess.run(
        [
            f"{venv}/bin/schemathesis", "run", str(contract), "--url", stack.url(contract.stem),
            "--header", f"Authorization: Bearer {caller.tokens['access_token']}",
            "--checks", CHECKS, "--max-examples", "25", "--seed", "1", "--workers", "2",
            "--exclude-path-regex", "^/internal|logout-all", "--request-timeout", "10",
            "--generation-database", "none", "--suppress-health-check", "all", "--no-color",
        ],
        capture_output=True, text=True, check=False, cwd="/tmp",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-1000:]
