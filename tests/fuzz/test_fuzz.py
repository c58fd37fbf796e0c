"""The fuzz targets in their short form: a fixed number of executions each, from a fixed seed."""

import pytest

from tests.fuzz import fuzzing

RUNS = 20_000
SEED = 1


@pytest.fixture(scope="session")
def fuzzed(tmp_path_factory):
    """Two at a time, all of them, in a folder that holds nothing: each run does the same."""
    found = tmp_path_factory.mktemp("fuzz")
    return {result.target: result for result in fuzzing.fuzz_all(fuzzing.targets(), seed=SEED, runs=RUNS, found=found)}


@pytest.mark.parametrize("target", fuzzing.targets())
def test_nothing_breaks_the_parser(fuzzed, target):
    result = fuzzed[target]
    assert result.finding == ""
    assert result.executions >= RUNS
    assert result.features >= 200, "the coverage leads nowhere"


def test_a_planted_mistake_is_found(tmp_path):
    """Eight bytes by chance would take 2^64 tries: what finds them is led by coverage and comparisons."""
    result = fuzzing.fuzz(fuzzing.PLANTED, seed=SEED, runs=2_000_000, found=tmp_path)
    assert "the planted mistake" in result.finding
    assert [file.name for file in tmp_path.glob("planted-crash-*")], "no input shows it"


def test_every_target_has_a_corpus_in_the_tree():
    assert sorted(folder.name for folder in (fuzzing.FOLDER / "corpus").iterdir()) == fuzzing.targets()
    for target in fuzzing.targets():
        assert len(list((fuzzing.FOLDER / "corpus" / target).iterdir())) >= 3, target


def test_the_page_tells_every_target():
    page = (fuzzing.FOLDER / "README.md").read_text()
    assert [target for target in fuzzing.targets() if f"| `{target}` |" not in page] == []


def test_what_libfuzzer_says_is_read():
    said = "#2 INITED cov: 9 ft: 9\n#512 NEW cov: 30 ft: 41 corp: 3\nstat::number_of_executed_units: 512\n"
    assert fuzzing.figures_of(said) == (512, 41)
    assert fuzzing.finding_of(0, said) == ""


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("SUMMARY: AddressSanitizer: heap-use-after-free\nTest unit written to a/crash-1\n", "SUMMARY: AddressSanitizer: heap-use-after-free (a/crash-1)"),
        ('{"event":"invariant_broken","what":"it ends","line":3}\nSUMMARY: libFuzzer: deadly signal\n', "not so: it ends (ended with 77)"),
        ("b.cpp:7: runtime error: shift\nSUMMARY: UBSan\nTest unit written to c\n", "b.cpp:7: runtime error: shift (c)"),
        ("Killed", "Killed (ended with 77)"),
    ],
)
def test_a_finding_is_told_with_what_shows_it(said, told):
    assert fuzzing.finding_of(77, said) == told
