"""``bmp-plugin demo``, with and without Lucene."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def demo(*arguments: str, without: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    hide = f"sys.modules[{without!r}] = None; " if without else ""
    code = f"import sys; {hide}from bmp_plugin.cli import main; sys.exit(main(['demo', *sys.argv[1:]]))"
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


@pytest.mark.usefixtures("java")
def test_with_lucene(tmp_path: Path) -> None:
    done = demo("--output", str(tmp_path), "--hits", "100")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.count("byte-identical") == 2
    assert "LuceneImpactSearcher" in done.stdout
    assert "nDCG@10" in done.stdout
    runs = [(tmp_path / f"run.{name}.txt").read_bytes() for name in ("bmp", "lucene", "drop-in")]
    assert runs[0] == runs[1] == runs[2]
    assert runs[0].count(b"\n") == 22_500


def test_without_pyserini(tmp_path: Path) -> None:
    done = demo("--hits", "10", without="pyserini", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "skipped the comparison with Lucene: Pyserini is not installed" in done.stdout
    assert "BmpSearcher" in done.stdout
    assert "0.4962" in done.stdout, "nDCG@10 of Cranfield"
    assert os.listdir(tmp_path) == [], "the temporary folder is removed"


def test_a_differing_run_fails(tmp_path: Path) -> None:
    from bmp_plugin.demo import Measured, _print_identity

    measured = []
    for name, text in (("a", "same"), ("b", "same"), ("c", "other")):
        (tmp_path / name).write_text(text)
        measured.append(Measured(name, tmp_path / name, 1.0, {}))
    assert _print_identity(measured[:2])
    assert not _print_identity(measured)


def test_again_in_the_same_folder(tmp_path: Path) -> None:
    for _ in range(2):
        done = demo("--output", str(tmp_path), "--hits", "10", without="pyserini")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "run.bmp.txt").read_bytes().count(b"\n") == 2250
