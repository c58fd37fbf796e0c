"""What the measuring programs work out for themselves."""

import json
import pathlib
import subprocess
import tempfile
import uuid

import pytest

from bench import builds, calibration, machine, market, openloop, rows, saga, sweep
from bench.figures import figure
from bench.parts import CHECKOUT, Failed
from bench.results import commit
from tests.type_id import type_id, uuid_of


def test_ids_are_told_as_the_services_tell_them():
    text = "0190f4c0-7d3a-7b1c-9c1d-0123456789ab"
    assert uuid_of(type_id("ord", text)) == text
    assert type_id("ord", str(uuid.UUID(int=0))) == "ord_" + "0" * 26


def test_a_cursor_differs_for_each_place():
    product = str(uuid.UUID(int=7))
    assert market.cursor("k" * 16, 1, product) != market.cursor("k" * 16, 2, product)
    assert not set("+/=") & set(market.cursor("k" * 16, 1, product)), "it stands in a query string as it is"


METRICS = """# HELP stoa_loop_lag_seconds x
stoa_loop_lag_seconds_bucket{loop="0",le="0.001"} 900
stoa_loop_lag_seconds_bucket{loop="0",le="0.005"} 990
stoa_loop_lag_seconds_bucket{loop="0",le="+Inf"} 1000
stoa_loop_lag_seconds_bucket{loop="1",le="0.001"} 100
stoa_loop_lag_seconds_bucket{loop="1",le="0.005"} 100
stoa_loop_lag_seconds_bucket{loop="1",le="+Inf"} 100
"""


def test_loops_are_late_by_the_bound_that_holds_nearly_all_their_timers():
    found = rows.buckets(METRICS)
    assert found == {0.001: 1000, 0.005: 1090, float("inf"): 1100}
    nothing = dict.fromkeys(found, 0)
    assert rows.latest(nothing, found, share=0.9) == 0.001
    assert rows.latest(nothing, found, share=0.99) == 0.005
    assert rows.latest(nothing, found, share=0.999) == float("inf")
    with pytest.raises(Failed):
        rows.buckets("stoa_other 1\n")


@pytest.mark.parametrize("spoilt", [{"non_2xx": 1}, {"socket_errors": 1}, {"requests": 0}])
def test_a_figure_over_failed_requests_is_refused(spoilt):
    good = {"requests": 10, "non_2xx": 0, "socket_errors": 0}
    rows.require_answers("x", good)
    with pytest.raises(Failed):
        rows.require_answers("x", good | spoilt)


def test_orders_that_a_paced_load_was_refused_are_counted():
    counted = {"without_retry_after": 0, "without_id": 0, "accepted_ms": []}
    threads = [counted | {"by_status": {"201": 90, "429": 4}}, counted | {"by_status": {"201": 10, "503": 1}}]
    told = {"requests": 107, "seconds": 1.0, "socket_errors": 2, "threads": threads}
    assert saga.refused("something\n" + json.dumps(told)) == {"refused: 429": 4, "refused: 503": 1, "refused: no answer": 2}
    assert saga.refused(json.dumps(told | {"threads": [], "socket_errors": 0})) == {}


def test_the_open_loop_tells_each_round_and_the_slowest_order():
    slow = [5.0] * 998 + [50.0, 900.0]
    told = openloop.summary([[5.0] * 1000, slow, [6.0] * 1000])
    assert told["values"]["p50_ms"] == {"median": 5.0, "low": 5.0, "high": 6.0}
    assert told["values"]["p99.9_ms"] == {"median": 6.0, "low": 5.0, "high": 50.0}
    assert told["orders"] == 3000


def test_a_hash_costs_time():
    assert calibration.argon2_us(0) > 1000


def test_load_scripts_count_what_was_asked(tmp_path):
    """Every script of bench/load against a server that answers 200, by wrk itself."""
    (tmp_path / "lines").write_text("/file.json?a\n/file.json?b\n")
    given = {"reads.lua": ["lines"], "searches.lua": ["lines", "1"], "logins.lua": ["lines", "p"], "orders.lua": ["lines", "lines", "run"]}
    with tempfile.TemporaryDirectory() as place, calibration.nginx(pathlib.Path(place, "server")) as (pid, url):
        assert machine.cpu_seconds(pid) >= 0
        for script, arguments in given.items():
            command = ["wrk", "-t1", "-c2", "-d1s", "-s", str(CHECKOUT / "bench/load" / script), url, "--", *arguments]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
            counted = json.loads(done.stdout.strip().splitlines()[-1])
            assert counted["requests"] > 0 and counted["socket_errors"] == 0, (script, counted)
            # nginx has the file alone: what the other scripts ask for is not found, and they must say so.
            assert (counted["non_2xx"] == 0) == (script == "reads.lua"), (script, counted)


def test_a_result_names_the_sources():
    assert len(commit()) >= 10


def test_growth_is_the_last_over_the_first_with_what_noise_allows():
    line = [(10, figure([10.0])), (100, figure([11.0])), (1000, figure([11.0, 12.0, 13.0]))]
    found = sweep.grown({"read": line, "other": line[:1]}, "read", "title", "products", "µs")
    assert found["values"]["growth"] == {"median": 1.2, "low": 1.1, "high": 1.3}
    assert found["curve"]["lines"]["read"][-1] == (1000, 12.0)


def test_what_make_up_took_is_told_or_that_nobody_measured_it():
    found = builds.up_rows("make-up=300,make-up-again=8")
    assert found["make up"]["values"]["seconds"]["median"] == 300
    assert found["make up again"]["values"]["seconds"]["median"] == 8
    assert found["one image changed"] == {"values": {}, "why_not": "bench/build --up, where an engine answers"}


def test_a_changed_file_is_another_one_each_time(tmp_path):
    file = tmp_path / "order.cpp"
    file.write_text("int x;\n")
    seen = set()
    for number in range(3):
        builds.change(file, number)
        seen.add(file.read_text())
    assert len(seen) == 3 and all(text.startswith("int x;\n") for text in seen)
