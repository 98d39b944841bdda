"""Anserini's JsonVectorCollection, read without Anserini: ``{"id": ..., "contents": ..., "vector": {token: weight}}``.

The result is what ``IndexCollection -collection JsonVectorCollection -impact -pretokenized -threads 1`` indexes, as
observed with Anserini 1.7.1: documents in the order of the files on disk; weights of 0 left out; documents without any
weight above 0 not indexed and hence not counted; tokens divided at white space and after 255 UTF-16 units, as Lucene's
WhitespaceTokenizer does, and the weights of equal parts added up. What Anserini takes silently and wrongly (fractional
and negative weights, 2**31 and more, duplicate ids, the rest of a file after a broken line) is refused.
"""
from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from bmp_plugin.errors import SourceError

from .inversion import DEFAULT_BUDGET, Inverter
from .json_stream import json_files, json_objects
from .source import Documents, PostingBatch, SourceInfo

MAX_IMPACT = 2**31 - 1
MAX_DOCUMENTS = 2**31 - 1
MAX_TOKEN_UNITS = 255
_CHUNK_POSTINGS = 1_000_000

# Character.isWhitespace of Java, by which Lucene's WhitespaceTokenizer divides: no-break spaces and U+0085 do not count
_JAVA_WHITESPACE = frozenset(
    "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f "
    "\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u2028\u2029\u205f\u3000"
)
_JAVA_TRIMMED = "".join(map(chr, range(0x21)))


def lucene_tokens(token: str) -> list[str]:
    """The terms that Lucene's WhitespaceTokenizer makes of a token."""
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


class _TermNumbers(dict[str, int]):
    """Token to term number, given out at first sight; divided tokens get -1 - their place in ``divided``."""

    def __init__(self) -> None:
        super().__init__()
        self.terms: list[str] = []
        self.divided: list[tuple[tuple[int, ...], bool]] = []

    def __missing__(self, token: str) -> int:
        if token and len(token) < MAX_TOKEN_UNITS // 2 and _JAVA_WHITESPACE.isdisjoint(token):
            number = self._of_term(token)
        else:
            terms = lucene_tokens(token)
            if terms == [token]:
                number = self._of_term(token)
            else:
                numbers = tuple(self[term] for term in terms)
                self.divided.append((numbers, bool(token.strip(_JAVA_TRIMMED))))
                number = -len(self.divided)
        self[token] = number
        return number

    def _of_term(self, term: str) -> int:
        self.terms.append(term)
        return len(self.terms) - 1


