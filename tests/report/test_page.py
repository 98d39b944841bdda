"""The HTML of the report's page, which needs no browser."""
from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin.cli import main
from bmp_plugin.report.comparison_report import names
from bmp_plugin.report.headline import date_in_words, signed, speed_ups, times_as_fast, verdict
from bmp_plugin.report.latency_plot import latency_plot
from bmp_plugin.report.page import page

TIMES = {"mean": 2.0, "median": 2.0, "p95": 3.0, "p99": 3.0, "ms": [1.0, 3.0]}
SLOW = {"mean": 58.0, "median": 58.0, "p95": 60.0, "p99": 60.0, "ms": [56.0, 60.0]}


def run_of(path: Path, docids: list[str]) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{qid} Q0 {docid} {rank} {99 - rank}.0 t\n" for qid in ("1", "2")
                            for rank, docid in enumerate(docids, 1)))
    return path


def compared(tmp_path: Path, b: list[str], *, k: int = 10) -> tuple[dict[str, Any], str]:
    a = [f"d{i}" for i in range(k)]
    runs = run_of(tmp_path / "lucene" / "run.txt", a), run_of(tmp_path / "bmp" / "run.txt", b)
    (tmp_path / "qrels").write_text("1 0 d0 1\n2 0 d3 1\n")
    main(["compare", *map(str, runs), "--qrels", str(tmp_path / "qrels"), "--output", str(tmp_path / "out")])
    return json.loads((tmp_path / "out" / "report.json").read_text()), (tmp_path / "out" / "report.html").read_text()


def text(html: str) -> str:
    body = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).replace("&nbsp;", " ").split())


def test_nothing_differs_in_one_line(tmp_path: Path) -> None:
    _, html = compared(tmp_path, [f"d{i}" for i in range(10)])
    assert "The same answers. Both files are equal, byte for byte: 2 queries." in text(html)
    assert "no judged query differs: nDCG@10 0.7153, RR@10 0.6250, AP 0.6250." in text(html)
    assert "<table" not in html
    assert "0.0000" not in html


def test_runs_are_named_apart_and_dates_are_words(tmp_path: Path) -> None:
    report, html = compared(tmp_path, ["x", *(f"d{i}" for i in range(1, 10))])
    assert "A lucene/run.txt B bmp/run.txt" in text(html)
    assert str(tmp_path) not in html
    assert report["date"] not in text(html)
    assert re.search(r"\d{1,2} [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC", text(html))


def test_only_measures_that_differ_have_a_row(tmp_path: Path) -> None:
    _, html = compared(tmp_path, ["d0", "x", "d2", "d3", "d1", *(f"d{i}" for i in range(5, 10))])
    assert "<table" in html
    assert "no judged query differs: nDCG@10" in text(html)
    _, html = compared(tmp_path, ["x", *(f"d{i}" for i in range(1, 10))])
    assert {"nDCG@10", "RR@10", "AP"} <= set(re.findall(r"<td>([^<]*)</td>", html))


@pytest.mark.parametrize(("k", "evaluated"), [(10, False), (1000, True)])
def test_no_recall_at_1000_for_ten_hits(k: int, evaluated: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report, html = compared(tmp_path, ["x", *(f"d{i}" for i in range(1, k))], k=k)
    assert ("R@1000" in report["comparisons"][0]["measures"]["a"]) == evaluated
    assert ("R@1000" in html) == evaluated
    assert ("R@1000" in capsys.readouterr().out) == evaluated


def test_worst_first(tmp_path: Path) -> None:
    a = dict.fromkeys(("tie", "late", "early", "middle"), "abcdef")
    for name, run in (("a", a), ("b", {"tie": "abcdfe", "late": "abcxef", "early": "xbcdef", "middle": "abxdef"})):
        (tmp_path / name).write_text("".join(f"{qid} Q0 {docid} {rank} {score}.0 t\n" for qid, docids in run.items()
                                             for rank, docid, score in zip(range(1, 7), docids, "987655", strict=True)))
    assert main(["compare", str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "out")]) == 1
    found = json.loads((tmp_path / "out" / "report.json").read_text())["comparisons"][0]["differing"]
    assert [one["qid"] for one in found] == ["early", "middle", "late", "tie"], "what is harmless comes last"


