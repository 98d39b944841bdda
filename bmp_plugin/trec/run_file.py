"""Run files: written atomically, byte for byte as Pyserini's writers do, and read line by line."""
from __future__ import annotations

import contextlib
import tempfile
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, TextIO

from .._internal.atomic_write import atomic_file, errors_name
from .._internal.compressed import damage_named, lines_of, open_maybe_gzip
from ..errors import InputWarning, SourceError

RunFormat = Literal["trec", "msmarco"]
RUN_FORMATS: tuple[RunFormat, ...] = ("trec", "msmarco")
DEFAULT_TAG = "Anserini"
"""The run tag of ``python -m pyserini.search.lucene``."""

MEMORY_BYTES = 64 << 20
"""A run with more bytes of docids and scores than this is kept in a temporary file while it is read."""


class ScoredDocument(Protocol):
    """A hit: a collection docid and a score."""

    @property
    def docid(self) -> str: ...
    @property
    def score(self) -> float: ...


def is_written_atomically(path: str | Path) -> bool:
    """Tells whether a run at ``path`` is written atomically: not a pipe or device, even where ``/dev/stdout`` is a file."""
    path = Path(path)
    is_device = path.parts[:2] == ("/", "dev") and path.parts[2:3] != ("shm",)          # a folder like any other
    return not is_device and (not path.exists() or path.is_file())


class RunWriter:
    """Writes a run to ``path`` atomically: the file appears at the end of the ``with`` block, unless by an exception.

    Parameters
    ----------
    path : str or Path
        Path of the run. Devices (``/dev/stdout``) and pipes are written directly.
    run_format : {"trec", "msmarco"}
        ``qid Q0 docid rank score tag`` or ``qid<TAB>docid<TAB>rank``.
    tag : str
        Last column of a TREC run.

    Raises
    ------
    ValueError
        If the format is unknown, or the tag has white space.
    OSError
        If the run cannot be written.
    """

    def __init__(self, path: str | Path, run_format: RunFormat = "trec", tag: str = DEFAULT_TAG) -> None:
        if run_format not in RUN_FORMATS:
            raise ValueError(f"run format is {run_format!r}: give one of {', '.join(RUN_FORMATS)}")
        if not tag or tag.split() != [tag]:
            raise ValueError(f"run tag is {tag!r}: give one word")
        self._path = Path(path)
        self._is_file = is_written_atomically(path)
        self._trec = run_format == "trec"
        self._tag = tag
        self._open = contextlib.ExitStack()
        self._file: TextIO | None = None

    def __enter__(self) -> RunWriter:
        if self._path.is_dir():
            raise IsADirectoryError(f"{self._path}: a folder exists where the run is to be written")
        with contextlib.ExitStack() as stack:
            target = stack.enter_context(atomic_file(self._path)) if self._is_file else self._path
            self._file = stack.enter_context(self._writing(target))
            self._open = stack.pop_all()
        return self

    @contextlib.contextmanager
    def _writing(self, target: Path) -> Iterator[TextIO]:
        with errors_name(self._path):
            file = open(target, "w" if self._is_file else "a", encoding="utf-8", newline="\n")  # noqa: SIM115
        try:
            yield file
            with errors_name(self._path):
                file.close()
        finally:
            with contextlib.suppress(OSError):      # the write already failed, on a full disk
                file.close()

    def write(self, qid: str, hits: Iterable[ScoredDocument]) -> None:
        """Writes a query's hits in their order, with ranks from 1; an ``OSError`` names the run."""
        assert self._file is not None
        ranked = enumerate(hits, 1)
        if self._trec:
            tag = self._tag
            lines = [f"{qid} Q0 {hit.docid.strip()} {rank} {hit.score:.6f} {tag}\n" for rank, hit in ranked]
        else:
            lines = [f"{qid}\t{hit.docid.strip()}\t{rank}\n" for rank, hit in ranked]
        with errors_name(self._path):
            self._file.write("".join(lines))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)


@dataclass
class Run:
    """A run in compact form.

    Attributes
    ----------
    path : Path
    run_format : {"trec", "msmarco"}
    answers : mapping of str to bytes
        The lines of each query id in file order, in memory or, for a large run, in a temporary file; each is
        ``docid<SPACE>score<NEWLINE>`` (``docid<NEWLINE>`` in MS MARCO runs, which have no scores), as written in the file.
    """

    path: Path
    run_format: RunFormat
    answers: Mapping[str, bytes]

    def ranking(self, qid: str) -> Iterator[tuple[str, str | None]]:
        """Yields (docid, score as written or None), best first."""
        for line in self.answers[qid].decode().split("\n")[:-1]:
            docid, _, score = line.partition(" ")
            yield docid, score or None


