"""The table, the charts and what is published."""

import pathlib
import xml.etree.ElementTree

import pytest

from bench import charts, footprint, publish, report, results
from bench.figures import figure
from bench.report import Target

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
PARTS = {"api-gateway": 20.0, "product-service": 18.0, "postgres": 3.0}


def a_result(us: float = 38.0, kind: str = "bench", row: str = "product by id") -> dict:
    return {
        "kind": kind, "at": "2026-01-02T03:04:05+00:00", "commit": "abc", "settings": {"seconds": 20},
        "machine": {"cpu": "A <fast> one", "cores": 2, "memory_gib": 8, "kernel": "6", "load": 0.1},
        "calibration": {"nginx": figure([10.0, 11.0])},
        "rows": {row: {"values": {"services_us": figure([us, us + 1, us + 4])}, "by_process_us": PARTS},
                 "memory idle": {"values": {"stack_mib": figure([200.0])}, "by_process_mib": PARTS},
                 "images": footprint.images("no-container-engine-answers")},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("target", "value", "reached"),
    [
        (Target("", "", "", "", most=(90, 45)), 90, "yes"),
        (Target("", "", "", "", most=(90, 45)), 90.1, "no"),
        (Target("", "", "", "", most=(90, 45)), 45, "stretch"),
        (Target("", "", "", "", least=(1500, 2500)), 1499, "no"),
        (Target("", "", "", "", least=(1500, 2500)), 2500, "stretch"),
        (Target("", "", "", "", least=(1500,)), 9999, "yes"),
        (Target("", "", "", ""), 1, ""),
    ],
)
def test_a_target_is_reached_or_not(target, value, reached):
    assert target.reached(value) == reached


def test_every_target_says_where_its_figure_is():
    targets = report.read_targets()
    assert len({target.what for target in targets}) == len(targets) > 20
    for target in targets:
        limits = target.limits()
        assert len(limits) < 2 or (limits[1] <= limits[0]) == bool(target.most), f"{target.what}: to stretch is further"
    with pytest.raises(ValueError):
        report.read_targets("[{what: a, row: b, metric: c, unit: d, most: [1], least: [2]}]")


def test_the_table_has_the_latest_result_and_what_was_not_measured():
    targets = [
        Target("read", "product by id", "services_us", "µs", most=(40, 30)),
        Target("images", "images", "six_mb", "MB", most=(100,)),
        Target("growth", "orders", "growth", "×", most=(1.2,)),
    ]
    lines = report.rows_of([a_result(100.0), a_result(38.0)], targets)
    assert lines == [
        ["read", "39.0", "38.0–42.0", "µs", "40.0", "30.0", "yes"],
        ["images", "not measured: no container engine answers", "", "MB", "100", "", ""],
    ]
    assert "39.0" in report.text_table(lines)
    assert report.markdown_table(lines).splitlines()[2] == "| read | 39.0 | 38.0–42.0 | µs | 40.0 | 30.0 | yes |"


def test_what_bench_prints_names_the_machine_and_the_processes():
    said = report.whole([a_result()], report.read_targets())
    for word in ("2 cores of A <fast> one", "commit abc", "seconds 20", "a static file from nginx 10.5 µs", "postgres"):
        assert word in said, said


def test_charts_are_whole_and_to_scale():
    drawn = charts.bars("CPU & more", "µs", [charts.Bar("a <b>", {"x": 30.0, "y": 10.0}, target=80.0), charts.Bar("c", {"x": 80.0})])
    root = xml.etree.ElementTree.fromstring(drawn)
    rects = [one for one in root.iter("{http://www.w3.org/2000/svg}rect") if one.get("height") == str(charts.BAR)]
    widths = [float(one.get("width")) for one in rects]
    assert widths[0] / widths[1] == pytest.approx(3, rel=0.01) and widths[2] / widths[0] == pytest.approx(80 / 30, rel=0.01)
    curve = charts.lines("growth", "products", "µs", [charts.Line("read", [(10_000, 30.0), (1_000_000, 33.0)])])
    assert xml.etree.ElementTree.fromstring(curve).tag.endswith("svg")
    with pytest.raises(ValueError):
        charts.bars("nothing", "µs", [])
    with pytest.raises(ValueError):
        charts.lines("nothing", "", "", [charts.Line("empty", [])])


@pytest.mark.parametrize(("value", "above"), [(0, 1), (1, 1), (1.1, 2), (38, 50), (5000, 5000), (5001, 10_000)])
def test_an_axis_ends_at_a_round_number(value, above):
    assert charts.nice(value) == above


def test_results_are_kept_by_kind_and_the_last_counts(tmp_path):
    for one in (a_result(1.0), a_result(2.0), a_result(3.0, kind="sweep")):
        results.append(one, tmp_path)
    assert [one["rows"]["product by id"]["values"]["services_us"]["low"] for one in results.latest(tmp_path)] == [2.0, 3.0]
    results.publish(results.latest(tmp_path), tmp_path / "published")
    assert results.published(tmp_path / "published") == results.latest(tmp_path)


def a_page(top: pathlib.Path) -> None:
    (top / "docs").mkdir()
    (top / publish.PAGE).write_text(f"# Before\n{publish.BEGIN}\nold\n{publish.END}\nAfter\n")


def test_what_is_published_makes_the_page_and_its_charts(tmp_path):
    a_page(tmp_path)
    assert publish.outdated(tmp_path) == ["docs/performance.md"]
    results.publish([a_result()], tmp_path / "bench/results/published")
    made = publish.documents(tmp_path)
    page = made[publish.PAGE]
    assert page.startswith("# Before\n") and page.endswith("\nAfter\n") and "old" not in page
    assert "product by id | 39.0" in page and "performance/requests.svg" in page and "performance/memory.svg" in page
    for file, text in made.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    assert publish.outdated(tmp_path) == []
    (tmp_path / publish.CHARTS / "left.svg").write_text("")
    assert publish.outdated(tmp_path) == ["docs/performance/left.svg"]


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError):
        publish.page_with("nothing", "text")


def test_our_documents_are_what_the_published_results_make():
    assert publish.outdated(CHECKOUT) == []


def test_images_say_why_they_were_not_measured():
    assert footprint.images("45.3")["values"]["six_mb"]["median"] == 45.3
    assert footprint.images("the-images-are-not-built") == {"values": {}, "why_not": "the images are not built"}
