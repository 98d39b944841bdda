"""``python -m bmp_plugin.search.lucene`` writes the files that ``python -m pyserini.search.lucene`` writes."""
from __future__ import annotations

import json
import runpy
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin.search.lucene import main


@pytest.fixture(scope="session")
def topics(tmp_path_factory: Any, cranfield_queries: dict[str, dict[str, int]]) -> dict[str, str]:
    """Topic files: cranfield (weights written out), nasty (docids as query ids), cached (texts with vectors)."""
    folder = tmp_path_factory.mktemp("topics")

    def write(name: str, lines: Sequence[str]) -> str:
        path = folder / name
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(path)

    some = dict(list(cranfield_queries.items())[:12])
    written = {q: " ".join(t for t, w in v.items() for _ in range(1 + w // 20)) for q, v in some.items()}
    nasty = dict(zip(["é", "z", "Ω", "a#1", "日本", "q6", "q7"], [
        "tie tie mod3", "half tie", "large huge '", "tie ##s", "日本 \U0001f600", "nowhere", "mod6 tie"], strict=True))
    return {
        "cranfield": write("cranfield.tsv", [f"{q}\t{text}" for q, text in written.items()]),
        "nasty": write("nasty.tsv", [f"{q}\t{text}" for q, text in nasty.items()]),
        "texts": write("texts.tsv", [f"{q}\tquery number {q}" for q in some]),
        "cached": write("cached.jsonl", [
            json.dumps({"id": q, "contents": f"query number {q}", "vector": v}) for q, v in some.items()]),
        "incomplete": write("incomplete.jsonl", [
            json.dumps({"id": q, "contents": f"query number {q}", "vector": v}) for q, v in list(some.items())[:5]]),
    }


Files = dict[str, bytes]


@pytest.fixture
def both(host: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Callable[..., tuple[Files, Files]]:
    """Runs both commands with the same arguments, each in a separate folder; returns the files that they wrote."""

    def run(*arguments: str) -> tuple[Files, Files]:
        left = []
        texts = []
        for name in ("theirs", "ours"):
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            monkeypatch.chdir(folder)
            capsys.readouterr()
            if name == "theirs":
                monkeypatch.setattr(sys, "argv", ["pyserini", *arguments])
                runpy.run_module("pyserini.search.lucene", run_name="__main__")
            else:
                assert main(list(arguments)) == 0
            texts.append(capsys.readouterr().out)
            left.append({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
        assert texts[0] == texts[1]
        return left[0], left[1]

    return run


CASES = [
    "cranfield --hits 10",
    "cranfield --hits 1000 --output run.txt",
    "cranfield --hits 5000 --output run.txt --min-idf 1",
    "cranfield --hits 50 --output run.txt --output-format msmarco",
    "cranfield --hits 50 --output run.jsonl --output-format kilt",
    "cranfield --hits 100 --output run.txt --batch-size 5 --threads 2",
    "cranfield --hits 100 --output run.txt --batch-size 100 --threads 4",
    "cranfield --hits 100 --output run.txt --threads 3",
    "cranfield --hits 100 --output run.txt --pretokenized",
    "cranfield --hits 100 --output deep/folder/run.txt",
    "cranfield --hits 50 --output run.txt --rm3",
    "cranfield --hits 50 --output run.txt --rocchio",
    "cranfield --hits 50 --output run.txt --rocchio --rocchio-use-negative --batch-size 4 --threads 2",
    "cranfield --hits 50 --rm3 --rocchio",
    "nasty --hits 600 --output run.txt",
    "nasty --hits 30 --output run.txt --remove-query",
    "nasty --hits 600 --output run.txt --remove-duplicates",
    "nasty --hits 600 --output run.txt --max-passage --max-passage-hits 20",
    "nasty --hits 600 --output run.txt --max-passage --max-passage-delimiter _ --batch-size 3 --threads 2",
    "nasty --hits 100 --output run.txt --output-format msmarco --remove-query --remove-duplicates --min-idf 1",
]


@pytest.mark.parametrize("case", CASES)
def test_same_files(case: str, both: Any, lucene_index: Any, topics: dict[str, str]) -> None:
    collection, *flags = case.split(" ")
    theirs, ours = both("--impact", "--index", str(lucene_index(collection)), "--topics", topics[collection], *flags)
    assert len(theirs) == 1
    assert len(next(iter(theirs.values()))) > 0
    assert ours == theirs


@pytest.mark.parametrize("flags", [[], ["--batch-size", "7", "--threads", "2"], ["--min-idf", "2"]])
def test_cached_queries(flags: list[str], both: Any, lucene_index: Any, topics: dict[str, str]) -> None:
    theirs, ours = both("--impact", "--index", str(lucene_index("cranfield")), "--topics", topics["texts"], "--encoder",
                        topics["cached"], "--hits", "100", "--output", "run.txt", *flags)
    assert ours == theirs


def test_without_impact(both: Any, lucene_index: Any, topics: dict[str, str]) -> None:
    theirs, ours = both("--index", str(lucene_index("cranfield")), "--topics", topics["cranfield"], "--bm25", "--hits",
                        "20", "--output", "run.txt")
    assert ours == theirs


def test_block_max_directory(both: Any, lucene_index: Any, topics: dict[str, str], tmp_path: Path, capsys: Any) -> None:
    index = lucene_index("nasty")
    arguments = ["--impact", "--topics", topics["nasty"], "--hits", "20", "--output", "run.txt"]
    theirs, _ = both("--index", str(index), *arguments)
    assert main(["--index", f"{index}.bmp", *arguments[:-1], str(tmp_path / "again.txt")]) == 0
    assert (tmp_path / "again.txt").read_bytes() == theirs["run.txt"]


def test_approximation(lucene_index: Any, topics: dict[str, str], tmp_path: Path) -> None:
    arguments = ["--impact", "--index", str(lucene_index("cranfield")), "--topics", topics["cranfield"], "--hits", "10"]
    for name, flags in (("safe", []), ("one", ["--alpha", "1", "--beta=1.0"]), ("some", ["--beta", "0.2"]),
                        ("all", ["--target-recall", "1"]), ("most", ["--target-recall=0.8"])):
        assert main([*arguments, "--output", str(tmp_path / name), *flags]) == 0
    safe, one, some, all_of_them, most = ((tmp_path / name).read_bytes() for name in ("safe", "one", "some", "all", "most"))
    assert safe == one == all_of_them
    assert safe != some
    assert safe != most


def test_as_a_command(lucene_index: Any, topics: dict[str, str], tmp_path: Path) -> None:
    index = str(lucene_index("nasty"))
    done = subprocess.run([sys.executable, "-m", "bmp_plugin.search.lucene", "--impact", "--index", index, "--topics",
                           topics["nasty"], "--output", "run.txt"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("saving to run.txt...\n")
    assert main(["--impact", "--index", index, "--topics", topics["nasty"], "--output", str(tmp_path / "here.txt")]) == 0
    assert (tmp_path / "run.txt").read_bytes() == (tmp_path / "here.txt").read_bytes()


def test_help(host: Any, capsys: Any) -> None:
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    assert "--max-passage-delimiter" in text
    assert "--alpha" in text
    assert "example: python -m bmp_plugin.search.lucene --index" in " ".join(text.split())


def test_slim_searcher_keeps_the_original(host: Any) -> None:
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher, replace_searcher

    original = host.LuceneImpactSearcher
    with replace_searcher(BmpImpactSearcher):
        assert host.LuceneImpactSearcher is host._impact_searcher.LuceneImpactSearcher is BmpImpactSearcher
        assert not issubclass(host.SlimSearcher, BmpImpactSearcher)
    assert host.LuceneImpactSearcher is host._impact_searcher.LuceneImpactSearcher is original


class TestRefusals:
    """Exit status 2 and one line; the previous file at --output is unchanged."""

    @pytest.fixture
    def refusal(self, host: Any, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "run.txt").write_text("a good run\n")

        def run(*arguments: str) -> str:
            capsys.readouterr()
            assert main(list(arguments)) == 2
            assert (tmp_path / "run.txt").read_text() == "a good run\n"
            assert [path.name for path in tmp_path.iterdir() if "run.txt" in path.name] == ["run.txt"]
            error = capsys.readouterr().err
            assert "Traceback" not in error
            return error.strip().splitlines()[-1]

        return run

    def test_missing_index(self, refusal: Any, topics: dict[str, str]) -> None:
        assert "--index nowhere: neither" in refusal(
            "--impact", "--index", "nowhere", "--topics", topics["nasty"], "--output", "run.txt")

    def test_not_an_index(self, refusal: Any, topics: dict[str, str], tmp_path: Path) -> None:
        assert "is not a Lucene index" in refusal(
            "--impact", "--index", str(tmp_path), "--topics", topics["nasty"], "--output", "run.txt")

    def test_missing_topics(self, refusal: Any, lucene_index: Any) -> None:
        assert "topics" in refusal("--impact", "--index", str(lucene_index("nasty")), "--topics", "no-such-topics",
                                   "--output", "run.txt").lower()

    def test_missing_flag(self, refusal: Any) -> None:
        assert "--topics" in refusal("--impact", "--index", "x", "--output", "run.txt")

    def test_two_encoders(self, refusal: Any, lucene_index: Any, topics: dict[str, str]) -> None:
        assert "both --encoder and --onnx-encoder" in refusal(
            "--impact", "--index", str(lucene_index("nasty")), "--topics", topics["nasty"], "--output", "run.txt",
            "--encoder", "a", "--onnx-encoder", "b")

    @pytest.mark.parametrize(("flag", "value"), [("--alpha", "0"), ("--target-recall", "2"), ("--beta", "1.5"),
                                                 ("--alpha", "x"), ("--hits", "0")])
    def test_numbers(self, flag: str, value: str, refusal: Any, lucene_index: Any, topics: dict[str, str]) -> None:
        message = refusal("--impact", "--index", str(lucene_index("nasty")), "--topics", topics["nasty"], "--output",
                          "run.txt", flag, value)
        assert {"--hits": "k="}.get(flag, flag.strip("-").replace("-", "_")) in message

    def test_without_pyserini(self, tmp_path: Path) -> None:
        code = ("import sys; sys.modules['pyserini'] = None; from bmp_plugin.search.lucene import main; "
                "sys.exit(main(['--impact', '--index', 'x', '--topics', 'y']))")
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.splitlines() == ["python -m bmp_plugin.search.lucene: error: Pyserini is not installed: "
                                            'pip install "bmp-plugin[pyserini]"']

    def test_run_that_fails_midway(self, refusal: Any, lucene_index: Any, topics: dict[str, str]) -> None:
        refusal("--impact", "--index", str(lucene_index("cranfield")), "--topics", topics["texts"], "--encoder",
                topics["incomplete"], "--output", "run.txt")

    def test_interrupted_run(self, host: Any, lucene_index: Any, topics: dict[str, str], tmp_path: Path,
                             monkeypatch: pytest.MonkeyPatch) -> None:
        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        original, calls = BmpImpactSearcher.search, []

        def search(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return original(self, *args, **kwargs)

        monkeypatch.setattr(BmpImpactSearcher, "search", search)
        target = tmp_path / "run.txt"
        target.write_text("a good run\n")
        assert main(["--impact", "--index", str(lucene_index("nasty")), "--topics", topics["nasty"], "--output",
                     str(target)]) == 130
        assert target.read_text() == "a good run\n"
        assert list(tmp_path.iterdir()) == [target]

    def test_output_is_a_directory(self, refusal: Any, lucene_index: Any, topics: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        assert "folder" in refusal("--impact", "--index", str(lucene_index("nasty")), "--topics", topics["nasty"],
                                   "--output", "folder")

    def test_flags_that_pyserini_refuses_with_impact(self, refusal: Any, lucene_index: Any, topics: dict[str, str]) -> None:
        arguments = ["--impact", "--index", str(lucene_index("nasty")), "--topics", topics["nasty"], "--output", "run.txt"]
        assert "set_qld" in refusal(*arguments, "--qld")
        assert "'contents'" in refusal(*arguments, "--fields", "title=2")