class _Answers(Mapping[str, bytes]):
    """The lines of each query id in a temporary file, which is on disk once it is large."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 (lives as long as the answers)
        weakref.finalize(self, self._file.close)
        self._places: dict[str, list[tuple[int, int]]] = {}

    def append(self, qid: bytes, lines: bytes) -> None:
        lines.decode()  # docids that are not UTF-8 are refused now, not in the middle of a comparison
        self._places.setdefault(qid.decode(), []).append((self._file.tell(), len(lines)))
        with errors_name(tempfile.gettempdir()):
            self._file.write(lines)

    def __getitem__(self, qid: str) -> bytes:
        pieces = []
        for start, length in self._places[qid]:
            self._file.seek(start)
            pieces.append(self._file.read(length))
        return b"".join(pieces)

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __contains__(self, qid: object) -> bool:
        return qid in self._places

    def __len__(self) -> int:
        return len(self._places)


class _ByScore(Mapping[str, bytes]):
    """Answers as trec_eval orders them, whatever the ranks: by score, descending, then by docid, descending by its bytes."""

    def __init__(self, answers: _Answers) -> None:
        self._answers = answers

    def __getitem__(self, qid: str) -> bytes:
        lines = sorted(self._answers[qid].splitlines(keepends=True), key=lambda line: line.partition(b" ")[0], reverse=True)
        lines.sort(key=lambda line: -float(line.partition(b" ")[2]))
        return b"".join(lines)

    def __iter__(self) -> Iterator[str]:
        return iter(self._answers)

    def __contains__(self, qid: object) -> bool:
        return qid in self._answers

    def __len__(self) -> int:
        return len(self._answers)


def read_run(path: str | Path) -> Run:
    """Reads a TREC (six columns) or MS MARCO (three columns) run, plain or gzipped.

    The lines of a query are in the order of their ranks. If the ranks of a TREC run do not ascend, as in those that BEIR
    writes, they are ignored, with a warning, and all answers are ordered by score, as by trec_eval.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Run

    Raises
    ------
    FileNotFoundError
    SourceError
        If the number of columns is wrong, a score is not a number, or the ranks of an MS MARCO run do not ascend; it names the
        line.
    """
    path = Path(path)
    answers = _Answers()
    ranks: dict[bytes, int] = {}
    current, lines = b"", bytearray()
    columns, ranks_ignored = 0, False
    with damage_named(path), open_maybe_gzip(path) as file:
        for number, line in lines_of(path, file):
            parts = line.split()
            if not parts:
                continue
            if b"\0" in line:                     # evaluation tools would cut the docid there, and abort at two equal ones
                raise SourceError(f"{path}, line {number}: has a zero byte: not a run file, or a damaged one")
            if len(parts) != columns:
                if columns or len(parts) not in (3, 6):
                    raise SourceError(_wrong_columns(path, number, len(parts), columns))
                columns = len(parts)
            try:
                if columns == 6:
                    qid, _, docid, rank_text, score, _ = parts
                    entry = b"%b %b\n" % (docid, score)
                    finite = abs(float(score)) < float("inf")
                else:
                    qid, docid, rank_text = parts
                    entry, finite = docid + b"\n", True
                rank = int(rank_text)
                if b"_" in rank_text or (columns == 6 and b"_" in score):
                    raise ValueError("numbers that only Python takes")
            except ValueError:
                told = f"{path}, line {number}: rank or score is not a number: not a run file?"
                if columns == 3 and _is_number(rank_text):
                    told = (f"{path}, line {number}: the third column, {rank_text.decode()}, is no rank but a score: write qid,"
                            " docid and rank, or a TREC run of six columns")
                raise SourceError(told) from None
            if not finite:
                raise SourceError(f"{path}, line {number}: score is {score.decode()}: not a finite number")
            if qid != current:
                if lines:
                    answers.append(current, bytes(lines))
                current, lines = qid, bytearray()
            if qid in ranks and rank <= ranks[qid]:
                if columns == 3:
                    raise SourceError(f"{path}, line {number}: rank {rank} after rank {ranks[qid]}: ranks must ascend")
                ranks_ignored = True
            ranks[qid] = rank
            lines += entry
        if lines:
            answers.append(current, bytes(lines))
    if ranks_ignored:
        warnings.warn(f"{path}: ranks do not ascend, and are ignored: hits are ordered by score, as by trec_eval", InputWarning,
                      stacklevel=2)
    return Run(path, "msmarco" if columns == 3 else "trec", _ByScore(answers) if ranks_ignored else answers)


def _is_number(text: bytes) -> bool:
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _wrong_columns(path: Path, number: int, found: int, expected: int) -> str:
    wanted = str(expected) if expected else "6 (qid Q0 docid rank score tag) or 3 (qid docid rank)"
    return f"{path}, line {number}: {found} columns, expected {wanted}: not a run file, or a docid with a space?"
