"""From a source of postings to an index directory, in one pass over the terms and bounded memory."""
from __future__ import annotations

import platform
import sys
from dataclasses import asdict, dataclass, field
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..errors import SourceError
from . import encode
from .layout import (
    ARRAYS,
    DENSE,
    DENSE_SHARE,
    EXCESS_SHARE,
    FILLER_SHARE,
    FORMAT,
    FREQUENT,
    GAPS,
    RARE,
    ROW_SHARE,
    VERSION,
    Geometry,
    check_block_size,
)
from .store import ArrayWriter, staging, write_manifest
from .strings import gather

if TYPE_CHECKING:
    from bmp_plugin.adapters.source import Documents, PostingBatch, PostingSource

Order = NDArray[np.int32]


def build_index(source: PostingSource, output: Path, *, block_size: int, reorder: str,
                threads: int, progress: bool) -> None:
    """Write the index of ``source`` at ``output``, which appears only when it is whole.

    Errors: ``ValueError`` for a block size or order that there is not, those of the source, and
    :class:`bmp_plugin.errors.BuildError` where ``output`` cannot be written.
    """
    check_block_size(block_size)
    if reorder not in ("none", "bp"):
        raise ValueError(f"reorder={reorder!r} is not one of none, bp")
    with staging(output) as folder:
        documents = source.documents()
        _check_documents(source, documents)
        order: Order | None = None
        if reorder == "bp":
            from .reorder import bisection_order

            order = bisection_order(source, documents, folder, threads=threads, progress=progress)
        build = _Build(folder, Geometry(len(documents.numbers), block_size))
        try:
            build.documents(documents, order, source.info.ties_by_docid)
            build.postings(source, documents, order, progress)
            manifest = build.finish()
        finally:
            build.abandon()
        manifest |= {"reorder": reorder, "source": asdict(source.info), "created_with": versions()}
        write_manifest(folder, manifest)


def _check_documents(source: PostingSource, documents: Documents) -> None:
    numbers, ends = documents.numbers, documents.docid_ends
    if len(numbers) != len(ends) or (len(ends) and ends[-1] != len(documents.docid_bytes)):
        raise SourceError(f"{source.info.path}: lists {len(numbers)} documents and {len(ends)} docids")
    if len(numbers) and (numbers[0] < 0 or np.any(np.diff(numbers) <= 0)):
        raise SourceError(f"{source.info.path}: document numbers do not ascend")


def docid_ranks(documents: Documents, by_docid: bool) -> NDArray[np.int32]:
    """Documents in the order that breaks ties: docid bytes, then number in the source; or the number alone.

    Returns int32[num_docs]: the i-th is the index, in ``documents``, of the document of rank i.
    """
    num_docs = len(documents.numbers)
    if not by_docid:
        return np.arange(num_docs, dtype=np.int32)
    bounds = [0, *documents.docid_ends.tolist()]
    docids = [documents.docid_bytes[lo:hi] for lo, hi in pairwise(bounds)]
    return np.array(sorted(range(num_docs), key=docids.__getitem__), np.int32)


@dataclass
class _Terms:
    """What is kept of every term and of every posting list until terms are sorted."""

    names: list[bytes] = field(default_factory=list)
    columns: dict[str, list[NDArray[Any]]] = field(default_factory=dict)       # a value a term
    excess: dict[str, list[NDArray[Any]]] = field(default_factory=dict)        # a value an excess

    def add(self, names: list[bytes], **columns: NDArray[Any]) -> None:
        """Columns of lists are longer than ``names`` where excesses follow the terms' own lists."""
        self.names += names
        for name, values in columns.items():
            self.columns.setdefault(name, []).append(values[:len(names)])
            if name.startswith("list_"):
                self.excess.setdefault(name, []).append(values[len(names):])


