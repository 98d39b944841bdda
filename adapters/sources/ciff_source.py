"""CIFF, the Common Index File Format, as a source of impacts: ``tf`` is the impact. Files may be gzipped."""
from __future__ import annotations

import hashlib
import warnings
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.compressed import damage_named, open_maybe_gzip
from bmp_plugin.errors import InputWarning, SourceError
from bmp_plugin.index.source import Documents, PostingBatch, SourceInfo

from .ciff_messages import messages
from .docid_table import Docids, check_docids

_WINDOW = 1 << 24
"""Number of bytes read at a time: a batch has at most a few million postings, unless one list is longer."""

_MAX_FRAMES = 1 << 16
_MAX_HEADER = 1 << 16
_MAX_LIST = 2**31 - 1
_MAX_RECORD = 1 << 24
"""Largest size of a message in bytes; protobuf allows at most _MAX_LIST. A larger one is refused before it is read."""

_AFTER_VERSION = (0x10, 0x18, 0x42)
"""Tags that may follow the header's version: number of lists; of documents, without lists; description, if both are 0."""


def begins_like_ciff(head: bytes) -> bool:
    """Tells whether a file's first bytes are a CIFF header: a length, a version and a field that may follow it."""
    length, size = 0, 0
    for size, byte in enumerate(head[:3], 1):
        length |= (byte & 0x7F) << (7 * (size - 1))
        if byte < 0x80:
            break
    fields = head[size : size + 3]
    return len(fields) == 3 and 4 <= length <= _MAX_HEADER and fields[0] == 0x08 and fields[2] in _AFTER_VERSION


class CiffSource:
    """A :class:`~bmp_plugin.index.source.PostingSource` over a CIFF file, which is streamed through a window.

    Source document ids are CIFF's docids. N of the ``min_idf`` filter is the header's ``num_docs``.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    FileNotFoundError
    SourceError
        If the file is truncated, its counts disagree, a document is out of range, or an impact is below 1.
    MissingDependencyError
        If the package ``protobuf`` is not installed.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._messages = messages()
        with _Window(self._path) as window:
            self._header = self._read_header(window)
        self._documents: Documents | None = None
        self._num_postings: int | None = None
        self._told = False                       # that postings are left out
        status = self._path.stat()
        described = f"{self._path.name}\0{status.st_size}\0{status.st_mtime_ns}"
        self.info = SourceInfo(
            kind="ciff",
            path=str(self._path.resolve()),
            fingerprint=hashlib.sha256(described.encode(errors="surrogateescape")).hexdigest(),
            num_docs=self._header.num_docs,
            details={"description": self._header.description, "version": self._header.version},
        )

    def _read_header(self, window: _Window) -> Any:
        for _, start, end in window.messages(1, "header", _MAX_HEADER):
            try:
                header = self._messages.Header.FromString(window.data[start:end].tobytes())
            except self._messages.DecodeError:
                break
            if header.version != 1:
                raise SourceError(f"{self._path}: CIFF version {header.version}: only version 1 is known")
            if header.num_postings_lists < 0 or header.num_docs < 0:
                raise SourceError(f"{self._path}: the header has negative counts: export the index again")
            return header
        raise SourceError(f"{self._path}: no CIFF header: give a CIFF file, plain or gzipped")

    def documents(self) -> Documents:
        """Returns all documents; this scans the posting lists, which precede them in the file."""
        if self._documents is None:
            from .ciff_decoding import stated_dfs

            num_postings = 0
            with _Window(self._path) as window:
                self._read_header(window)
                for starts, ends in window.many(self._header.num_postings_lists, "posting lists"):
                    stated = int(stated_dfs(window.data, starts, ends, starts.size))
                    if stated < 0:
                        raise SourceError(f"{self._path}: a posting list is malformed: get or export the file again")
                    num_postings += stated
                self._documents = self._read_documents(window)
                window.expect_end()
            self._num_postings = num_postings
        return self._documents

    def _read_documents(self, window: _Window) -> Documents:
        num_docs, source_docids, docids = self._header.num_docs, array("q"), Docids()
        parse = self._messages.DocRecord.FromString
        for index, start, end in window.messages(num_docs, "documents", _MAX_RECORD):
            try:
                record = parse(window.data[start:end].tobytes())
            except self._messages.DecodeError:
                raise SourceError(f"{self._path}: document record {index} is malformed: export it again") from None
            source_docids.append(record.docid)
            try:
                check_docids([record.collection_docid])
            except ValueError as error:
                raise SourceError(f"{self._path}: document record {index}: {error}") from None
            docids.append(record.collection_docid.encode())
        joined, ends = docids.joined()
        order = np.argsort(np.array(source_docids, np.int64), kind="stable")
        if not np.array_equal(np.array(source_docids, np.int64)[order], np.arange(num_docs)):
            raise SourceError(f"{self._path}: document ids are not 0 to {num_docs - 1}, each once")
        if docids.duplicate() is not None:
            raise SourceError(f"{self._path}: a collection docid occurs twice: docids must be unique")
        if not np.array_equal(order, np.arange(num_docs)):
            joined = b"".join(docids[at] for at in order.tolist())
            ends = np.cumsum(np.diff(ends, prepend=0)[order])
        return Documents(joined, ends, np.arange(num_docs, dtype=np.int32))

    def num_postings_hint(self) -> int | None:
        """Returns the sum of the document frequencies, once :meth:`documents` was called; None before."""
        return self._num_postings

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every posting list once, in file order."""
        from .ciff_decoding import FINE, POSTING_BYTES, decode_lists

        seen, left_out = array("q"), 0
        with _Window(self._path) as window:
            self._read_header(window)
            for starts, ends in window.many(self._header.num_postings_lists, "posting lists"):
                count = starts.size
                spans, dfs = np.empty((count, 2), np.int64), np.empty(count, np.int64)
                capacity = int((ends - starts).sum()) // POSTING_BYTES + count
                docs, impacts = np.empty(capacity, np.int32), np.empty(capacity, np.int32)
                outcome, wrong, written, zeros = decode_lists(
                    window.data, starts, ends, count, self.info.num_docs, spans, dfs, docs, impacts
                )
                raw = window.data
                if outcome != FINE:
                    term = raw[spans[wrong, 0] : spans[wrong, 1]].tobytes().decode(errors="replace")
                    raise SourceError(f"{self._path}: {_error_message(outcome, term, self.info.num_docs)}: export it again")
                left_out += int(zeros)
                terms = [raw[start:end].tobytes() for start, end in spans.tolist()]
                self._check_terms(terms)
                seen.extend(map(hash, terms))
                # copies, so that a batch does not keep the window's unused memory alive
                yield PostingBatch(terms, dfs, dfs.copy(), docs[:written].copy(), impacts[:written].copy())
        hashes = np.sort(np.array(seen, np.int64))
        if (hashes[1:] == hashes[:-1]).any():
            raise SourceError(f"{self._path}: two posting lists have the same term: export it again")
        if left_out and not self._told:
            self._told = True
            warnings.warn(f"{self._path}: {left_out:,} postings with an impact (tf) of 0 are left out", InputWarning,
                          stacklevel=2)

    def _check_terms(self, terms: list[bytes]) -> None:
        for term in terms:
            try:
                term.decode()
            except UnicodeDecodeError:
                raise SourceError(f"{self._path}: term {term!r} is not UTF-8: export it again") from None

    def close(self) -> None:
        """Drops the documents; may be called twice."""
        self._documents = None


