"""The history of the benchmark: every entry is of a commit, and is made of a result of bench."""
from __future__ import annotations

import json
from pathlib import Path

import pytest

from bmp_plugin.conformance import history

RESULT = Path(history.__file__).parent / "benchmark" / "results" / "enwiki200k.json"


def test_entries_of_the_history_have_what_is_plotted() -> None:
    entries = history.read_history()
    assert len(entries) >= 5
    for entry in entries:
        for engine in ("lucene", "rust-8", "ours"):
            assert all(0 < mean < p99 for mean, p99 in entry["ms"][engine].values())
            assert {"10", "1000"} <= entry["ms"][engine].keys()
        assert "dirty" not in entry["commit"]


def test_a_result_becomes_an_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "FOLDER", tmp_path)
    assert history.main([str(RESULT), "--release", "7.8.9"]) == 0
    (entry,) = history.read_history(tmp_path)
    result = json.loads(RESULT.read_text())
    assert entry["release"] == "7.8.9"
    assert entry["commit"] == result["versions"]["commit"]
    measured = result["engines"]["ours"]["k"]["10"]
    assert entry["ms"]["ours"]["10"] == pytest.approx([measured["mean_ms"], measured["p99_ms"]], abs=1e-4)


@pytest.mark.parametrize(("text", "message"), [
    ("{", "Expecting property name"), ("{}", "not a result of bench"), ("[]", "not a result of bench"),
    ('{"versions": {"commit": "abc-dirty"}}', "with changes that no commit has"),
])
def test_what_is_no_result_is_refused(text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                      capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(history, "FOLDER", tmp_path / "history")
    (tmp_path / "result.json").write_text(text)
    assert history.main([str(tmp_path / "result.json"), "--release", "1"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert message in told
    assert history.main([str(tmp_path / "none.json"), "--release", "1"]) == 2