class _Build:
    """The writers of one build, one an array."""

    def __init__(self, folder: Path, geometry: Geometry) -> None:
        self.geometry = geometry
        self.terms = _Terms()
        self.free: dict[str, int] = {"num_rows": 0, "num_dense": 0, "num_excesses": 0}
        self.num_postings = 0
        self.writers = {name: ArrayWriter(folder, name) for name in ARRAYS}

    def documents(self, documents: Documents, order: Order | None, by_docid: bool) -> None:
        """Write the documents' arrays; ``order`` int32[num_docs] gives the document at each position."""
        num_docs = len(documents.numbers)
        at = np.arange(num_docs, dtype=np.int32) if order is None else order
        position = np.empty(num_docs, np.int32)
        position[at] = np.arange(num_docs, dtype=np.int32)
        rank_doc = position[docid_ranks(documents, by_docid)]
        doc_rank = np.empty(num_docs, np.int32)
        doc_rank[rank_doc] = np.arange(num_docs, dtype=np.int32)
        starts = np.concatenate([np.zeros(1, np.int64), documents.docid_ends[:-1]]) if num_docs else documents.docid_ends
        lengths = documents.docid_ends - starts
        raw = np.frombuffer(documents.docid_bytes, np.uint8)
        self.writers["doc_number"].append(documents.numbers[at])
        self.writers["doc_rank"].append(doc_rank)
        self.writers["rank_doc"].append(rank_doc)
        self.writers["docid_end"].append(np.cumsum(lengths[at]))
        self.writers["docid_bytes"].append(raw if order is None else gather(raw, starts[at], documents.docid_ends[at]))

    def postings(self, source: PostingSource, documents: Documents, order: Order | None, progress: bool) -> None:
        """Encode every batch of the source."""
        num_docs = self.geometry.num_docs
        numbers = documents.numbers
        top = int(numbers[-1]) + 1 if num_docs else 0
        position_of = None
        if order is not None or top != num_docs:
            position_of = np.full(top, -1, np.int32)
            position_of[numbers if order is None else numbers[order]] = np.arange(num_docs, dtype=np.int32)
        with tqdm(total=source.num_postings_hint(), unit=" postings", unit_scale=True, desc="indexing",
                  disable=None if progress else True, file=sys.stderr) as bar:
            for batch in source.batches():
                self._encode(source, batch, top, position_of)
                bar.update(len(batch.docs))

    def _encode(self, source: PostingSource, batch: PostingBatch, top: int, position_of: Order | None) -> None:
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(batch.counts)])
        docs, impacts = np.array(batch.docs, np.int32), np.array(batch.impacts, np.int32)       # both are changed in place
        maxima = np.empty(len(batch.terms), np.int32)
        bad = encode.check_postings(starts, docs, impacts, top, maxima)
        if bad >= 0:
            term = batch.terms[int(np.searchsorted(starts, bad, "right")) - 1].decode("utf-8", "replace")
            raise SourceError(f"{source.info.path}: term {term!r} has document {docs[bad]} out of order or range, or with "
                              f"impact {impacts[bad]}, which is not positive")
        if position_of is not None:
            encode.to_positions(starts, docs, impacts, position_of)
        self.num_postings += len(docs)
        self._encode_lists(batch, *_with_excess(starts, docs, impacts, maxima))

    def _encode_lists(self, batch: PostingBatch, starts: NDArray[np.int64], docs: NDArray[np.int32],
                      impacts: NDArray[np.int32], maxima: NDArray[np.int32], has_excess: NDArray[np.bool_]) -> None:
        """Encode the terms' own lists and the excesses that follow them."""
        geo, terms, n = self.geometry, len(batch.terms), len(maxima)
        counts = np.diff(starts)
        widths = np.where(maxima < 2**8, 1, np.where(maxima < 2**16, 2, 4)).astype(np.uint8)
        kinds = np.where(counts * ROW_SHARE >= geo.num_docs, FREQUENT, RARE).astype(np.uint8)
        kinds[counts == 0] = RARE
        kinds[terms:] = RARE
        kinds[(kinds == FREQUENT) & (counts * DENSE_SHARE >= geo.num_docs) & (widths == 1)] = DENSE
        fillers = np.empty(n, np.int64)
        encode.count_fillers(starts, docs, fillers)
        kinds[(kinds == RARE) & (widths == 1) & (fillers * FILLER_SHARE <= counts) & (counts > 0)] = GAPS
        rare, gaps, frequent, dense = (kinds == k for k in (RARE, GAPS, FREQUENT, DENSE))
        entries = np.empty(n, np.int64)
        encode.count_entries(starts, docs, kinds, entries)
        sizes = {"rare_docs": counts * rare, "gaps": (counts + fillers) * gaps,
                 "frequent": counts * frequent * (1 + widths.astype(np.int64))}
        docs_ptr = sum(_offsets(size) * (size > 0) for size in sizes.values())
        with_impacts = sizes["rare_docs"] + sizes["gaps"]
        entry_ptr, impacts_ptr = _offsets(entries), _offsets(with_impacts)
        with_row = frequent | dense
        row_of, dense_of = _offsets(with_row), _offsets(dense)
        num_rows, num_dense = int(with_row.sum()), int(dense.sum())
        out = {
            "entry_window": np.empty(entries.sum(), np.uint16), "entry_start": np.empty(entries.sum(), np.uint32),
            "rare_docs": np.empty(sizes["rare_docs"].sum(), np.uint16),
            "gaps": np.empty(sizes["gaps"].sum(), np.uint8),
            "frequent": np.empty(sizes["frequent"].sum(), np.uint8),
            "window_start": np.zeros((num_rows, geo.num_windows + 1), np.uint32),
            "superblock_start": np.zeros((num_rows, geo.num_superblocks), np.uint16),
            "block_max": np.zeros((num_rows, geo.counts()["num_row_bytes"]), np.uint8),
            "dense_impacts": np.zeros((num_dense, geo.num_positions), np.uint8),
        }
        rare_impacts = np.empty(with_impacts.sum(), np.int32)
        encode.encode_batch(starts, docs, impacts, kinds, widths, maxima, geo.block_shift, entry_ptr, out["entry_window"],
                            out["entry_start"], docs_ptr, out["rare_docs"], out["gaps"], impacts_ptr, rare_impacts,
                            out["frequent"], row_of, dense_of, out["window_start"], out["superblock_start"],
                            out["block_max"], out["dense_impacts"])
        list_impacts = np.zeros(n, np.int64)
        for width, name in ((1, "impacts8"), (2, "impacts16"), (4, "impacts32")):
            mine = (widths == width) & ~with_row
            list_impacts[mine] = self.writers[name].length + _offsets(with_impacts * mine)[mine]
            self.writers[name].append(rare_impacts[np.repeat(mine, with_impacts)])
        w = self.writers
        excess = np.where(has_excess, self.free["num_excesses"] + _offsets(has_excess), -1)
        self.terms.add(
            batch.terms, term_df=batch.dfs, term_excess=excess, list_count=counts, list_max=maxima,
            list_kind=kinds, list_width=widths, list_impacts=list_impacts,
            list_docs=docs_ptr + np.select([rare, gaps, frequent], [w[name].length for name in sizes]),
            list_entry=np.where(with_row, self.free["num_rows"] + row_of, w["entry_window"].length + entry_ptr),
            list_entries=np.where(dense, self.free["num_dense"] + dense_of, entries - 1))
        for name, values in out.items():
            w[name].append(values)
        self.free["num_rows"] += num_rows
        self.free["num_dense"] += num_dense
        self.free["num_excesses"] += n - terms

    def finish(self) -> dict[str, Any]:
        """Write the term table in term order and close every file; returns the manifest's part about the arrays."""
        names = self.terms.names
        order = sorted(range(len(names)), key=names.__getitem__)
        for a, b in pairwise(order):
            if names[a] == names[b]:
                raise SourceError(f"term {names[a].decode('utf-8', 'replace')!r} comes twice in the source")
        self.writers["term_bytes"].append(np.frombuffer(b"".join(names[i] for i in order), np.uint8))
        self.writers["term_end"].append(np.cumsum([len(names[i]) for i in order], dtype=np.int64))
        for name, parts in self.terms.columns.items():
            column = np.concatenate(parts)[order]
            if name == "term_excess":
                column[column >= 0] += len(names)
            self.writers[name].append(column)
        for name, parts in self.terms.excess.items():
            self.writers[name].append(np.concatenate(parts))
        length = {name: writer.length for name, writer in self.writers.items()}
        excesses = self.free.pop("num_excesses")
        counts = self.free | {
            "num_docs": self.geometry.num_docs, "num_terms": len(names), "num_lists": len(names) + excesses,
            "docid_bytes": length["docid_bytes"],
            "term_bytes": length["term_bytes"], "num_entries": length["entry_window"],
            "num_rare_postings": length["rare_docs"], "num_gaps": length["gaps"], "num_frequent_bytes": length["frequent"],
            "num_impacts8": length["impacts8"], "num_impacts16": length["impacts16"],
            "num_impacts32": length["impacts32"]}
        return {"format": FORMAT, "version": VERSION, "num_docs": self.geometry.num_docs, "num_terms": len(names),
                "num_postings": self.num_postings, "block_size": self.geometry.block_size, "counts": counts,
                "arrays": {name: writer.close() for name, writer in self.writers.items()}}

    def abandon(self) -> None:
        for writer in self.writers.values():
            writer.abandon()


