"""The manifest of a sharded index: the list of its shards, and statistics of the whole collection, to search them as one.

A sharded index is a folder with ``manifest.json`` and the arrays ``term_bytes``, ``term_end`` and ``term_df`` of the
whole collection (see :mod:`bmp_plugin.index.layout`). Its shards are ordinary block-max indexes, in the folder or
elsewhere.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from ..errors import BmpError, DamagedIndexError
from ..index.layout import ARRAYS
from ..index.layout import FORMAT as INDEX_FORMAT
from ..index.manifest import LARGEST_COUNT, MANIFEST, check_seal, details_are_usable, read_bytes

FORMAT = f"{INDEX_FORMAT}, sharded"          # contains the other, by which staging recognizes what it may replace
VERSION = 2
TABLES = ("term_bytes", "term_end", "term_df")
LARGEST_SHARDS = 10_000                      # each takes some thirty memory maps and files

Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class ShardEntry(msgspec.Struct, frozen=True):
    """A shard.

    Attributes
    ----------
    name : str
        Its name in messages.
    path : str
        Its folder: relative to the manifest's, or absolute.
    identity : str
        SHA-256 of its own manifest, which holds the checksums of all its files.
    first_lucene_docid : int
        Offset of its source document ids.
    num_docs, num_postings, num_bytes : int
    """

    name: str
    path: str
    identity: Digest
    first_lucene_docid: int
    num_docs: int
    num_postings: int
    num_bytes: int


class Order(msgspec.Struct, frozen=True):
    """The order in which hits of all shards are merged: by float32 score, descending, and then by these rules.

    Attributes
    ----------
    ties : {"docid", "lucene_docid"}
        "docid": docid ascending as UTF-8 bytes, then source document id. "lucene_docid": source document id alone, as
        Anserini leaves the hits of indexes that Lucene 8 wrote.
    adjust_ties : bool
        Whether Anserini's tie adjustment follows, once, on the merged ranking after it is cut at k.
    """

    ties: Literal["docid", "lucene_docid"]
    adjust_ties: bool


class Source(msgspec.Struct, frozen=True):
    """The source of the collection; ``num_docs`` is the N of the min_idf filter."""

    kind: str
    path: str
    fingerprint: str
    num_docs: int
    ties_by_docid: bool
    details: dict[str, Any]


class Table(msgspec.Struct, frozen=True):
    """An array of the whole collection."""

    dtype: str
    length: int
    sha256: Digest


class Manifest(msgspec.Struct, frozen=True):
    """The content of ``manifest.json``."""

    format: str
    version: int
    num_docs: int
    num_terms: int
    num_postings: int
    source: Source
    order: Order
    arrays: dict[str, Table]
    shards: list[ShardEntry]
    created_with: dict[str, str]


def identity_of(folder: Path) -> str:
    """Returns the identity of the block-max index in a folder; raises ``FileNotFoundError`` if there is none."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


class _Head(msgspec.Struct, frozen=True):
    """The fields that are decoded first; the rest is skipped."""

    format: Any = None
    version: Any = None
    sha256: Any = None


def is_sharded(path: str | Path) -> bool:
    """Tells whether a folder contains a sharded index."""
    try:
        return bool(msgspec.json.decode(read_bytes(Path(path)), type=_Head).format == FORMAT)
    except (OSError, BmpError, ValueError, RecursionError):          # ValueError: msgspec's, and UTF-8 decoding
        return False


def read_manifest(folder: Path) -> Manifest:
    """Reads and validates the manifest.

    Raises
    ------
    FileNotFoundError
    BmpError
        If it is not the manifest of a sharded index, or of another version.
    DamagedIndexError
        If it is malformed.
    """
    path = folder / MANIFEST
    data = read_bytes(folder)
    if not is_sharded(folder):
        raise BmpError(f"{folder}: is not a sharded index; make one with `bmp-plugin index --shards N` or `bmp-plugin shards`")
    head = msgspec.json.decode(data, type=_Head)
    version = head.version
    if version != VERSION:
        raise BmpError(f"{path}: has version {version!r:.40} of the sharded layout and this bmp-plugin reads version "
                       f"{VERSION}; build the index again")
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError(f"{path}: {error}; build the index again") from error
    _check(path, manifest)
    check_seal(path, data, head.sha256)
    return manifest


def _check(path: Path, manifest: Manifest) -> None:
    if len(manifest.shards) > LARGEST_SHARDS:
        raise DamagedIndexError(f"{path}: lists {len(manifest.shards)} shards, more than {LARGEST_SHARDS}; build the "
                                "index again, with fewer")
    counts = [manifest.num_docs, manifest.num_terms, manifest.num_postings, manifest.source.num_docs]
    for shard in manifest.shards:
        counts += [shard.first_lucene_docid, shard.num_docs, shard.num_postings, shard.num_bytes]
    if not all(0 <= count < LARGEST_COUNT for count in [*counts, *(table.length for table in manifest.arrays.values())]):
        raise DamagedIndexError(f"{path}: has a count out of range; build the index again")
    if not manifest.shards or len({shard.name for shard in manifest.shards}) < len(manifest.shards):
        raise DamagedIndexError(f"{path}: lists no shards, or two of one name; build the index again")
    if sum(shard.num_docs for shard in manifest.shards) != manifest.num_docs \
            or sum(shard.num_postings for shard in manifest.shards) != manifest.num_postings:
        raise DamagedIndexError(f"{path}: contradicts its own counts; build the index again")
    if manifest.num_docs and not manifest.source.num_docs:
        raise DamagedIndexError(f"{path}: has documents of a source without any; build the index again")
    if set(manifest.arrays) != set(TABLES):
        raise DamagedIndexError(f"{path}: does not list the arrays of a sharded index; build the index again")
    if not details_are_usable(manifest.source.details):
        raise DamagedIndexError(f"{path}: does not say what the index was built from; build the index again")
    if any(manifest.arrays[name].dtype != ARRAYS[name].dtype for name in TABLES):
        raise DamagedIndexError(f"{path}: has an array of another type; build the index again")
    if (manifest.order.ties == "docid") != manifest.source.ties_by_docid:
        raise DamagedIndexError(f"{path}: contradicts itself on the order of ties; build the index again")
