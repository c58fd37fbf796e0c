"""tools/run-suites: what ends badly is a failed case, also when only a program that a suite started did."""

import pathlib
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PASSED = '<testsuites tests="1" failures="0"><testsuite name="s"><testcase classname="s" name="good"/></testsuite></testsuites>'
GOOD = f"""for word in "$@"; do case $word in --gtest_output=xml:*) echo '{PASSED}' > "${{word#*xml:}}";; esac; done\n"""


def run(folder: pathlib.Path, *names: str, **suites: str) -> tuple[int, str, dict[str, str]]:
    """Exit code, output, and by suite why it failed ("" when it did not)."""
    for part in ["tools", "build/asan", "results"]:
        (folder / part).mkdir(parents=True, exist_ok=True)
    for file in ("run-suites", "sanitizers.py"):
        shutil.copy(CHECKOUT / "tools" / file, folder / "tools")
    script(folder / "tools/run-as-build", 'exec "$@"\n')
    lines = []
    for name, body in suites.items():
        binary = script(folder / "build/asan" / name, body)
        lines.append(f'add_test({name} "{folder}/tools/run-as-build" "{binary}")\n')
    (folder / "build/asan/CTestTestfile.cmake").write_text("".join(lines))
    command = ["tools/run-suites", "asan", "results", *names]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    reasons = {}
    for file in (folder / "results").glob("*.xml"):
        failure = ElementTree.parse(file).getroot().find(".//failure")
        reasons[file.stem.removeprefix("asan-")] = "" if failure is None else failure.text or ""
    return ended.returncode, ended.stdout, reasons


def script(file: pathlib.Path, body: str) -> pathlib.Path:
    file.write_text("#!/bin/bash\n" + body)
    file.chmod(0o755)
    return file


def test_all_suites_run(tmp_path: pathlib.Path) -> None:
    code, said, reasons = run(tmp_path, one=GOOD, two=GOOD, three=GOOD)
    assert (code, reasons) == (0, {"one": "", "two": "", "three": ""})
    assert sorted(line.split(":")[0] for line in said.splitlines()) == ["one", "three", "two"]


def test_a_long_suite_runs_in_shards_of_which_each_has_its_result(tmp_path: pathlib.Path) -> None:
    says = 'echo "shard $GTEST_SHARD_INDEX of $GTEST_TOTAL_SHARDS"\n'
    code, said, reasons = run(tmp_path, messaging_test=says + GOOD, other=says + GOOD)
    assert (code, reasons) == (0, {"messaging_test.1": "", "messaging_test.2": "", "other": ""})
    assert sorted(line for line in said.splitlines() if line.startswith("shard")) == [
        "shard 0 of 1", "shard 0 of 2", "shard 1 of 2",
    ]  # fmt: skip


def test_only_the_named_ones_run(tmp_path: pathlib.Path) -> None:
    code, _, reasons = run(tmp_path, "two", one="exit 1\n", two=GOOD)
    assert (code, reasons) == (0, {"two": ""})


def test_a_name_that_is_none_is_refused(tmp_path: pathlib.Path) -> None:
    code, said, reasons = run(tmp_path, "three", one=GOOD)
    assert (code, said, reasons) == (1, "no such suite: three\n", {})


def test_a_suite_that_dies_is_a_failed_case_with_its_last_words(tmp_path: pathlib.Path) -> None:
    code, said, reasons = run(tmp_path, one="printf 'no \\033 way'; kill -9 $$\n", two=GOOD)
    assert (code, reasons) == (1, {"one": "exit code -9\nno ? way", "two": ""})
    assert "one: exit code -9" in said


def test_a_report_of_a_child_is_a_failed_case(tmp_path: pathlib.Path) -> None:
    child = 'echo "heap-use-after-free in a child" > "${ASAN_OPTIONS##*log_path=}.77"\n'
    code, _, reasons = run(tmp_path, one=child + GOOD)
    assert code == 1
    assert reasons["one"].endswith("heap-use-after-free in a child\n")


def test_a_report_of_an_earlier_run_is_forgotten(tmp_path: pathlib.Path) -> None:
    child = 'echo "data race" > "${ASAN_OPTIONS##*log_path=}.77"\n'
    assert run(tmp_path, one=child + GOOD)[0] == 1
    assert run(tmp_path, one=GOOD)[0] == 0
