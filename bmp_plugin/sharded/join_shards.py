"""Joining of indexes that were built elsewhere into one sharded index; they stay at their paths."""
from __future__ import annotations

import hashlib
import heapq
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from pathlib import Path

from .._internal.progress import tqdm
from ..errors import BmpError
from ..index.block_max_index import BmpIndex
from ..index.quantization import scale_of
from ..index.store import staging
from .sharded_index import ShardedIndex, entry_of, write_sharded
from .sharded_manifest import Source, identity_of

DOCIDS_CHUNK = 65_536


def join(paths: Sequence[str | Path], output: Path, *, check_docids: bool = True, progress: bool = True) -> ShardedIndex:
    """Creates a sharded index of block-max indexes, which are the parts of the collection, in this order.

    Answers are those of one index of all parts: N and the document frequencies are summed over the parts, and source document
    ids continue from part to part, as when Lucene adds indexes to one another.

    The parts must be different indexes that break ties alike. Whether they were encoded alike is not checked.

    Parameters
    ----------
    paths : sequence of path
    output : Path
    check_docids : bool
        Check that no docid is in two parts, by merging their sorted docids: about a million per second, in a few megabytes.
        Indexes of Lucene 8 are not checked, because their docids are not sorted.
    progress : bool

    Returns
    -------
    ShardedIndex

    Raises
    ------
    FileNotFoundError
    ValueError
        If there are no paths.
    BmpError
        If an index, which it names, does not fit the others.
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
        first += _num_source_ids(index)
    sources = [index.manifest["source"] for index in indexes]
    prints = hashlib.sha256("\n".join(shard.identity for shard in shards).encode()).hexdigest()
    source = Source("joined", str(output.absolute()), prints, sum(source["num_docs"] for source in sources),
                    sources[0]["ties_by_docid"], {"max_doc": first})
    with staging(output) as folder:
        write_sharded(folder, shards, source, dict(_summed(indexes)))
    return ShardedIndex.open(output)


def _num_source_ids(index: BmpIndex) -> int:
    """Returns the number of source document ids, those of deleted documents included."""
    source_ids = index.arrays["source_docid"]
    stated: int = index.manifest["source"]["details"].get("max_doc", 0)
    return max(stated, int(source_ids.max()) + 1 if len(source_ids) else 0)


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
            raise BmpError(f"{index.path}: breaks ties differently from {indexes[0].path}: one of them was written by Lucene "
                           "8; index it again")


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
    """Yields a part's docids in ascending order, which is that of their UTF-8 bytes."""
    order = index.arrays["rank_doc"]
    for start in range(0, len(order), DOCIDS_CHUNK):
        for docid in index.docids(order[start:start + DOCIDS_CHUNK]):
            yield docid, part


def _summed(indexes: list[BmpIndex]) -> Iterable[tuple[bytes, int]]:
    """Yields every term with the sum of its document frequencies."""
    merged = heapq.merge(*map(_terms, indexes))
    for term, parts in groupby(merged, key=itemgetter(0)):
        yield term, sum(df for _, df in parts)


def _terms(index: BmpIndex) -> Iterator[tuple[bytes, int]]:
    return zip((term.encode() for term in index.terms()), index.arrays["term_df"].tolist(), strict=True)
