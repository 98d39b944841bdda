"""Collections for the benchmark: a folder of JSON vectors, or arrays in an .npz file.

An .npz file holds a sparse matrix with one row per document: ``ptr`` integer[n + 1], ``terms`` and ``imps`` integer[m],
optionally ``ids`` str[n] (else d0, d1, ...). A vocabulary file has each column's token in the line of that number. An array
``delta`` marks that the terms of a row are delta-coded. JSON vectors are converted to arrays once, in the work folder.
"""
from __future__ import annotations

import gzip
import os
import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import orjson
from numpy.typing import NDArray

from bmp_plugin._internal.progress import tqdm
from bmp_plugin.errors import SourceError

from .mapped_arrays import mapped_npz

if TYPE_CHECKING:
    from bmp_plugin.index.source import PostingSource

DOCUMENTS_PER_FILE = 100_000


class Arrays(NamedTuple):
    """A collection in CSR form: ptr int64[n + 1], terms and impacts integer[m], docids of the rows, tokens of the columns."""

    ptr: NDArray[np.int64]
    terms: NDArray[Any]
    impacts: NDArray[Any]
    docids: Sequence[str]
    vocabulary: list[str]


class _Numbers(Sequence[str]):
    """The docids d0, d1, ..., computed on access: millions of strings would take half a gigabyte."""

    def __init__(self, count: int) -> None:
        self._range = range(count)

    def __len__(self) -> int:
        return len(self._range)

    def __getitem__(self, at: Any) -> Any:
        found = self._range[at]
        return f"d{found}" if isinstance(found, int) else [f"d{number}" for number in found]


