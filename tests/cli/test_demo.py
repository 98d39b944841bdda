"""``bmp-plugin demo``, with and without Lucene."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest


def demo(*arguments: str, before: str = "pass", **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the demo in another process, after some code."""
    code = f"import sys; {before}; from bmp_plugin.cli import main; sys.exit(main(['demo', *sys.argv[1:]]))"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        timeout=600,
    )
    # the first search on a machine says that it compiles
    done.stderr = "".join(line for line in done.stderr.splitlines(keepends=True) if "compiling" not in line)
    return done


NO_PYSERINI = "sys.modules['pyserini'] = None"


@pytest.mark.usefixtures("java")
def test_with_lucene(tmp_path: Path) -> None:
    done = demo("--output", str(tmp_path), "--hits", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "LuceneImpactSearcher" in done.stdout
    assert "nDCG@10" in done.stdout
    assert 'pip install "bmp-plugin[pyserini]"' not in done.stdout
    assert re.fullmatch(r"The same 2 runs, byte for byte; [\d.,]+ times as fast", done.stdout.splitlines()[-1])
    runs = [(tmp_path / f"run.{name}.txt").read_bytes() for name in ("bmp", "lucene", "drop-in")]
    assert runs[0] == runs[1] == runs[2]
    assert runs[0].count(b"\n") == 22_500


def test_without_pyserini(tmp_path: Path) -> None:
    done = demo("--hits", "10", before=NO_PYSERINI, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "skipped the comparison with Lucene: Pyserini is not installed" in done.stdout
    assert "BmpSearcher" in done.stdout
    assert "0.4962" in done.stdout, "nDCG@10 of Cranfield"
    assert 'pip install "bmp-plugin[pyserini]"' in done.stdout
    assert "python -m bmp_plugin.search.lucene --index" in done.stdout
    assert "times as fast" not in done.stdout
    assert os.listdir(tmp_path) == [], "the temporary folder is removed"


NO_EXHAUSTIVE_SEARCH = """
from bmp_plugin.searcher import compiled_search
from bmp_plugin.searcher.bmp_searcher import BmpSearcher
compiled_search.has_code = lambda *_, **__: False
def refuse(*_): raise AssertionError("scored exhaustively")
BmpSearcher._exhaustive = refuse
"""


def test_latencies_are_of_compiled_code() -> None:
    """Where nothing is compiled yet, the demo waits."""
    done = demo("--hits", "10", before=f"{NO_PYSERINI}; exec({NO_EXHAUSTIVE_SEARCH!r})", BMP_PLUGIN_COMPILE="background")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ms/query" in done.stdout


def test_no_latency_where_nothing_is_to_be_compiled() -> None:
    done = demo("--hits", "10", before=NO_PYSERINI, BMP_PLUGIN_COMPILE="never")
    assert (done.returncode, done.stderr) == (0, "")
    assert "ms/query" not in done.stdout
    assert "0.4962" in done.stdout


def test_a_differing_run_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin.demo import print_verdict
    from bmp_plugin.demo.timed_engines import Engine

    for name, text in (("same", "same"), ("also", "same"), ("other", "different")):
        (tmp_path / name).write_text(text)
    same, also, other = (Engine(name, lambda _: [], {}, tmp_path / name) for name in ("same", "also", "other"))
    assert print_verdict([same, also, same], [0.2, 5.8, 0.4]) == 0
    assert print_verdict([same, also, same], []) == 0
    assert print_verdict([same, also, other], []) == 1
    assert capsys.readouterr().out.splitlines() == [
        "The same 2 runs, byte for byte; 14 times as fast", "The same 2 runs, byte for byte", "1 of 2 runs differ"]


def test_again_in_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        done = demo("--output", str(tmp_path), "--hits", "10", before=NO_PYSERINI)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.bmp.txt").read_bytes().count(b"\n") == 2250
