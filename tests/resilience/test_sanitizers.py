"""How the sanitizers' section reads reports; the runs themselves are of `make prove-long`."""

import sanitizers as told

from tests.resilience.sections import sanitizers


def test_each_process_that_reported_is_a_violation(tmp_path):
    (tmp_path / "journey.71").write_text("==71==\nWARNING: ThreadSanitizer: data race (pid=71)\n  Write of size 8\n")
    (tmp_path / "chaos.72").write_text("a.cpp:3:5: runtime error: signed integer overflow\n    #0 0x1\n")
    assert sanitizers.reported("tsan", tmp_path) == [
        "tsan: reported in chaos.72: a.cpp:3:5: runtime error: signed integer overflow",
        "tsan: reported in journey.71: WARNING: ThreadSanitizer: data race (pid=71)",
    ]


def test_what_is_no_report_is_not_taken_for_one(tmp_path):
    (tmp_path / "journey-output.txt").write_text("40 passed\n")
    (tmp_path / "schedule.txt").write_text("at order 3: kill postgres\n")
    assert sanitizers.reported("asan", tmp_path) == []


def test_programs_are_told_where_to_report(tmp_path):
    options = told.options(tmp_path / "chaos")
    assert {name: value.rpartition(":log_path=")[2] for name, value in options.items()} == {
        name: str(tmp_path / "chaos") for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
    }
