"""The benchmark of first use: what it makes of the times of answers, and one whole run."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from bmp_plugin.conformance.first_use import WINDOW, main, measured


def test_full_speed_begins_where_queries_become_fast() -> None:
    """100 answers take 10 ms each, the others 1 ms; the first comes after 2 s."""
    ends = [2 + 0.01 * i for i in range(101)]
    ends += [ends[-1] + 0.001 * i for i in range(1, 400)]
    found = measured(ends, 7.5)
    assert (found.first_answer, found.processor) == (2, 7.5)
    assert found.full_speed == pytest.approx(3, abs=0.01 * WINDOW)
    assert found.before == pytest.approx(100)
    assert found.after == pytest.approx(1000)


def test_full_speed_from_the_first_answer_on() -> None:
    found = measured([0.5 + 0.002 * i for i in range(60)], 1.0)
    assert (found.first_answer, found.full_speed, found.before) == (0.5, 0.5, 0)


@pytest.fixture
def options(tmp_path: Path) -> list[str]:
    """Arguments: a small collection, a query, and a folder to work in."""
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    lines = [json.dumps({"id": f"d{i}", "contents": "", "vector": {"x": 1 + i % 9, f"t{i % 5}": 2}}) for i in range(200)]
    (vectors / "part.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "topics.jsonl").write_text('{"qid": "1", "vector": {"t1": 2, "t3": 1}}\n')
    return ["--vectors", str(vectors), "--queries", str(tmp_path / "topics.jsonl"), "--work", str(tmp_path / "work")]


@pytest.mark.slow
def test_a_small_collection(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*options, "--rounds", "1", "--seconds", "1"]) == 0
    rows = [line.split("|")[1:] for line in capsys.readouterr().out.splitlines() if line.startswith("| ours")]
    assert [row[1].strip() for row in rows] == ["empty", "full"]
    assert all(float(row[2]) > 0 for row in rows)


def test_refusals(options: list[str], tmp_path: Path) -> None:
    assert main([*options, "--rounds", "0"]) == 2
    assert main(["--vectors", str(tmp_path / "none"), *options[2:]]) == 2