class JsonVectorSource:
    """A :class:`~bmp_plugin.adapters.source.PostingSource` over JSON vectors; read once, at the first use.

    Parameters
    ----------
    path : str or Path
        A file, or a folder of files (its subfolders too).
    budget : int
        Postings held in memory; beyond, they are spilled to a temporary folder (8 bytes a posting) until ``close``.
    temp_dir : str or Path, optional
        Where that folder is made.
    progress : bool
        Show a progress bar while the files are read.

    Errors: ``FileNotFoundError``, and SourceError naming file and line.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        budget: int = DEFAULT_BUDGET,
        temp_dir: str | Path | None = None,
        progress: bool = False,
    ) -> None:
        self._path = Path(path)
        self._files = json_files(self._path)
        self._budget, self._temp_dir = budget, temp_dir
        self._inverter = Inverter(budget, temp_dir)
        self._progress = progress
        self._num_empty = 0
        self._terms: list[bytes] = []
        self._documents: Documents | None = None
        self._fingerprint = _fingerprint(self._path, self._files)

    @cached_property
    def info(self) -> SourceInfo:
        """Where the vectors came from; reads them, for the number of documents."""
        num_docs = self.documents().numbers.size
        return SourceInfo(
            kind="json-vectors",
            path=str(self._path.resolve()),
            fingerprint=self._fingerprint,
            num_docs=num_docs,
            details={"files": len(self._files), "documents_without_weights": self._num_empty},
        )

    def documents(self) -> Documents:
        """All documents with at least one weight above 0, numbered as they come."""
        if self._documents is None:
            reader = _Reader(self._inverter, min(_CHUNK_POSTINGS, self._budget))
            with tqdm(desc="reading vectors", unit=" documents", disable=not self._progress) as bar:
                for file in self._files:
                    reader.read(file, bar)
            self._documents = reader.finish()
            self._num_empty = reader.num_empty
            self._terms = [term.encode() for term in reader.numbers.terms]
            if _fingerprint(self._path, json_files(self._path)) != self._fingerprint:
                raise SourceError(f"{self._path}: files changed while they were read: try again when complete")
        return self._documents

    def num_postings_hint(self) -> int | None:
        """The exact number of postings, once the files are read; None before."""
        return self._inverter.num_postings if self._documents is not None else None

    def batches(self) -> Iterator[PostingBatch]:
        """Every term once, in order of first occurrence."""
        self.documents()
        for numbers, counts, docs, impacts in self._inverter.batches():
            terms = [self._terms[number] for number in numbers.tolist()]
            yield PostingBatch(terms, counts.copy(), counts, docs, impacts)

    def close(self) -> None:
        """Free the postings and remove spilled runs; may be called twice."""
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


class _Reader:
    """Reads files into an inverter, in chunks of whole documents."""

    def __init__(self, inverter: Inverter, chunk_postings: int) -> None:
        self._chunk_postings = chunk_postings
        self.numbers = _TermNumbers()
        self.num_empty = 0
        self._inverter = inverter
        self._docid_bytes = bytearray()
        self._docid_ends = array("q")
        self._docid_hashes = array("q")
        self._lines = array("q")
        self._files: list[tuple[int, Path]] = []
        self._start_chunk()

    def _start_chunk(self) -> None:
        self._chunk_docids: list[str] = []
        self._chunk_lines: list[int] = []
        self._chunk_terms = array("i")
        self._chunk_weights = array("i")
        self._chunk_counts = array("q")

    def read(self, path: Path, progress: tqdm[Any]) -> None:
        """Take all documents of a file."""
        self._files.append((len(self._docid_ends), path))
        number_of = self.numbers.__getitem__
        for line, document in json_objects(path):
            try:
                docid, vector = document["id"], document["vector"]
            except (KeyError, TypeError):
                raise SourceError(_no_document(path, line, document)) from None
            if type(docid) is not str or not docid:
                docid = _docid_text(path, line, docid)
            if type(vector) is not dict:
                raise SourceError(
                    f'{path}, line {line}: "vector" of document {docid!r} is not an object of tokens and weights'
                )
            weights = self._chunk_weights
            before = len(weights)
            try:
                weights.extend(vector.values())
            except (TypeError, OverflowError):
                del weights[before:]
                weights.extend(_whole_weights(path, line, docid, vector))
            self._chunk_terms.extend(map(number_of, vector))
            self._chunk_docids.append(docid)
            self._chunk_lines.append(line)
            self._chunk_counts.append(len(vector))
            if len(weights) >= self._chunk_postings:
                self._take_chunk(path)
                progress.update(len(self._docid_ends) - progress.n)
        self._take_chunk(path)
        progress.update(len(self._docid_ends) - progress.n)

    def _take_chunk(self, path: Path) -> None:
        if not self._chunk_docids:
            return
        terms = np.frombuffer(self._chunk_terms, np.int32)
        weights = np.frombuffer(self._chunk_weights, np.int32)
        counts = np.frombuffer(self._chunk_counts, np.int64)
        places = np.repeat(np.arange(counts.size, dtype=np.int32), counts)
        if weights.size and int(weights.min()) < 0:
            place = int(places[int(weights.argmin())])
            raise SourceError(
                f"{path}, line {self._chunk_lines[place]}: document {self._chunk_docids[place]!r} has the weight"
                f" {int(weights.min())}: weights must not be negative"
            )
        kept = weights > 0
        if not kept.all():
            terms, weights, places = terms[kept], weights[kept], places[kept]
        present = np.bincount(places, minlength=counts.size) > 0
        if terms.size and int(terms.min()) < 0:
            terms, weights, places, present = self._divide(path, terms, weights, places)
        self.num_empty += int(present.size - present.sum())
        docs = (np.cumsum(present) - 1 + len(self._docid_ends)).astype(np.int32)
        self._inverter.add(terms, docs[places], weights)
        for place in np.flatnonzero(present).tolist():
            docid = self._chunk_docids[place].encode()
            self._docid_bytes += docid
            self._docid_ends.append(len(self._docid_bytes))
            self._docid_hashes.append(hash(docid))
            self._lines.append(self._chunk_lines[place])
        if len(self._docid_ends) > MAX_DOCUMENTS:
            raise SourceError(f"{path}: more than {MAX_DOCUMENTS} documents: divide the collection")
        self._start_chunk()

    def _divide(
        self, path: Path, terms: NDArray[np.int32], weights: NDArray[np.int32], places: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
        """Replace divided tokens by their parts and add up the weights of equal terms of a document."""
        present = np.zeros(len(self._chunk_docids), bool)
        whole = terms >= 0
        present[places[whole]] = True
        extra: list[tuple[int, int, int]] = []
        for at in np.flatnonzero(~whole).tolist():
            parts, has_letters = self.numbers.divided[-1 - int(terms[at])]
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
                f"{path}, line {self._chunk_lines[place]}: weights of document {self._chunk_docids[place]!r} add up to"
                f" more than {MAX_IMPACT}: use smaller weights"
            )
        return (keys & 0xFFFFFFFF).astype(np.int32), sums.astype(np.int32), (keys >> 32).astype(np.int32), present

    def finish(self) -> Documents:
        """Check that no docid came twice and turn the postings round."""
        ends = np.array(self._docid_ends, np.int64)
        self._refuse_duplicates(ends)
        self._inverter.finish(len(self.numbers.terms))
        return Documents(bytes(self._docid_bytes), ends, np.arange(ends.size, dtype=np.int32))

    def _refuse_duplicates(self, ends: NDArray[np.int64]) -> None:
        hashes = np.array(self._docid_hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        starts = ends - np.diff(ends, prepend=0) if ends.size else ends
        for at in np.flatnonzero(ordered[1:] == ordered[:-1]).tolist():
            first, second = int(order[at]), int(order[at + 1])
            docid = self._docid_bytes[starts[first] : ends[first]]
            if docid == self._docid_bytes[starts[second] : ends[second]]:
                raise SourceError(
                    f"{self._file_of(second)}, line {self._lines[second]}: document id {docid.decode()!r} came before"
                    f" ({self._file_of(first)}, line {self._lines[first]}): ids must be unique"
                )

    def _file_of(self, doc: int) -> Path:
        return next(path for first, path in reversed(self._files) if first <= doc)


def _no_document(path: Path, line: int, value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"{path}, line {line}: not a JSON object with id and vector"
    missing = "id" if "id" not in value else "vector"
    return f'{path}, line {line}: no "{missing}": each document needs "id" and "vector"'


def _docid_text(path: Path, line: int, docid: Any) -> str:
    if isinstance(docid, int) and not isinstance(docid, bool):
        return str(docid)
    raise SourceError(f'{path}, line {line}: "id" is {docid!r}: give a string')


def _whole_weights(path: Path, line: int, docid: str, vector: dict[str, Any]) -> list[int]:
    """The slower way, for weights not all int32: takes whole floats, says what is wrong with others."""
    weights = []
    for token, weight in vector.items():
        where = f"{path}, line {line}: weight {weight!r} of token {token!r} in document {docid!r}"
        if not isinstance(weight, int | float):
            raise SourceError(f"{where} is not a number")
        if weight != weight or (isinstance(weight, float) and not weight.is_integer() and abs(weight) < MAX_IMPACT):
            raise SourceError(f"{where} is not a whole number: quantize the weights first (e.g. times 100, rounded)")
        if weight > MAX_IMPACT:
            raise SourceError(f"{where} is above {MAX_IMPACT}: quantize to smaller weights")
        if weight < 0:
            raise SourceError(f"{where} is negative: weights must be 1 or more")
        weights.append(int(weight))
    return weights