@dataclass(frozen=True)
class Collection:
    """A collection and the work folder of everything derived from it; picklable, and read on demand.

    Attributes
    ----------
    path : Path
        The folder of JSON vectors, or the .npz file.
    work : Path
        This collection's work folder.
    vocabulary_path : Path or None
        The vocabulary of an .npz file.

    Raises
    ------
    FileNotFoundError
    ValueError
        If an .npz file has no vocabulary.
    SourceError
        If the path is neither kind of collection.
    """

    path: Path
    work: Path
    vocabulary_path: Path | None = None

    def __post_init__(self) -> None:
        if not self.path.exists():
            raise FileNotFoundError(f"{self.path}: no such collection: give a folder of JSON vectors or an .npz file")
        if self.path.is_dir() and not self._files():
            raise SourceError(f"{self.path}: holds no .json, .jsonl or .gz file: give a folder of JSON vectors")
        if self.path.is_file() and self.path.suffix != ".npz":
            raise SourceError(f"{self.path}: is neither a folder of JSON vectors nor an .npz file")
        if self.path.is_file() and self.vocabulary_path is None:
            raise ValueError(f"{self.path}: its terms are numbers: give their names by --vocabulary, one a line")

    @property
    def name(self) -> str:
        """Returns the name of the collection in results, which is that of the work folder."""
        return self.work.name

    def prepare(self) -> None:
        """Prepares the work folder, and converts JSON vectors to arrays.

        Raises
        ------
        ValueError
            If the folder holds the indexes of another collection.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        note = self.work / "collection.json"
        content = orjson.dumps([[file.name, file.stat().st_size] for file in self._files()])
        if note.exists() and note.read_bytes() != content:
            raise ValueError(f"{self.work}: holds the indexes of another collection than {self.path}: give another --work")
        if self.path.is_dir() and not self._converted.exists():
            _convert(self._files(), self._converted)
        note.write_bytes(content)

    @cached_property
    def arrays(self) -> Arrays:
        """Returns the arrays, memory-mapped unless compressed."""
        if self.path.is_dir():
            stored = mapped_npz(self._converted)
            return Arrays(stored["ptr"], stored["terms"], stored["imps"], orjson.loads(stored["docids"].tobytes()),
                          orjson.loads(stored["vocabulary"].tobytes()))
        assert self.vocabulary_path is not None
        stored = mapped_npz(self.path)
        missing = {"ptr", "terms", "imps"} - set(stored)
        if missing:
            raise SourceError(f"{self.path}: has no array {sorted(missing)[0]!r}; it needs ptr, terms and imps")
        ptr, terms, impacts = stored["ptr"].astype(np.int64, copy=False), stored["terms"], stored["imps"]
        docids: Sequence[str] = stored["ids"].tolist() if "ids" in stored else _Numbers(len(ptr) - 1)
        if "delta" in stored:
            terms = _from_gaps(ptr, terms)
        vocabulary = self.vocabulary_path.read_text(encoding="utf-8").split("\n")
        top = int(terms.max()) + 1 if len(terms) else 0
        if top > len(vocabulary):
            raise SourceError(f"{self.vocabulary_path}: has {len(vocabulary)} lines, but {self.path} has term {top - 1}")
        return Arrays(ptr, terms, impacts, docids, vocabulary[:top])

    def counts(self) -> tuple[int, int]:
        """Returns the numbers of documents and postings, without reading the postings."""
        ptr = mapped_npz(self._converted if self.path.is_dir() else self.path)["ptr"]
        return len(ptr) - 1, int(ptr[-1])

    def documents(self, order: Iterable[int] | None = None) -> Iterator[tuple[str, dict[str, int]]]:
        """Yields documents as (docid, vector), in the order of the collection or of the given row numbers."""
        ptr, terms, impacts, docids, vocabulary = self.arrays
        token = vocabulary.__getitem__
        for row in range(len(docids)) if order is None else order:
            lo, hi = int(ptr[row]), int(ptr[row + 1])
            yield docids[row], dict(zip(map(token, terms[lo:hi].tolist()), impacts[lo:hi].tolist(), strict=True))

    def source(self, threads: int = 1) -> Path | PostingSource:
        """Returns a source for ``BmpIndex.build``: the JSON vectors or the arrays; temporary files go to the work folder."""
        if self.path.is_dir():
            return self.path
        from bmp_plugin.adapters.sources.array_source import ArraySource

        return ArraySource(*self.arrays, threads=threads, temp_dir=self.work)

    def json_folder(self) -> Path:
        """Returns a folder of JSON vectors; if the collection comes as arrays, it is written in the work folder."""
        if self.path.is_dir():
            return self.path
        folder = self.work / "json"
        if folder.exists():
            return folder
        unfinished = self.work / "json.unfinished"
        unfinished.mkdir(exist_ok=True)
        documents = self.documents()
        for number in range(0, len(self.arrays.docids), DOCUMENTS_PER_FILE):
            name = unfinished / f"docs-{number // DOCUMENTS_PER_FILE:05d}.jsonl.gz"
            with gzip.open(name, "wb", compresslevel=1) as file:
                for _, (docid, vector) in zip(range(DOCUMENTS_PER_FILE), documents, strict=False):     # no document is lost
                    file.write(orjson.dumps({"id": docid, "contents": "", "vector": vector}) + b"\n")
        os.replace(unfinished, folder)
        return folder

    @property
    def _converted(self) -> Path:
        return self.work / "collection.npz"

    def _files(self) -> list[Path]:
        if self.path.is_file():
            return [self.path]
        return sorted(file for file in self.path.iterdir() if file.suffix in (".json", ".jsonl", ".gz"))


def _convert(files: list[Path], output: Path) -> None:
    numbers: dict[str, int] = {}
    ptr, terms, impacts, docids = array("q", [0]), array("i"), array("i"), []
    for file in tqdm(files, desc="reading vectors", unit=" files", disable=None, file=sys.stderr):
        with cast(IO[bytes], gzip.open(file) if file.suffix == ".gz" else open(file, "rb")) as lines:
            for number, line in enumerate(lines, 1):
                try:
                    document = orjson.loads(line)
                    docid, vector = document["id"], {token: weight for token, weight in document["vector"].items() if weight}
                    impacts.extend(vector.values())
                except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
                    raise SourceError(f"{file}, line {number}: not a document with id and vector, one a line") from None
                if vector:
                    terms.extend([numbers.setdefault(token, len(numbers)) for token in vector])
                    ptr.append(len(terms))
                    docids.append(docid)
    unfinished = output.with_suffix(".unfinished.npz")
    np.savez(unfinished, ptr=np.array(ptr, np.int64), terms=_narrowed(terms), imps=_narrowed(impacts),
             docids=np.frombuffer(orjson.dumps(docids), np.uint8),
             vocabulary=np.frombuffer(orjson.dumps(list(numbers)), np.uint8))
    os.replace(unfinished, output)


def _narrowed(values: array[int]) -> NDArray[Any]:
    wide = np.frombuffer(values, np.int32) if values else np.empty(0, np.int32)
    return wide.astype(np.uint16) if len(wide) and wide.max() < 2**16 else wide


def _from_gaps(ptr: NDArray[np.int64], gaps: NDArray[Any]) -> NDArray[Any]:
    sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(gaps, dtype=np.int64)])
    terms: NDArray[Any] = (sums[1:] - np.repeat(sums[ptr[:-1]], np.diff(ptr))).astype(gaps.dtype)
    return terms
