"""Lucene impact indexes as a source: ``../java/PostingReader.java`` reads segments, and streams postings to numpy arrays."""
from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bmp_plugin.errors import SourceError
from bmp_plugin.index.source import Documents, PostingBatch, SourceInfo

from ..java.anserini_jar import anserini_jar
from ..java.lucene_process import Frame, PostingReader, joined, posting_batch


def is_lucene_directory(path: str | os.PathLike[str]) -> bool:
    """Tells whether ``path`` is a directory with a Lucene commit (a file ``segments_N``)."""
    return _newest_commit(Path(path)) is not None


def _newest_commit(path: Path) -> Path | None:
    """Returns the file ``segments_N`` that Lucene opens: the one with the largest generation N, a number in base 36."""
    with contextlib.suppress(OSError):
        commits = [entry for entry in path.iterdir() if re.fullmatch(r"segments_[0-9a-z]+", entry.name)]
        return max(commits, key=lambda entry: int(entry.name.partition("_")[2], 36), default=None)
    return None


def fingerprint(path: str | os.PathLike[str]) -> str:
    """Returns a hash that changes with every commit to the Lucene index at ``path`` (of its random commit id); needs no JVM.

    Raises
    ------
    FileNotFoundError
        If ``path`` is not a directory.
    SourceError
        If it contains no Lucene index.
    """
    directory = Path(path)
    if not directory.is_dir():
        raise FileNotFoundError(f"{path}: no such directory")
    commit = _newest_commit(directory)
    if commit is None:
        raise SourceError(f"{path}: is not a Lucene index (no segments file)")
    return "sha256:" + hashlib.sha256(commit.name.encode() + b"\n" + commit.read_bytes()).hexdigest()


class LuceneSource:
    """A Lucene index, read by a separate Java process: any codec, segments and deletions that Pyserini's jar supports.

    Parameters
    ----------
    path : str or path
        Lucene index directory.
    field : str, default "contents"
        The field whose term frequencies are impacts.

    Raises
    ------
    FileNotFoundError
        If ``path`` is not a directory.
    SourceError
        If the Lucene of Pyserini's jar cannot open the index, or the index lacks the field or its frequencies.
    MissingDependencyError
        If Pyserini, a JDK or the compiled Java class is missing.
    """

    def __init__(self, path: str | os.PathLike[str], field: str = "contents") -> None:
        self._path = Path(path).resolve()
        self._field = field
        self._readers: list[PostingReader] = []
        mark = fingerprint(self._path)                  # first, so that a wrong path is reported before a missing dependency
        self._jar = anserini_jar()
        header = self._acquire().header
        if fingerprint(self._path) != mark:
            self.close()
            raise SourceError(f"{self._path}: changed while it was being opened: try again when indexing is done")
        self._commit = header["commit"]
        self._num_postings = int(header["sum_doc_freq"])
        self.info = SourceInfo(
            kind="lucene", path=str(self._path), fingerprint=mark, num_docs=int(header["num_docs"]),
            ties_by_docid=bool(header["ties_by_docid"]),
            details={"field": field, "lucene": header["lucene"], "written_by": header["written_by"],
                     "max_doc": header["max_doc"], "num_segments": header["num_segments"]})

    def _acquire(self) -> PostingReader:
        for reader in self._readers:
            if not reader.busy:
                return reader
        reader = PostingReader(self._path, self._field, self._jar)
        self._readers.append(reader)
        return reader

    @contextlib.contextmanager
    def _answers(self, command: bytes) -> Iterator[Iterator[Frame]]:
        reader = self._acquire()
        if reader.header["commit"] != self._commit:
            raise SourceError(f"{self._path}: changed while it was being read: try again when indexing is done")
        try:
            yield reader.frames(command)
        finally:
            if reader.busy:                             # abandoned early: the rest of its answer is in the pipe
                reader.close()
                with contextlib.suppress(ValueError):
                    self._readers.remove(reader)

    def num_postings_hint(self) -> int | None:
        """Returns the sum of the document frequencies, which count deleted documents too."""
        return self._num_postings

    def documents(self) -> Documents:
        """Returns all live documents in Lucene's order, with the docids by which Anserini breaks ties."""
        source_docids, lengths, docids = [], [], []
        # Lucene 9 may refuse to read docvalues that Lucene 8 wrote; Anserini does not use them there either.
        with self._answers(b"D" if self.info.ties_by_docid else b"S") as frames:
            for frame in frames:
                source_docids.append(frame.payload[:4 * frame.a].view("<i4"))
                lengths.append(frame.payload[4 * frame.a:8 * frame.a].view("<i4"))
                docids.append(frame.payload[8 * frame.a:].tobytes())
        return Documents(docid_bytes=b"".join(docids), docid_ends=np.cumsum(np.concatenate(lengths), dtype=np.int64),
                         source_docids=np.concatenate(source_docids).astype(np.int32, copy=False))

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term in byte order, about two million postings per batch; may be called again."""
        pieces: list[PostingBatch] = []
        with self._answers(b"P") as frames:
            for frame in frames:
                batch = posting_batch(frame)
                if frame.d or pieces:
                    pieces.append(batch)
                    if frame.d:
                        continue
                    batch, pieces = joined(pieces), []
                if batch.terms:
                    yield batch

    def close(self) -> None:
        """Ends the Java processes; may be called twice."""
        while self._readers:
            self._readers.pop().close()

    def __enter__(self) -> LuceneSource:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()
