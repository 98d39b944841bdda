"""Joining indexes that were built elsewhere into one sharded index: they stay where they are."""
from __future__ import annotations

import hashlib
import heapq
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from ..errors import BmpError
from ..index.index import BmpIndex
from ..index.store import staging
from ..progress import tqdm
from ..quantize import scale_of
from .index import ShardedIndex, entry_of, write_sharded
from .manifest import Source, identity_of

DOCIDS_A_TIME = 65_536


def join(paths: Sequence[str | Path], output: Path, *, check_docids: bool = True, progress: bool = True) -> ShardedIndex:
    """Make a sharded index of block-max indexes, which are the collection's parts in this order.

    Answers are those of one index of all parts: N and the document frequencies are the sums of the parts', numbers in
    the source go on from part to part, as when Lucene adds indexes to one another.

    Checked: that the parts are different indexes, that their ties break alike, and, unless ``check_docids`` is false,
    that no docid is in two of them. The latter merges the parts' docids in their order, about a million a second and in
    a few megabytes; it cannot be done for indexes of Lucene 8, whose docids are in no order. Not checked: that the parts
    were encoded alike.

    Errors: ``FileNotFoundError``, ``ValueError``, :class:`BmpError` naming the index.
    """
    if not paths:
        raise ValueError("no index to join: give at least one")
    indexes = [BmpIndex.open(Path(path).resolve()) for path in paths]
    _check_alike(indexes)
    if check_docids:
        _check_docids(indexes, progress)
    shards, first = [], 0
    for i, index in enumerate(indexes):
        shards.append(entry_of(index, f"shard-{i:03}", str(index.path), first))
        first += _numbers(index)
    sources = [index.manifest["source"] for index in indexes]
    prints = hashlib.sha256("\n".join(shard.identity for shard in shards).encode()).hexdigest()
    source = Source("joined", str(output.absolute()), prints, sum(source["num_docs"] for source in sources),
                    sources[0]["ties_by_docid"], {"max_doc": first})
    with staging(output) as folder:
        write_sharded(folder, shards, source, dict(_summed(indexes)))
    return ShardedIndex.open(output)


def _numbers(index: BmpIndex) -> int:
    """How many numbers the source gave to documents, deleted ones included."""
    numbers = index.arrays["source_docid"]
    stated: int = index.manifest["source"]["details"].get("max_doc", 0)
    return max(stated, int(numbers.max()) + 1 if len(numbers) else 0)


def _check_alike(indexes: list[BmpIndex]) -> None:
    seen: dict[str, BmpIndex] = {}
    for index in indexes:
        identity = identity_of(index.path)
        if identity in seen:
            raise BmpError(f"{index.path}: is the same index as {seen[identity].path}; give every part once")
        seen[identity] = index
        if scale_of(index.manifest["source"]["details"]) is not None:
            raise BmpError(f"{index.path}: has quantized weights, for which shards have no common scale; encode to whole "
                           "numbers first")
        if index.manifest["source"]["ties_by_docid"] != indexes[0].manifest["source"]["ties_by_docid"]:
            raise BmpError(f"{index.path}: breaks ties otherwise than {indexes[0].path}: one of them was written by Lucene 8; "
                           "index it again")


def _check_docids(indexes: list[BmpIndex], progress: bool) -> None:
    if not indexes[0].manifest["source"]["ties_by_docid"] or len(indexes) == 1:
        return
    merged = heapq.merge(*map(_docids, range(len(indexes)), indexes))
    with tqdm(merged, total=sum(index.num_docs for index in indexes), unit=" docids", unit_scale=True, desc="checking docids",
              disable=None if progress else True, file=sys.stderr) as bar:
        for (docid, one), (same, other) in pairwise(bar):
            if docid == same and one != other:
                raise BmpError(f"{indexes[other].path}: has the docid {docid!r}, as {indexes[one].path} has; "
                               "index every document once, or join with --no-docid-check")


def _docids(part: int, index: BmpIndex) -> Iterator[tuple[str, int]]:
    """A part's docids in ascending order, which is that of their UTF-8 bytes."""
    order = index.arrays["rank_doc"]
    for start in range(0, len(order), DOCIDS_A_TIME):
        for docid in index.docids(order[start:start + DOCIDS_A_TIME]):
            yield docid, part


def _summed(indexes: list[BmpIndex]) -> Iterable[tuple[bytes, int]]:
    """Every term with the sum of its document frequencies."""
    merged = heapq.merge(*map(_terms, indexes))
    for term, parts in groupby(merged, key=itemgetter(0)):
        yield term, sum(df for _, df in parts)


def _terms(index: BmpIndex) -> Iterator[tuple[bytes, int]]:
    return zip((term.encode() for term in index.terms()), index.arrays["term_df"].tolist(), strict=True)
