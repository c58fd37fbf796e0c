"""The arithmetic under every figure."""

import pytest

from bench import figures
from bench.figures import Round, figure, growing, quantile, round_seconds, row


def test_a_figure_is_the_median_with_its_range():
    assert figure([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0}
    assert figures.spread(figure([8.0, 10.0, 14.0])) == pytest.approx(0.6)


def test_nothing_measured_is_no_figure():
    with pytest.raises(ValueError):
        figure([])
    with pytest.raises(ValueError):
        quantile([], 0.5)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (0.999, 100), (1.0, 100), (0.0, 1)])
def test_a_quantile_is_a_value_that_was_measured(share, value):
    assert quantile(list(range(100, 0, -1)), share) == value


def test_a_row_divides_by_what_was_done_and_tells_services_from_servers():
    rounds = [
        Round(1000, 2.0, {"gateway": 0.03, "store": 0.01, "postgres": 0.06, "mail": 9.0}, {"p99": 5.0}),
        Round(2000, 2.0, {"gateway": 0.08, "store": 0.04, "postgres": 0.08, "mail": 9.0}, {"p99": 7.0}),
    ]
    found = row(rounds, ["gateway", "store"], ["postgres"])
    assert found["values"]["services_us"] == {"median": 50.0, "low": 40.0, "high": 60.0}
    assert found["values"]["all_us"] == {"median": 100.0, "low": 100.0, "high": 100.0}
    assert found["values"]["per_second"] == {"median": 750.0, "low": 500.0, "high": 1000.0}
    assert found["values"]["p99_ms"]["median"] == 6.0
    assert found["by_process_us"] == {"gateway": 35.0, "store": 15.0, "postgres": 50.0}


def test_a_round_without_work_has_no_cost():
    with pytest.raises(ValueError):
        row([Round(0, 2.0, {"gateway": 0.1})], ["gateway"], [])


def test_a_queue_that_grows_under_a_constant_load_is_told_with_how_much():
    samples = [{"unpaid": 10 * n, "unmailed": 40} for n in range(30)]
    assert growing(samples, a_second=100) == {"unpaid": 2.0}


def test_a_queue_that_swings_does_not_grow():
    samples = [{"unpaid": 30 if n % 2 else 5} for n in range(30)]
    assert growing(samples, a_second=100) == {}


def test_a_load_is_as_long_as_there_is_room():
    assert round_seconds(a_second=2000, room=9000, most=20) == 4
    assert round_seconds(a_second=100, room=9000, most=20) == 20
    assert round_seconds(a_second=50_000, room=9000, most=20) == 1
