"""Builds an index directory from a source of postings, in one pass over the terms and in bounded memory."""
from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .._internal.parallel import in_order
from .._internal.progress import tqdm
from ..errors import SourceError
from .docid_order import docid_ranks
from .encode_batches import DocidMap, EncodedBatch, encode_batch
from .layout import ARRAYS, FORMAT, PADDING, VERSION, Geometry, check_block_size
from .manifest import write_manifest
from .store import ArrayWriter, staging
from .strings import gather
from .validate.proof import Identity

if TYPE_CHECKING:
    from .source import Documents, PostingSource

Order = NDArray[np.int32]
ORDERS = ("none", "bp", "leading")


def build_index(source: PostingSource, output: Path, *, block_size: int, reorder: str,
                threads: int, progress: bool) -> None:
    """Write the index of ``source`` to ``output``, atomically.

    Raises
    ------
    ValueError
        If there is no such block size or order.
    BuildError
        If ``output`` cannot be written; the source may raise more.
    """
    check_block_size(block_size)
    if reorder not in ORDERS:
        raise ValueError(f"reorder={reorder!r} is not one of {', '.join(ORDERS)}")
    with staging(output) as folder:
        documents = source.documents()
        _check_documents(source, documents)
        order: Order | None = None
        if reorder == "bp":
            from .reorder.recursive_bisection import bisection_order

            order = bisection_order(source, documents, folder, threads=threads, progress=progress)
        elif reorder == "leading":
            from .reorder.leading_terms import leading_order

            order = leading_order(source, documents, threads=threads, progress=progress)
        build = _Build(folder, Geometry(len(documents.source_docids), block_size))
        try:
            build.documents(documents, order, source.info.ties_by_docid)
            build.postings(source, documents, order, threads, progress)
            manifest = build.finish(source.info.path)
        finally:
            build.abandon()
        manifest |= {"reorder": reorder, "source": asdict(source.info), "created_with": versions()}
        write_manifest(folder, manifest)
        Identity(folder, ARRAYS).remember()


def _check_documents(source: PostingSource, documents: Documents) -> None:
    source_docids, ends = documents.source_docids, documents.docid_ends
    if len(source_docids) != len(ends) or (len(ends) and ends[-1] != len(documents.docid_bytes)):
        raise SourceError(f"{source.info.path}: lists {len(source_docids)} documents and {len(ends)} docids")
    if len(source_docids) and (source_docids[0] < 0 or np.any(np.diff(source_docids) <= 0)):
        raise SourceError(f"{source.info.path}: its document ids do not ascend")


@dataclass
class _Lists:
    """The table entries of all terms and posting lists, collected until terms are sorted."""

    names: list[bytes] = field(default_factory=list)
    dfs: list[NDArray[np.int64]] = field(default_factory=list)
    own: dict[str, list[NDArray[Any]]] = field(default_factory=dict)                # columns, one value per term
    overflow: dict[str, list[NDArray[Any]]] = field(default_factory=dict)           # columns, one value per overflow list
    overflow_terms: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, batch: EncodedBatch) -> None:
        self.overflow_terms.append(batch.overflow_terms + len(self.names))
        self.names += batch.terms
        self.dfs.append(batch.dfs)
        for name, values in batch.columns.items():
            self.own.setdefault(name, []).append(values[:len(batch.terms)])
            self.overflow.setdefault(name, []).append(values[len(batch.terms):])

    def in_term_order(self) -> tuple[list[bytes], dict[str, NDArray[Any]]]:
        """Return the terms, ascending, and the term_* and list_* arrays, without the terms' strings.

        Raises
        ------
        ValueError
            If a term occurs twice; its only argument is the term.
        """
        order = np.array(sorted(range(len(self.names)), key=self.names.__getitem__), np.int64)
        names = [self.names[i] for i in order.tolist()]
        for a, b in pairwise(names):
            if a == b:
                raise ValueError(a)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        terms = place[_concatenated(self.overflow_terms, np.int64)]
        by_term = np.argsort(terms, kind="stable")                 # those of one term stay in the order of their digits
        columns: dict[str, NDArray[Any]] = {
            "term_df": _concatenated(self.dfs, np.int64)[order],
            "term_overflow": len(order) + np.searchsorted(terms[by_term], np.arange(len(order) + 1))}
        for name, parts in self.own.items():
            columns[name] = np.concatenate([np.concatenate(parts)[order], np.concatenate(self.overflow[name])[by_term]])
        return names, columns


def _concatenated(parts: list[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, kind), *parts])


