"""Building shards of one source: contiguous ranges of its documents, each a separate index.

Why ranges rather than a hash of the docid: a shard's source document ids plus one offset are those of the collection, in
the same order, so ties of equal docids, and in indexes of Lucene 8, break as in one index; each shard's part of a posting
list is a slice of it; the same source gives the same shards; and documents that were indexed together stay together. The
sizes of the ranges differ by at most one document.

The source is read once per shard, by the ordinary build: memory and speed are those of building one shard, plus the
document table of the collection, plus reading the source N times. That is simple, and reading is the smaller part: a
Lucene index is read several times as fast as an index is built. If reading is slow, build the parts elsewhere and join
them.
"""
from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from ..errors import SourceError
from ..index.block_max_index import BmpIndex
from ..index.layout import DEFAULT_BLOCK_SIZE, check_block_size
from ..index.quantization import scale_of
from ..index.source import PostingSource
from ..index.store import staging
from .document_range import DocumentRange
from .sharded_index import ShardedIndex, entry_of, write_sharded
from .sharded_manifest import Source


def build_shards(source: PostingSource, output: Path, num_shards: int, *, reorder: str = "none",
                 block_size: int = DEFAULT_BLOCK_SIZE, threads: int = 1, progress: bool = True) -> ShardedIndex:
    """Builds ``num_shards`` indexes of a source and their manifest in the folder ``output``, which is written atomically.

    Parameters
    ----------
    source : PostingSource
    output : Path
    num_shards : int
    reorder, block_size, threads, progress
        See :meth:`bmp_plugin.BmpIndex.build`; documents are reordered within their shard.

    Returns
    -------
    ShardedIndex

    Raises
    ------
    ValueError
        If ``num_shards`` is below 1, or the source is quantized.
    SourceError
        If there are fewer documents than shards; building an index may raise more.
    """
    check_block_size(block_size)
    if num_shards < 1:
        raise ValueError(f"shards={num_shards} is not at least 1")
    if scale_of(source.info.details) is not None:
        raise ValueError(f"shards={num_shards}: {source.info.path} is quantized, for which shards have no common scale; "
                         "build one index, or encode to whole numbers first")
    with staging(output) as folder:
        documents = source.documents()
        num_docs = len(documents.source_docids)
        if num_docs < num_shards:
            raise SourceError(f"{source.info.path}: has {num_docs} documents, which is too few for {num_shards} shards")
        dfs: dict[bytes, int] = {}
        shards = []
        for i in range(num_shards):
            part = DocumentRange(source, documents, num_docs * i // num_shards, num_docs * (i + 1) // num_shards,
                                 dfs if i == 0 else None)
            name = f"shard-{i:03}"
            index = BmpIndex.build(part, folder / f"{name}.bmp", reorder=reorder, block_size=block_size, threads=threads,
                                   progress=progress)
            shards.append(entry_of(index, name, f"{name}.bmp", part.first))
        write_sharded(folder, shards, Source(**asdict(source.info)), dfs)
    return ShardedIndex.open(output)
