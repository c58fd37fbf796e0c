"""What a budget refuses, and what it lets pass as noise."""

import pytest

from bench import budgets
from bench.budgets import Budget, judge, read_budgets

ROW = Budget("product by id", "services_us", "nginx", most=4.0)
QUIET = [10.0, 10.2, 9.9, 10.1]
READ = [35.0, 35.9, 34.6, 35.2]  # 3.5 times as much


def verdict(samples: list[float], beside: list[float] = QUIET) -> budgets.Verdict:
    [one] = judge([ROW], {"product by id services_us": samples}, {"nginx": beside})
    return one


def test_what_it_was_is_kept():
    assert verdict(READ).said == "ok"
    assert verdict(READ).would_see == pytest.approx(4.0 / (35.2 / 10.1) - 1)


def test_a_planted_regression_is_refused():
    planted = [sample * 1.25 for sample in READ]
    assert verdict(planted).said == "REGRESSED"


def test_a_slow_machine_is_no_regression():
    slow = 3.0
    assert verdict([sample * slow for sample in READ], [one * slow for one in QUIET]).said == "ok"


def test_one_disturbed_repeat_is_no_regression():
    assert verdict([35.0, 90.0, 120.0, 35.2]).said == "ok"


def test_a_regression_is_seen_in_a_disturbed_run():
    assert verdict([35.0 * 1.25, 90.0, 120.0, 35.2 * 1.25]).said == "REGRESSED"


def test_a_run_that_would_not_see_a_row_double_has_judged_nothing():
    disturbed = verdict(READ, [10.0, 10.0, 25.0, 10.0])  # a calibration that was held up lets its neighbour look cheap
    assert disturbed.would_see > 1 and disturbed.said == "BLIND"


def test_a_budget_whose_row_was_not_measured_is_an_error():
    for samples, beside in (({}, {"nginx": QUIET}), ({"product by id services_us": READ}, {}),
                            ({"product by id services_us": READ[:2]}, {"nginx": QUIET})):  # fmt: skip
        with pytest.raises(ValueError):
            judge([ROW], samples, beside)


def test_a_file_that_budgets_nothing_is_refused():
    for text in ("[]", "", "[{row: a, metric: b, of: c, most: 0}]"):
        with pytest.raises(ValueError):
            read_budgets(text)


def test_our_budgets_can_be_read_and_written_anew():
    ours = read_budgets()
    assert {one.of for one in ours} == {"nginx", "pgbench"}
    verdicts = [budgets.Verdict(one, (one.most / 2,)) for one in ours]
    again = read_budgets(budgets.written(ours, verdicts, slack=2.0))
    assert [one.row for one in again] == [one.row for one in ours]
    assert [one.most for one in again] == pytest.approx([one.most for one in ours], abs=0.01)


def test_the_table_says_what_would_have_been_seen():
    said = budgets.table([verdict(READ), verdict([sample * 1.25 for sample in READ])])
    assert "+15%" in said and "REGRESSED" in said
