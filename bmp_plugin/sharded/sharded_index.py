"""ShardedIndex: an opened manifest, with the terms of the whole collection and the locations of its shards."""
from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..errors import BmpError, DamagedIndexError
from ..index.block_max_index import BmpIndex
from ..index.build import versions
from ..index.local_copy import local_copy
from ..index.manifest import write_manifest
from ..index.remote_folder import is_url
from ..index.store import ArrayWriter, open_array, verify_arrays
from ..index.term_table import TermTable
from ..index.validate.check_strings import check_term_text, check_terms
from ..index.validate.proof import Identity, ensure, prove_now
from .sharded_manifest import (
    FORMAT,
    TABLES,
    VERSION,
    Manifest,
    Order,
    ShardEntry,
    Source,
    Table,
    identity_of,
    is_sharded,
    read_manifest,
)


class ShardedIndex:
    """The metadata of a sharded index, available without opening a shard.

    Attributes
    ----------
    path : Path
    shards : list of ShardEntry
    order : Order
    manifest : dict
        The content of ``manifest.json``; ``source`` as in a :class:`bmp_plugin.BmpIndex`.
    num_docs, num_terms, num_postings : int
    arrays : dict of name -> array
        ``term_bytes``, ``term_end`` and ``term_df`` of the whole collection, validated on first use: see
        :mod:`bmp_plugin.index.validate.proof`.
    """

    def __init__(self, path: Path, base: str, manifest: Manifest) -> None:
        self.path = path
        self._base = base
        self.shards = manifest.shards
        self.order = manifest.order
        self.manifest: dict[str, Any] = msgspec.to_builtins(manifest)
        self.num_docs, self.num_terms, self.num_postings = manifest.num_docs, manifest.num_terms, manifest.num_postings
        before = Identity(path, TABLES)
        self._unproved = {name: open_array(path, name, (manifest.arrays[name].length,)) for name in TABLES}
        self._identity = before.still_valid(Identity(path, TABLES))
        if not len(self._unproved["term_end"]) == len(self._unproved["term_df"]) == self.num_terms:
            raise DamagedIndexError(f"{path}: its numbers of terms and of document frequencies differ; build the index again")
        check_terms(path, self._unproved)

    @cached_property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Returns the arrays, validated on first use."""
        ensure(self._identity, self._prove)
        return self._unproved

    @cached_property
    def _terms(self) -> TermTable:
        return TermTable(self.arrays["term_bytes"], self.arrays["term_end"])

    def _prove(self) -> None:
        for _ in verify_arrays(self.path, self.manifest, self._unproved):
            pass
        check_term_text(self.path, self._unproved)

    @classmethod
    def open(cls, location: str | Path) -> ShardedIndex:
        """Opens a sharded index.

        Parameters
        ----------
        location : path or URL
            A folder, or a URL that fsspec reads, whose manifest and terms are copied to this machine.

        Raises
        ------
        FileNotFoundError
        bmp_plugin.BmpError
            If it is not a sharded index, or a damaged one.
        """
        return _open_at(local_copy(location), location)

    @property
    def size_bytes(self) -> int:
        """Returns the size in bytes of all shards and of the files of the whole collection."""
        return sum(shard.num_bytes for shard in self.shards) + sum(file.stat().st_size for file in self.path.glob("*.*")
                                                                   if file.is_file())

    def location(self, shard: ShardEntry, shards_at: str | None = None) -> str:
        """Returns the path or URL of a shard.

        Parameters
        ----------
        shard : ShardEntry
        shards_at : str, optional
            Folder or URL that contains all shards under their folders' names, if they were moved.

        Raises
        ------
        BmpError
            If the manifest names a URL, or the index is at a URL and its manifest names a place outside of it: only what the
            user names is fetched.
        """
        if shards_at is not None:
            return posixpath.join(shards_at, posixpath.basename(shard.path.rstrip("/")))
        if is_url(shard.path) or (is_url(self._base) and not is_below(shard.path)):
            raise BmpError(f"{self._base}: its manifest says that {shard.name} is at {shard.path}, which is not fetched: "
                           "say where the shards are with shards_at (--shards-at)")
        return posixpath.join(self._base, shard.path)

    def term_ids(self, tokens: Iterable[str]) -> list[int]:
        """Returns the term ids of tokens, -1 for those that no shard has."""
        return self._terms.ids(tokens)

    def terms(self) -> list[str]:
        """Returns all terms, in the order of their ids."""
        return [term.decode("utf-8") for term in self._terms]

    def df(self, token: str) -> int | None:
        """Returns the document frequency in the whole collection, or None for a token that no shard has."""
        term_id = self._terms.id(token)
        return None if term_id < 0 else int(self.arrays["term_df"][term_id])

    def verify(self, shards_at: str | None = None) -> None:
        """Verifies the checksum of every file of every shard, and checks every posting against the layout.

        Raises
        ------
        FileNotFoundError
        bmp_plugin.errors.DamagedIndexError
            It names the file.
        """
        prove_now(self._identity, self._prove)
        for shard in self.shards:
            open_shard(shard, self.location(shard, shards_at)).verify()

    def __repr__(self) -> str:
        return f"ShardedIndex({str(self.path)!r}: {len(self.shards)} shards, {self.num_docs} documents)"


def open_either(location: str | Path) -> BmpIndex | ShardedIndex:
    """Opens an index, sharded or not; raises what opening it raises."""
    path = local_copy(location)
    return _open_at(path, location) if is_sharded(path) else BmpIndex.open(path)


def _open_at(path: Path, location: str | Path) -> ShardedIndex:
    """Opens the sharded index in a folder, which is at, or a copy from, the location that the user named."""
    return ShardedIndex(path, str(location) if is_url(location) else str(path.resolve()), read_manifest(path))


def is_below(path: str) -> bool:
    """Tells whether the path of a shard is within the folder of the sharded index; ``::`` would chain URLs of fsspec."""
    return "::" not in path and not posixpath.isabs(path) and posixpath.normpath(path).partition("/")[0] not in ("..", ".")


def open_shard(shard: ShardEntry, location: str) -> BmpIndex:
    """Opens a shard, copied to this machine if necessary, and checks that it is the one in the manifest.

    Raises
    ------
    FileNotFoundError
    bmp_plugin.BmpError
        If it is not an index, a damaged one, or another one.
    """
    index = BmpIndex.open(local_copy(location, shard.identity))
    if identity_of(index.path) != shard.identity:
        raise BmpError(f"{location}: is not the index that {shard.name} was when the sharded index was created; "
                       "create that again with `bmp-plugin shards create`")
    if (index.num_docs, index.num_postings) != (shard.num_docs, shard.num_postings):
        raise DamagedIndexError(f"{location}: has not the documents that the manifest says; create the sharded index "
                                "again with `bmp-plugin shards create`")
    return index


def write_sharded(folder: Path, shards: list[ShardEntry], source: Source, dfs: Mapping[bytes, int]) -> None:
    """Writes the files of a sharded index, the manifest last.

    Parameters
    ----------
    folder : Path
    shards : list of ShardEntry
    source : Source
    dfs : mapping of bytes to int
        Every term, in any order, with its document frequency in the whole collection.
    """
    names = sorted(dfs)
    writers = {name: ArrayWriter(folder, name) for name in TABLES}
    writers["term_bytes"].append(np.frombuffer(b"".join(names), np.uint8))
    writers["term_end"].append(np.cumsum([len(name) for name in names], dtype=np.int64))
    writers["term_df"].append(np.array([dfs[name] for name in names], np.int64))
    arrays = {name: Table(**writer.close()) for name, writer in writers.items()}
    order = Order("docid" if source.ties_by_docid else "lucene_docid", source.ties_by_docid)
    manifest = Manifest(FORMAT, VERSION, sum(shard.num_docs for shard in shards), len(names),
                        sum(shard.num_postings for shard in shards), source, order, arrays, shards, versions())
    write_manifest(folder, msgspec.to_builtins(manifest))
    Identity(folder, TABLES).remember()


def entry_of(index: BmpIndex, name: str, path: str, first_lucene_docid: int) -> ShardEntry:
    """Returns the manifest's entry of an index."""
    return ShardEntry(name, path, identity_of(index.path), first_lucene_docid, index.num_docs, index.num_postings,
                      index.size_bytes)