def _error_message(outcome: int, term: str, num_docs: int) -> str:
    from .ciff_decoding import BAD_IMPACT, NOT_ASCENDING, OUT_OF_RANGE, WRONG_DF

    what = {
        NOT_ASCENDING: "has a document twice",
        OUT_OF_RANGE: f"has a document that is not one of 0 to {num_docs - 1}",
        BAD_IMPACT: "has an impact (tf) that is not 0 to 2147483647",
        WRONG_DF: "has another number of postings than its df states",
    }.get(outcome, "is malformed")
    return f"the posting list of term {term!r} {what}"


class _Window:
    """A window that slides over the file, and the complete messages within it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._at = 0
        self.data: NDArray[np.uint8] = np.zeros(0, np.uint8)

    def __enter__(self) -> _Window:
        self._file = open_maybe_gzip(self._path)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._file is not None
        self._file.close()

    def _more(self) -> bool:
        """Drops the consumed bytes and reads at least as many as are left; returns False at the end of the file."""
        assert self._file is not None
        rest = self.data[self._at :]
        data = np.empty(rest.size + max(_WINDOW, rest.size), np.uint8)
        data[: rest.size] = rest
        with damage_named(self._path):
            read = self._file.readinto(data[rest.size :])          # type: ignore[attr-defined]
        self.data, self._at = data[: rest.size + read], 0
        self.data.flags.writeable = False                          # kernels are compiled for read-only arrays
        return bool(read)

    def many(self, count: int, what: str,
             largest: int = _MAX_LIST) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Yields (starts, ends) in ``data`` of the next ``count`` messages, as many at a time as fit the window.

        Raises
        ------
        SourceError
            If a message is malformed or larger than ``largest`` bytes, or the file ends too early.
        """
        from .ciff_decoding import frames

        taken = 0
        while taken < count:
            starts, ends = np.empty(_MAX_FRAMES, np.int64), np.empty(_MAX_FRAMES, np.int64)
            found, at, malformed = frames(self.data, self._at, min(count - taken, _MAX_FRAMES), largest, starts,
                                          ends)
            if found:
                self._at = at
                taken += found
                yield starts[:found], ends[:found]
            elif malformed:
                raise SourceError(f"{self._path}: malformed after {taken} of {count} {what}: get the file again")
            elif not self._more():
                raise SourceError(f"{self._path}: ends after {taken} of {count} {what}: get the complete file")

    def messages(self, count: int, what: str, largest: int) -> Iterator[tuple[int, int, int]]:
        """Yields (index, start, end) of the next ``count`` messages, one by one."""
        index = 0
        for starts, ends in self.many(count, what, largest):
            for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
                yield index, start, end
                index += 1

    def expect_end(self) -> None:
        """Raises SourceError unless the file ends here."""
        if self._at < self.data.size or self._more():
            raise SourceError(f"{self._path}: continues after the last document: its header's counts do not match")
