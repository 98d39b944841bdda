"""Anserini's JsonVectorCollection, read without Anserini: ``{"id": ..., "contents": ..., "vector": {token: weight}}``.

The result is what ``IndexCollection -collection JsonVectorCollection -impact -pretokenized -threads 1`` indexes, as
observed with Anserini 1.7.1: documents come in the order of the files on disk; weights of 0 are omitted; documents without
a weight above 0 are not indexed and hence not counted; tokens are split at white space and after 255 UTF-16 units, as
Lucene's WhitespaceTokenizer does, and the weights of equal parts are summed. What Anserini silently gets wrong (fractional
and negative weights, 2**31 and more, duplicate ids, the rest of a file after a broken line) is refused.
"""
from __future__ import annotations

import hashlib
import sys
from array import array
from collections.abc import Iterator
from functools import cached_property
from itertools import chain, compress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.parallel import in_order
from bmp_plugin._internal.progress import tqdm
from bmp_plugin.errors import SourceError
from bmp_plugin.index.source import Documents, PostingBatch, SourceInfo

from .docid_table import Docids
from .inversion import DEFAULT_BUDGET, Inverter
from .json_documents import MAX_IMPACT, DocumentBlock, parse
from .json_stream import json_blocks, json_files
from .regular_documents import is_compiled, parse_mostly_regular

MAX_DOCUMENTS = 2**31 - 1
MAX_TOKEN_UNITS = 255
COMPILED_FROM = 1 << 25
"""Total size in bytes of the files from which on it pays to compile the kernels that convert documents, which takes seconds."""

# Java's Character.isWhitespace, at which Lucene's WhitespaceTokenizer splits: excludes no-break spaces and U+0085
_JAVA_WHITESPACE = frozenset(
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
    "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u2028\u2029\u205f\u3000"
)
_JAVA_TRIMMED = "".join(map(chr, range(0x21)))


def lucene_tokens(token: str) -> list[str]:
    """Returns the terms into which Lucene's WhitespaceTokenizer splits a token."""
    terms, term, units = [], "", 0
    for letter in token:
        if letter in _JAVA_WHITESPACE:
            if term:
                terms.append(term)
            term, units = "", 0
            continue
        term += letter
        units += 2 if letter > "\uffff" else 1
        if units >= MAX_TOKEN_UNITS:
            terms.append(term)
            term, units = "", 0
    return [*terms, term] if term else terms