def as_of_conform(report: dict[str, Any]) -> dict[str, Any]:
    """Returns the report with the parts that conform adds."""
    one = report["comparisons"][0] | {"k": 10, "safe": True, "a_label": "LuceneImpactSearcher", "b_label": "BmpImpactSearcher",
                                      "overlap": {"10": 1.0}}
    agreed = {"queries": 2, "same_ranking": 2, "kinds": {}, "overlap": 1.0, "rank_biased_overlap": 1.0}
    ran = [{"engine": name, "version": "", "state": "ran", "why": "", "k": {"10": agreed}}
           for name in ("LuceneImpactSearcher", "BmpImpactSearcher")]
    absent = [{"engine": name, "version": "", "state": "skipped", "why": "bmp is not installed: pip install bmp", "k": {}}
              for name in ("rust-8", "rust-16")]
    return report | {
        "comparisons": [one], "refused": [], "qrels": None, "lucene": {}, "latency_includes_encoding": False,
        "index": {"name": "i", "documents": 1400, "terms": 1, "postings": 3, "lucene_bytes": 1, "bmp_bytes": 1, "block_size": 4,
                  "reorder": "none", "fingerprint": "f", "details": {}},
        "topics": {"name": "t", "queries": 2, "vectors": True, "encoder": None, "min_idf": 0},
        "latency": {"LuceneImpactSearcher": {"10": SLOW}, "BmpImpactSearcher": {"10": TIMES}}, "engines": [*ran, *absent]}


def test_verdict_and_speed_up_come_first(tmp_path: Path) -> None:
    report = as_of_conform(compared(tmp_path, [f"d{i}" for i in range(10)])[0])
    html = page(report)
    headline = re.search(r"<h1>(.*?)</h1>", html, re.DOTALL)
    assert headline
    assert text(headline[1]) == "The same answers. 29 times as fast."
    assert "<title>lucene/run.txt and bmp/run.txt: same answers, 29 times as fast</title>" in html
    assert html.index("<h1>") < html.index("<svg") < html.index("<table")
    assert html.count("<svg") == 1
    assert verdict(report) == "The same run, byte for byte; 29 times as fast"
    broken = copy.deepcopy(report)
    broken["comparisons"][0]["byte_identical"] = False
    assert verdict(broken) == "The run differs; 29 times as fast"


def test_engines_that_are_not_installed_stand_in_a_footnote(tmp_path: Path) -> None:
    html = page(as_of_conform(compared(tmp_path, [f"d{i}" for i in range(10)])[0]))
    section = html[html.index('id="engines"'):html.index('id="circumstances"')]
    assert "Not compared: rust-8 and rust-16 (bmp is not installed: pip install bmp)." in text(section)
    assert "<table" not in section


def test_plot_is_to_scale() -> None:
    plot = latency_plot({"LuceneImpactSearcher": {"10": SLOW}, "BmpImpactSearcher": {"10": TIMES}})
    at = dict(plot["ticks"])
    host, ours = plot["groups"][0]["rows"]
    assert at["50"] < host["at"] < at["100"]
    assert at["2"] == ours["at"]
    assert ours["p5"] < ours["at"] < ours["p95"] <= ours["p99"]
    assert (host["speed_up"], ours["speed_up"]) == (None, 29.0)
    assert latency_plot({"LuceneImpactSearcher": {"10": TIMES | {"mean": 0.0, "ms": [0.0]}}})["height"] > 0


def test_words() -> None:
    assert times_as_fast([12.2, 41.4]) == "12 to 41 times as fast"
    assert times_as_fast([2.04]) == "2.0 times as fast"
    assert times_as_fast([0.123]) == "0.12 times as fast"
    assert speed_ups({"a": {"10": SLOW}, "b": {"10": TIMES}}) == {"10": 29.0}
    assert date_in_words("2026-11-28 23:14:56+00:00") == "28 November 2026, 23:14 UTC"
    assert date_in_words("2026-03-01 09:05:00+05:30") == "1 March 2026, 09:05 UTC+05:30"
    assert [signed(value) for value in (0.0, 1e-8, -1e-8, 0.01)] == ["+0.0000", "<+0.0001", ">-0.0001", "+0.0100"]
    assert names(Path("/x/a/run"), Path("/y/a/run")) == ("x/a/run", "y/a/run")
    assert names(Path("/x/one"), Path("/x/two")) == ("one", "two")