def _with_excess(starts: NDArray[np.int64], docs: NDArray[np.int32], impacts: NDArray[np.int32], maxima: NDArray[np.int32]
                 ) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.int32], NDArray[np.int32], NDArray[np.bool_]]:
    """Lists of the terms, then their excesses: starts, docs, impacts and maxima of all; and which terms have an excess.

    ``impacts`` is changed in place.
    """
    large = np.zeros(len(maxima), np.int64)
    if len(maxima) and maxima.max() > 255:
        encode.count_large(starts, impacts, large)
    split = (large > 0) & (large * EXCESS_SHARE <= np.diff(starts))
    if not split.any():
        return starts, docs, impacts, maxima, split
    excess_docs, excess_impacts = np.empty(large[split].sum(), np.int32), np.empty(large[split].sum(), np.int32)
    encode.split_excess(starts, split, docs, impacts, excess_docs, excess_impacts)
    return (np.concatenate([starts, starts[-1] + np.cumsum(large[split])]), np.concatenate([docs, excess_docs]),
            np.concatenate([impacts, excess_impacts]), np.concatenate([np.where(split, 255, maxima), maxima[split] - 255]),
            split)


def _offsets(sizes: NDArray[Any]) -> NDArray[np.int64]:
    """Where each part begins when parts of these sizes follow one another."""
    ends = np.cumsum(sizes, dtype=np.int64)
    return ends - sizes


def versions() -> dict[str, str]:
    """What wrote an index."""
    return {"bmp-plugin": metadata.version("bmp-plugin"), "python": platform.python_version(), "numpy": np.__version__}