class _Build:
    """One build, with a writer for every array."""

    def __init__(self, folder: Path, geometry: Geometry) -> None:
        self.geometry = geometry
        self.lists = _Lists()
        self.num_rows = self.num_postings = 0
        self.writers = {name: ArrayWriter(folder, name) for name in ARRAYS}

    def documents(self, documents: Documents, order: Order | None, by_docid: bool) -> None:
        """Write the documents' arrays; ``order`` int32[num_docs] maps internal document ids to indices in ``documents``."""
        num_docs = len(documents.source_docids)
        indices = np.arange(num_docs, dtype=np.int32) if order is None else order
        internal = np.empty(num_docs, np.int32)
        internal[indices] = np.arange(num_docs, dtype=np.int32)
        rank_doc = internal[docid_ranks(documents, by_docid)]
        doc_rank = np.empty(num_docs, np.int32)
        doc_rank[rank_doc] = np.arange(num_docs, dtype=np.int32)
        starts = np.concatenate([np.zeros(1, np.int64), documents.docid_ends[:-1]]) if num_docs else documents.docid_ends
        lengths = documents.docid_ends - starts
        raw = np.frombuffer(documents.docid_bytes, np.uint8)
        self.writers["source_docid"].append(documents.source_docids[indices])
        self.writers["doc_rank"].append(doc_rank)
        self.writers["rank_doc"].append(rank_doc)
        self.writers["docid_end"].append(np.cumsum(lengths[indices]))
        self.writers["docid_bytes"].append(raw if order is None else gather(raw, starts[order], documents.docid_ends[order]))

    def postings(self, source: PostingSource, documents: Documents, order: Order | None, threads: int,
                 progress: bool) -> None:
        """Encode and write every batch of the source. The arrays depend on where batches begin, but not on the threads."""
        encode = partial(encode_batch, geometry=self.geometry, docid_map=_docid_map(source, documents, order))
        with tqdm(total=source.num_postings_hint(), unit=" postings", unit_scale=True, desc="indexing",
                  disable=None if progress else True, file=sys.stderr) as bar:
            for encoded in in_order(encode, source.batches(), threads):
                self._append(encoded)
                bar.update(encoded.num_postings)

    def _append(self, batch: EncodedBatch) -> None:
        """Write the arrays of a batch, and collect its columns, with their pointers adjusted."""
        columns = batch.columns
        columns["list_start"] += self.writers["postings"].length
        columns["list_entry"] += self.writers["entry_end"].length
        rows = columns["list_row"]
        rows[rows >= 0] += self.num_rows
        self.num_rows += len(batch.arrays["block_max"])
        self.num_postings += batch.num_postings
        self.lists.add(batch)
        for name, values in batch.arrays.items():
            self.writers[name].append(values)

    def finish(self, source_path: str) -> dict[str, Any]:
        """Write the tables in term order and close every file; return the manifest's entries on the arrays."""
        try:
            names, columns = self.lists.in_term_order()
        except ValueError as error:
            raise SourceError(f"{source_path}: term {error.args[0].decode('utf-8', 'replace')!r} occurs twice") from None
        self.writers["term_bytes"].append(np.frombuffer(b"".join(names), np.uint8))
        self.writers["term_end"].append(np.cumsum([len(name) for name in names], dtype=np.int64))
        self.writers["postings"].append(np.zeros(PADDING, np.uint8))
        for name, column in columns.items():
            self.writers[name].append(column)
        length = {name: writer.length for name, writer in self.writers.items()}
        counts = {
            "num_docs": self.geometry.num_docs, "num_terms": len(names), "num_lists": length["list_count"],
            "num_rows": self.num_rows, "num_entries": length["entry_end"], "num_posting_bytes": length["postings"],
            "docid_bytes": length["docid_bytes"], "term_bytes": length["term_bytes"]}
        return {"format": FORMAT, "version": VERSION, "num_docs": self.geometry.num_docs, "num_terms": len(names),
                "num_postings": self.num_postings, "block_size": self.geometry.block_size, "counts": counts,
                "arrays": {name: writer.close() for name, writer in self.writers.items()}}

    def abandon(self) -> None:
        for writer in self.writers.values():
            writer.abandon()


def _docid_map(source: PostingSource, documents: Documents, order: Order | None) -> DocidMap:
    num_docs, source_docids = len(documents.source_docids), documents.source_docids
    end = int(source_docids[-1]) + 1 if num_docs else 0
    internal_docids = None
    if order is not None or end != num_docs:
        internal_docids = np.full(end, -1, np.int32)
        internal_docids[source_docids if order is None else source_docids[order]] = np.arange(num_docs, dtype=np.int32)
    return DocidMap(end, internal_docids, source.info.path)


def versions() -> dict[str, str]:
    """Return the versions of the software that writes an index."""
    return {"bmp-plugin": metadata.version("bmp-plugin"), "python": platform.python_version(), "numpy": np.__version__}
