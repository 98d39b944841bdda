"""From a source of postings to an index directory, in one pass over the terms and bounded memory."""
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

from ..errors import SourceError
from ..parallel import in_order
from ..progress import tqdm
from .batches import IMPACTS, EncodedBatch, Numbering, encode_postings
from .docid_order import docid_ranks
from .layout import ARRAYS, DENSE, FORMAT, FREQUENT, GAPS, RARE, VERSION, Geometry, check_block_size
from .manifest import write_manifest
from .proof import Identity
from .store import ArrayWriter, staging
from .strings import gather

if TYPE_CHECKING:
    from bmp_plugin.adapters.source import Documents, PostingSource

Order = NDArray[np.int32]
ORDERS = ("none", "bp", "leading")


def build_index(source: PostingSource, output: Path, *, block_size: int, reorder: str,
                threads: int, progress: bool) -> None:
    """Write the index of ``source`` at ``output``, which appears only when it is whole.

    Errors: ``ValueError`` for a block size or order that there is not, those of the source, and
    :class:`bmp_plugin.errors.BuildError` where ``output`` cannot be written.
    """
    check_block_size(block_size)
    if reorder not in ORDERS:
        raise ValueError(f"reorder={reorder!r} is not one of {', '.join(ORDERS)}")
    with staging(output) as folder:
        documents = source.documents()
        _check_documents(source, documents)
        order: Order | None = None
        if reorder == "bp":
            from .reorder import bisection_order

            order = bisection_order(source, documents, folder, threads=threads, progress=progress)
        elif reorder == "leading":
            from .leading import leading_order

            order = leading_order(source, documents, threads=threads, progress=progress)
        build = _Build(folder, Geometry(len(documents.numbers), block_size))
        try:
            build.documents(documents, order, source.info.ties_by_docid)
            build.postings(source, documents, order, threads, progress)
            manifest = build.finish()
        finally:
            build.abandon()
        manifest |= {"reorder": reorder, "source": asdict(source.info), "created_with": versions()}
        write_manifest(folder, manifest)
        Identity(folder, ARRAYS).remember()


def _check_documents(source: PostingSource, documents: Documents) -> None:
    numbers, ends = documents.numbers, documents.docid_ends
    if len(numbers) != len(ends) or (len(ends) and ends[-1] != len(documents.docid_bytes)):
        raise SourceError(f"{source.info.path}: lists {len(numbers)} documents and {len(ends)} docids")
    if len(numbers) and (numbers[0] < 0 or np.any(np.diff(numbers) <= 0)):
        raise SourceError(f"{source.info.path}: document numbers do not ascend")


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

    def postings(self, source: PostingSource, documents: Documents, order: Order | None, threads: int,
                 progress: bool) -> None:
        """Encode every batch of the source. Where batches begin shows in the arrays; which thread encodes one does not."""
        encode = partial(encode_postings, geometry=self.geometry, numbering=_numbering(source, documents, order))
        with tqdm(total=source.num_postings_hint(), unit=" postings", unit_scale=True, desc="indexing",
                  disable=None if progress else True, file=sys.stderr) as bar:
            for encoded in in_order(encode, source.batches(), threads):
                self._append(encoded)
                bar.update(encoded.num_postings)

    def _append(self, batch: EncodedBatch) -> None:
        """Write what was encoded, and keep its columns with their pointers moved to where that stands."""
        w, free, columns = self.writers, self.free, batch.columns
        kinds, widths = columns["list_kind"], columns["list_width"]
        with_row, dense = (kinds == FREQUENT) | (kinds == DENSE), kinds == DENSE
        for kind, name in ((RARE, "rare_docs"), (GAPS, "gaps"), (FREQUENT, "frequent")):
            columns["list_docs"][kinds == kind] += w[name].length
        for width, name in IMPACTS.items():
            columns["list_impacts"][(widths == width) & ~with_row] += w[name].length
        columns["list_entry"] += np.where(with_row, free["num_rows"], w["entry_window"].length)
        columns["list_entries"][dense] += free["num_dense"]
        excess = columns["term_excess"]
        excess[excess >= 0] += free["num_excesses"]
        self.num_postings += batch.num_postings
        free["num_rows"] += int(with_row.sum())
        free["num_dense"] += int(dense.sum())
        free["num_excesses"] += len(kinds) - len(batch.terms)
        self.terms.add(batch.terms, **columns)
        for name, values in batch.arrays.items():
            w[name].append(values)

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


def _numbering(source: PostingSource, documents: Documents, order: Order | None) -> Numbering:
    num_docs, numbers = len(documents.numbers), documents.numbers
    top = int(numbers[-1]) + 1 if num_docs else 0
    positions = None
    if order is not None or top != num_docs:
        positions = np.full(top, -1, np.int32)
        positions[numbers if order is None else numbers[order]] = np.arange(num_docs, dtype=np.int32)
    return Numbering(top, positions, source.info.path)


def versions() -> dict[str, str]:
    """What wrote an index."""
    return {"bmp-plugin": metadata.version("bmp-plugin"), "python": platform.python_version(), "numpy": np.__version__}
