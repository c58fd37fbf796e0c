"""tools/test-summary: what counts as a failure, and that the reason stands near the last line."""

import pathlib
import subprocess

TOOL = pathlib.Path(__file__).resolve().parents[1] / "test-summary"
PASSED = '<testsuites><testsuite name="s"><testcase classname="s" name="good"/></testsuite></testsuites>'
FAILED = '<testsuites><testsuite name="s"><testcase classname="s" name="bad"><failure message="m">1 is not 2</failure></testcase></testsuite></testsuites>'
SKIPPED = '<testsuites><testsuite name="s"><testcase classname="s" name="idle"><skipped message="no tool"/></testcase></testsuite></testsuites>'


def summary(folder: pathlib.Path, steps: str, **files: str) -> tuple[int, list[str]]:
    (folder / "steps").write_text(steps)
    for name, text in files.items():
        (folder / f"{name}.xml").write_text(text)
    run = subprocess.run([TOOL, folder], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout.splitlines()


def test_all_passed(tmp_path: pathlib.Path) -> None:
    code, lines = summary(tmp_path, "build ok 1\njourney ok 2\n", journey=PASSED)
    assert (code, lines[-1]) == (0, "1 passed, 0 failed")


def test_a_failed_case_is_named_with_its_reason(tmp_path: pathlib.Path) -> None:
    code, lines = summary(tmp_path, "journey failed 2\n", journey=FAILED)
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")
    assert lines[-3:-1] == ["journey: s.bad", "    1 is not 2"]


def test_a_skipped_case_is_a_failure(tmp_path: pathlib.Path) -> None:
    code, lines = summary(tmp_path, "journey ok 2\n", journey=SKIPPED)
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")


def test_a_step_without_any_case_is_a_failure(tmp_path: pathlib.Path) -> None:
    code, lines = summary(tmp_path, "build ok 1\njourney ok 2\n")
    assert (code, lines[-1]) == (1, "0 passed, 1 failed")


def test_a_failed_step_whose_cases_passed_is_a_failure(tmp_path: pathlib.Path) -> None:
    code, lines = summary(tmp_path, "build failed 1\njourney failed 2\n", journey=PASSED)
    assert (code, lines[-1]) == (1, "1 passed, 2 failed")


def test_the_suites_of_a_preset_are_one_layer(tmp_path: pathlib.Path) -> None:
    files = {"tsan-a": PASSED, "tsan-b": PASSED, "asan-a": PASSED, "debug-a": PASSED}
    code, lines = summary(tmp_path, "unit ok 1\nasan ok 1\ntsan ok 1\n", **files)
    assert (code, lines[-1]) == (0, "4 passed, 0 failed")
    assert [" ".join(line.split()[:2]) for line in lines[:-1]] == ["asan 1", "unit 1", "tsan 2"]