class _TermIds(dict[str, int]):
    """Maps tokens to term ids, assigned at first lookup; a split token maps to -1 - its index in ``split``."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: list[str] = []
        self.split: list[tuple[tuple[int, ...], bool]] = []

    def __missing__(self, token: str) -> int:
        if token and len(token) < MAX_TOKEN_UNITS // 2 and _JAVA_WHITESPACE.isdisjoint(token):
            term_id = self._new_id(token)
        else:
            terms = lucene_tokens(token)
            if terms == [token]:
                term_id = self._new_id(token)
            else:
                part_ids = tuple(self[term] for term in terms)
                self.split.append((part_ids, bool(token.strip(_JAVA_TRIMMED))))
                term_id = -len(self.split)
        self[token] = term_id
        return term_id

    def _new_id(self, term: str) -> int:
        self.terms.append(term)
        return len(self.terms) - 1


class JsonVectorSource:
    """A :class:`~bmp_plugin.index.source.PostingSource` over JSON vectors, which are read once, on first use.

    Parameters
    ----------
    path : str or Path
        A file, or a folder of files, subfolders included.
    budget : int
        Number of postings held in memory; further ones are spilled to a temporary file (up to 6 bytes each) until ``close``.
    temp_dir : str or Path, optional
        Folder of that unnamed file; the system's by default.
    progress : bool
        Show a progress bar while the files are read.
    threads : int
        Number of threads that parse large collections.

    Raises
    ------
    FileNotFoundError
    SourceError
        It names the file and the line.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        budget: int = DEFAULT_BUDGET,
        temp_dir: str | Path | None = None,
        progress: bool = False,
        threads: int = 1,
    ) -> None:
        self._path = Path(path)
        self._files = json_files(self._path)
        self._budget, self._temp_dir = budget, temp_dir
        self._inverter = Inverter(budget, temp_dir)
        self._progress, self._threads = progress, threads
        self._num_empty = 0
        self._terms: list[bytes] = []
        self._documents: Documents | None = None
        self._fingerprint = _fingerprint(self._path, self._files)

    @cached_property
    def info(self) -> SourceInfo:
        """Describes the source; this reads the files, to count the documents."""
        num_docs = self.documents().source_docids.size
        return SourceInfo(
            kind="json-vectors",
            path=str(self._path.resolve()),
            fingerprint=self._fingerprint,
            num_docs=num_docs,
            details={"files": len(self._files), "documents_without_weights": self._num_empty},
        )

    def documents(self) -> Documents:
        """Returns all documents with at least one weight above 0, numbered consecutively."""
        if self._documents is None:
            collector = _Collector(self._inverter)
            size = sum(file.stat().st_size for file in self._files)
            by_kernels = size >= COMPILED_FROM or is_compiled()
            with tqdm(desc="reading vectors", total=size, unit="B", unit_scale=True, disable=not self._progress,
                      file=sys.stderr) as bar:
                blocks = chain.from_iterable(json_blocks(file, bar.update) for file in self._files)
                parts = (in_order(parse_mostly_regular, blocks, self._threads) if by_kernels
                         else ([parse(block)] for block in blocks))
                for part in chain.from_iterable(parts):
                    collector.add(part)
            self._documents = collector.finish()
            self._num_empty = collector.num_empty
            self._terms = [term.encode() for term in collector.term_ids.terms]
            if _fingerprint(self._path, json_files(self._path)) != self._fingerprint:
                raise SourceError(f"{self._path}: files changed while they were read: try again when complete")
        return self._documents

    def num_postings_hint(self) -> int | None:
        """Returns the exact number of postings once the files are read; None before."""
        return self._inverter.num_postings if self._documents is not None else None

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term once, in order of first occurrence."""
        self.documents()
        for numbers, counts, docs, impacts in self._inverter.batches():
            terms = [self._terms[number] for number in numbers.tolist()]
            yield PostingBatch(terms, counts.copy(), counts, docs, impacts)

    def close(self) -> None:
        """Frees the postings and removes spilled segments; may be called twice."""
        self._inverter.close()
        self._inverter = Inverter(self._budget, self._temp_dir)
        self._documents = None


def _fingerprint(path: Path, files: list[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        status = file.stat()
        name = file.relative_to(path) if file != path else Path(file.name)
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


class _Collector:
    """Adds parsed documents to an inverter, with the term ids of the whole collection."""

    def __init__(self, inverter: Inverter) -> None:
        self.term_ids = _TermIds()
        self.num_empty = 0
        self._inverter = inverter
        self._docids = Docids()
        self._lines = array("q")
        self._files: list[tuple[int, Path]] = []

    def add(self, block: DocumentBlock) -> None:
        """Adds the next documents."""
        if not self._files or self._files[-1][1] != block.path:
            self._files.append((len(self._docids), block.path))
        if not block.docids:
            return
        id_of = np.array([self.term_ids[token] for token in block.tokens], np.int32)
        terms, weights, counts = id_of[block.terms] if block.tokens else block.terms, block.weights, block.counts
        present = counts > 0
        if not weights.all() or (id_of < 0).any():
            terms, weights, counts, present = self._kept(block, terms)
        first, num_present = len(self._docids), int(present.sum())
        if first + num_present > MAX_DOCUMENTS:
            raise SourceError(f"{block.path}: more than {MAX_DOCUMENTS} documents: split the collection")
        self.num_empty += present.size - num_present
        self._docids.extend([docid.encode() for docid in compress(block.docids, present)])
        self._lines.extend(block.lines[present].tolist())
        docs = np.arange(first, first + num_present, dtype=np.int32)
        self._inverter.add(terms, np.repeat(docs, counts[present]), weights)

    def _kept(
        self, block: DocumentBlock, terms: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int64], NDArray[np.bool_]]:
        """Drops weights of 0, and replaces split tokens by their parts.

        Returns
        -------
        terms, weights : int32[n]
        counts : int64[len(block.docids)]
            The number of postings of each document.
        present : bool[len(block.docids)]
            Whether it is indexed.
        """
        kept = block.weights > 0
        places = np.repeat(np.arange(len(block.docids), dtype=np.int32), block.counts)[kept]
        terms, weights = terms[kept], block.weights[kept]
        if terms.size and int(terms.min()) < 0:
            terms, weights, places, present = self._split(block, terms, weights, places)
        else:
            present = np.bincount(places, minlength=len(block.docids)) > 0
        return terms, weights, np.bincount(places, minlength=len(block.docids)), present

    def _split(
        self, block: DocumentBlock, terms: NDArray[np.int32], weights: NDArray[np.int32], places: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
        """Replaces split tokens by their parts, and sums the weights of equal terms of a document."""
        present = np.zeros(len(block.docids), bool)
        whole = terms >= 0
        present[places[whole]] = True
        extra: list[tuple[int, int, int]] = []
        for at in np.flatnonzero(~whole).tolist():
            parts, has_letters = self.term_ids.split[-1 - int(terms[at])]
            present[places[at]] |= has_letters
            extra.extend((int(places[at]), part, int(weights[at])) for part in parts)
        more = np.array(extra, np.int64).reshape(-1, 3)
        all_places = np.concatenate([places[whole], more[:, 0]]).astype(np.int64)
        all_terms = np.concatenate([terms[whole], more[:, 1]]).astype(np.int64)
        all_weights = np.concatenate([weights[whole], more[:, 2]]).astype(np.int64)
        keys, which = np.unique(all_places << 32 | all_terms, return_inverse=True)
        sums = np.zeros(keys.size, np.int64)
        np.add.at(sums, which, all_weights)
        if sums.size and int(sums.max()) > MAX_IMPACT:
            place = int(keys[int(sums.argmax())] >> 32)
            raise SourceError(
                f"{block.path}, line {block.lines[place]}: weights of document {block.docids[place]!r} add up to"
                f" more than {MAX_IMPACT}: use smaller weights"
            )
        kept = present[keys >> 32]              # documents of control characters alone are not indexed
        keys, sums = keys[kept], sums[kept]
        return (keys & 0xFFFFFFFF).astype(np.int32), sums.astype(np.int32), (keys >> 32).astype(np.int32), present

    def finish(self) -> Documents:
        """Checks that no docid occurs twice and finishes the inversion."""
        twice = self._docids.duplicate()
        if twice is not None:
            first, second = twice
            raise SourceError(
                f"{self._file_of(second)}, line {self._lines[second]}: document id {self._docids[second].decode()!r} occurs"
                f" before ({self._file_of(first)}, line {self._lines[first]}): ids must be unique"
            )
        self._inverter.finish(len(self.term_ids.terms))
        joined, ends = self._docids.joined()
        return Documents(joined, ends, np.arange(ends.size, dtype=np.int32))

    def _file_of(self, doc: int) -> Path:
        return next(path for first, path in reversed(self._files) if first <= doc)
