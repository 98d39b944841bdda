"""Run files: byte for byte Pyserini's, written atomically, and validated when read."""
from __future__ import annotations

import gzip
import os
import stat
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_plugin.errors import InputWarning, SourceError
from bmp_plugin.trec.run_file import RunWriter, read_run


@dataclass
class Scored:
    docid: str
    score: float


HITS = [
    Scored("12", 246289.0),
    Scored(" sp aced ", 16777216.0),
    Scored("é#3", 3.000001),
    Scored("x", float(np.float32(0.1))),
    Scored("y", -1e-6),
    Scored("z", 0.0),
]


def write(path: Path, hits: list[Scored] = HITS, **options: str) -> bytes:
    with RunWriter(path, **options) as writer:
        writer.write("7", hits)
        writer.write("no hits", [])
        writer.write("q é", hits[:1])
    return path.read_bytes()


@pytest.mark.parametrize("run_format", ["trec", "msmarco"])
@pytest.mark.usefixtures("host")
def test_same_bytes_as_pyserini(tmp_path: Path, run_format: str) -> None:
    from pyserini.output_writer import OutputFormat, get_output_writer

    theirs = get_output_writer(str(tmp_path / "theirs"), OutputFormat(run_format), tag="Anserini")
    with theirs:
        theirs.write("7", HITS)
        theirs.write("no hits", [])
        theirs.write("q é", HITS[:1])
    assert write(tmp_path / "ours", run_format=run_format) == (tmp_path / "theirs").read_bytes()


def test_tag_and_missing_folders(tmp_path: Path) -> None:
    assert write(tmp_path / "run.txt", tag="mine").splitlines()[0] == b"7 Q0 12 1 246289.000000 mine"
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        write(tmp_path / "a" / "b" / "run.txt")
    assert not (tmp_path / "a").exists()


def test_no_partial_output(tmp_path: Path) -> None:
    path = tmp_path / "run.txt"
    path.write_text("the good one\n")

    def fail() -> None:
        with RunWriter(path) as writer:
            writer.write("1", HITS)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert os.listdir(tmp_path) == ["run.txt"]
    assert path.read_text() == "the good one\n"


def test_links_and_permissions_are_kept(tmp_path: Path) -> None:
    target = tmp_path / "target.txt"
    target.write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(target)
    write(link)
    assert link.is_symlink()
    assert target.read_bytes().startswith(b"7 Q0")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(target.stat().st_mode) == 0o666 & ~mask


def test_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    with RunWriter(pipe) as writer:
        writer.write("1", HITS[:1])
    reader.join(10)
    assert read == [b"1 Q0 12 1 246289.000000 Anserini\n"]
    assert os.listdir(tmp_path) == ["pipe"]


def test_disk_full(tmp_path: Path) -> None:
    def fill() -> None:
        with RunWriter("/dev/full") as writer:
            writer.write("1", HITS)

    with pytest.raises(OSError, match="No space left"):
        fill()


def test_refused_options(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="run format is 'kilt'"):
        RunWriter(tmp_path / "run", "kilt")  # type: ignore[arg-type]
    for tag in ("", "two words", "line\nend"):
        with pytest.raises(ValueError, match="run tag"):
            RunWriter(tmp_path / "run", tag=tag)
    with pytest.raises(IsADirectoryError), RunWriter(tmp_path):
        pass


@settings(deadline=None)
@given(st.lists(st.tuples(st.text("abc#é", min_size=1), st.floats(-1e9, 1e9, width=32)), max_size=9))
def test_read_back(tmp_path_factory: pytest.TempPathFactory, ranking: list[tuple[str, float]]) -> None:
    path = tmp_path_factory.getbasetemp() / "run.txt"
    with RunWriter(path) as writer:
        writer.write("q", [Scored(*pair) for pair in ranking])
    run = read_run(path)
    expected = [(docid, f"{score:.6f}") for docid, score in ranking]
    assert (list(run.ranking("q")) if ranking else []) == expected


def test_formats_and_gzip(tmp_path: Path) -> None:
    lines = b"2 Q0 a 0 1.5 t\n\n1 Q0 b 1 2e3 t\n2 Q0 c 7 1.0 u\n"
    (tmp_path / "run.gz").write_bytes(gzip.compress(lines))
    run = read_run(tmp_path / "run.gz")
    assert run.run_format == "trec"
    assert run.answers == {"2": b"a 1.5\nc 1.0\n", "1": b"b 2e3\n"}
    (tmp_path / "marco").write_text("2\ta\t1\n2\tb\t2\n")
    run = read_run(tmp_path / "marco")
    assert run.run_format == "msmarco"
    assert list(run.ranking("2")) == [("a", None), ("b", None)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"1 Q0 a 1 1.0\n", "line 1: 5 columns"),
        (b"1 Q0 a 1 1.0 t\n1 Q0 a b 2 1.0 t\n", "line 2: 7 columns, expected 6"),
        (b"1 Q0 a 1 1.0 t\n1\tb\t2\n", "line 2: 3 columns, expected 6"),
        (b"1 Q0 a one 1.0 t\n", "rank or score is not a number"),
        (b"1 Q0 a 1 high t\n", "rank or score is not a number"),
        (b"1 Q0 a 1 nan t\n", "not a finite number"),
        (b"1 Q0 a 1 inf t\n", "not a finite number"),
        (b"1\ta\t1\n1\tb\t1\n", "line 2: rank 1 after rank 1"),
        (b"1\ta\t12.5\n", "the third column, 12.5, is no rank but a score"),
        (b"1 Q0 \xff 1 1.0 t\n", "not UTF-8"),
        (gzip.compress(b"1 Q0 a 1 1.0 t\n", mtime=0)[:-9], "damaged gzip"),
    ],
)
def test_refused_by_file_and_line(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "run.txt"
    path.write_bytes(data)
    with pytest.raises(SourceError) as refused:
        read_run(path)
    assert str(path) in str(refused.value)
    assert message in str(refused.value)


@pytest.mark.parametrize("ranks", [(0, 0, 0, 0), (4, 3, 2, 1), (1, 2, 2, 3)])
def test_ranks_that_do_not_ascend_are_ignored(tmp_path: Path, ranks: tuple[int, ...]) -> None:
    """As trec_eval ignores all ranks: hits are ordered by score, descending, then by docid, descending. BEIR writes 0."""
    rows = [("b", "1.5"), ("a", "10.25"), ("c", "1.50"), ("d", "-3")]
    path = tmp_path / "run.txt"
    path.write_text("".join(f"{qid} Q0 {docid} {rank} {score} t\n"
                            for qid in "12" for (docid, score), rank in zip(rows, ranks, strict=True)))
    with pytest.warns(InputWarning, match=r"run\.txt: ranks do not ascend, and are ignored"):
        run = read_run(path)
    for qid in "12":
        assert list(run.ranking(qid)) == [("a", "10.25"), ("c", "1.50"), ("b", "1.5"), ("d", "-3")]
    assert (len(run.answers), list(run.answers), "1" in run.answers, "3" in run.answers) == (2, ["1", "2"], True, False)


def test_a_byte_order_mark_and_windows_lines_in_runs(tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_bytes(b"\xef\xbb\xbf1 Q0 a 1 2.5 t\r\n1 Q0 b 2 1.5 t\r\n\r\n")
    run = read_run(tmp_path / "run.txt")
    assert {qid: list(run.ranking(qid)) for qid in run.answers} == {"1": [("a", "2.5"), ("b", "1.5")]}
