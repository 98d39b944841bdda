"""``--json``: standard output has JSON for scripts and nothing else; progress and messages go to standard error."""
from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import termios
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.cli import main, parser

DATA = Path(str(resources.files("bmp_plugin.demo")))
DOCS, QUERIES = DATA / "cranfield_docs.jsonl.gz", DATA / "cranfield_queries.jsonl.gz"


@pytest.fixture
def asked(capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command with ``--json``; returns its exit status, the JSON object on standard output, and standard error."""

    def ask(*arguments: object) -> tuple[int, Any, str]:
        capfd.readouterr()
        status = main([*map(str, arguments), "--json"])
        out, output = capfd.readouterr()
        return status, json.loads(out) if out else None, "".join(
            line for line in output.splitlines(keepends=True) if "compiling" not in line)     # the first search on a machine

    return ask


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BmpIndex.build(DOCS, tmp_path_factory.mktemp("index") / "cranfield.bmp", progress=False).path


@pytest.fixture
def topics(tmp_path: Path) -> Path:
    (tmp_path / "topics.tsv").write_text("1\tflow flow heat\n2\tnowhere\n3\tsupersonic speed\n")
    return tmp_path / "topics.tsv"


def test_every_command_that_has_a_result_offers_it() -> None:
    (commands,) = (action for action in parser()._actions if hasattr(action.choices, "items"))
    without = {name for name, command in commands.choices.items() if "--json" not in command.format_help()}
    assert without == {"shards", "demo", "warmup", "completion"}            # shards has it in `shards create`


def test_index(asked: Any, tmp_path: Path) -> None:
    status, made, output = asked("index", "--input", DOCS, "--output", tmp_path / "i.bmp", "--keep-document-share", 0.7)
    assert (status, output) == (0, "")
    assert made.pop("seconds") > 0
    assert made == asked("info", tmp_path / "i.bmp")[1]
    assert made["num_docs"] == 1400
    assert made["size_bytes"] == sum(file.stat().st_size for file in (tmp_path / "i.bmp").iterdir())
    pruned = made["source"]["details"]["pruning"]["by_document"]
    assert 0.25 < pruned["share"] < 0.35
    assert pruned["dropped"] + made["num_postings"] == BmpIndex.build(DOCS, tmp_path / "o.bmp", progress=False).num_postings


def test_quantized_index(asked: Any, tmp_path: Path) -> None:
    (tmp_path / "floats.jsonl").write_text('{"id": "a", "vector": {"x": 2.5, "y": 0.001}}\n')
    status, made, _ = asked("index", "--input", tmp_path / "floats.jsonl", "--output", tmp_path / "i.bmp", "--quantize", 8)
    assert status == 0
    assert made["source"]["details"]["quantize"] == {"bits": 8, "scale": 102.0, "dropped": 1, "clipped": 0}


def test_shards(asked: Any, tmp_path: Path) -> None:
    status, made, output = asked("index", "--input", DOCS, "--output", tmp_path / "i.bmps", "--shards", 2)
    assert (status, output) == (0, "")
    assert [shard["num_docs"] for shard in made["shards"]] == [700, 700]
    for name in "ab":
        BmpIndex.build([(name, {"flow": 2})], tmp_path / f"{name}.bmp", progress=False)
    status, made, output = asked("shards", "create", "--output", tmp_path / "j.bmps", tmp_path / "a.bmp", tmp_path / "b.bmp")
    assert (status, output) == (0, "")
    assert made.pop("seconds") > 0
    assert made == asked("info", tmp_path / "j.bmps")[1]


def test_search(asked: Any, index: Path, topics: Path, tmp_path: Path) -> None:
    search = ("search", "--index", index, "--topics", topics, "--output", tmp_path / "run.txt", "--hits", 3)
    status, found, output = asked(*search)
    assert status == 0
    assert "1 of 3 queries have no token that the index knows; 40.0 % of all tokens are unknown" in output
    assert found.pop("seconds") > 0
    assert found == {"output": str(tmp_path / "run.txt"), "format": "trec", "tag": "Anserini", "queries": 3, "hits": 3,
                     "missing": []}
    run = (tmp_path / "run.txt").read_bytes()
    assert main([*map(str, search), "--quiet"]) == 0
    assert (tmp_path / "run.txt").read_bytes() == run


def test_hits_as_lines(index: Path, topics: Path) -> None:
    """If the run would go to standard output, messages go to standard error."""
    command = [sys.executable, "-m", "bmp_plugin", "search", "--index", index, "--topics", topics, "--output", "/dev/stdout",
               "--hits", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    with BmpSearcher(index) as searcher:
        queries = {"1": {"flow": 2, "heat": 1}, "2": {"nowhere": 1}, "3": {"supersonic": 1, "speed": 1}}
        assert lines == [{"qid": qid, "hits": [{"docid": hit.docid, "score": hit.score, "lucene_docid": hit.lucene_docid}
                                               for hit in searcher.search(query, 2)]} for qid, query in queries.items()]
    assert [len(line["hits"]) for line in lines] == [2, 0, 2]
    assert "3 queries" in done.stderr


def test_progress_goes_elsewhere(index: Path, topics: Path, tmp_path: Path) -> None:
    """The progress bar goes to standard error, where a user sees it; a script reads standard output."""
    terminal, end = os.openpty()
    termios.tcsetwinsize(end, (24, 80))
    command = [sys.executable, "-m", "bmp_plugin", "search", "--index", index, "--topics", topics, "--output",
               tmp_path / "run.txt", "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=end, check=True)
    os.close(end)
    assert json.loads(done.stdout)["queries"] == 3
    shown = b""
    with contextlib.suppress(OSError):                  # the end of a terminal is an error
        while more := os.read(terminal, 65_536):
            shown += more
    assert b"searching" in shown
    os.close(terminal)


def test_verify(asked: Any, index: Path, tmp_path: Path) -> None:
    status, found, output = asked("verify", index)
    assert (status, output) == (0, "")
    assert found == {"path": str(index), "sound": True, "num_docs": 1400, "num_postings": BmpIndex.open(index).num_postings,
                     "damage": None}
    shutil.copytree(index, tmp_path / "damaged.bmp")
    largest = max((tmp_path / "damaged.bmp").glob("*.bin"), key=lambda file: file.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    status, found, output = asked("verify", tmp_path / "damaged.bmp")
    assert status == 1
    assert found["sound"] is False
    assert largest.name in found["damage"]
    assert output == f"bmp-plugin: damaged: {found['damage']}\n"


def test_fuse(asked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("1 Q0 x 1 5.0 a\n1 Q0 y 2 1.0 a\n")
    Path("b.txt").write_text("2 Q0 x 1 5.0 a\n")
    status, found, output = asked("fuse", "a.txt", "b.txt", "--output", "fused.txt")
    assert (status, output) == (0, "")
    assert found.pop("seconds") > 0
    assert found == {"output": "fused.txt", "tag": "fused", "runs": ["a.txt", "b.txt"], "queries": 2, "hits": 1000}
    assert len(Path("fused.txt").read_text().splitlines()) == 3
    command = [sys.executable, "-m", "bmp_plugin", "fuse", "a.txt", "b.txt", "--output", "/dev/stdout", "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"qid": "1", "hits": [{"docid": "x", "score": 0.5}, {"docid": "y", "score": 0.0}]},
        {"qid": "2", "hits": [{"docid": "x", "score": 0.5}]}]


def test_compare(asked: Any, tmp_path: Path) -> None:
    for name, score in (("a", 5), ("b", 4)):
        (tmp_path / name).write_text(f"1 Q0 x 1 {score}.0 {name}\n")
    status, found, output = asked("compare", tmp_path / "a", tmp_path / "b")
    assert (status, found["same"], found["kinds"], output) == (1, False, {"score": 1}, "")


def test_unusable_input_leaves_standard_output_empty(asked: Any, tmp_path: Path) -> None:
    for command in (["verify"], ["info"], ["export", "--output", tmp_path / "o"], ["compare", tmp_path / "a"]):
        status, found, output = asked(command[0], tmp_path / "nowhere", *command[1:])
        assert (status, found) == (2, None)
        assert output.count("\n") == 1
