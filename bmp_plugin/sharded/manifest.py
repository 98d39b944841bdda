"""The manifest of a sharded index: what the shards are, and what must be known of the whole to search them as one.

A sharded index is a folder with ``manifest.json`` and the arrays ``term_bytes``, ``term_end`` and ``term_df`` of the
whole collection (see :mod:`bmp_plugin.index.layout`). Its shards are ordinary block-max indexes, in the folder or
anywhere else.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal

import msgspec

from ..errors import BmpError, DamagedIndexError
from ..index.layout import FORMAT as INDEX_FORMAT
from ..index.store import MANIFEST

FORMAT = f"{INDEX_FORMAT}, sharded"          # contains the other: what staging may replace
VERSION = 1
TABLES = ("term_bytes", "term_end", "term_df")
LARGEST_SHARDS = 10_000                      # each takes some thirty maps and files


class ShardEntry(msgspec.Struct, frozen=True):
    """One shard.

    Attributes
    ----------
    name : str
        What messages call it.
    path : str
        Its folder: relative to the manifest's, absolute, or a URL.
    identity : str
        SHA-256 of its own manifest, which holds the checksums of all its files.
    first_lucene_docid : int
        What is added to its documents' numbers.
    num_docs, num_postings, num_bytes : int
    """

    name: str
    path: str
    identity: str
    first_lucene_docid: int
    num_docs: int
    num_postings: int
    num_bytes: int


class Order(msgspec.Struct, frozen=True):
    """How hits of all shards are put in one order: float32 score descending, and then as this says.

    Attributes
    ----------
    ties : {"docid", "lucene_docid"}
        "docid": docid ascending as UTF-8 bytes, then number in the source. "lucene_docid": number in the source alone,
        which is how Anserini leaves the hits of indexes that Lucene 8 wrote.
    adjust_ties : bool
        Whether Anserini's tie adjustment follows, once, on the ranking of all shards after it is cut to k.
    """

    ties: Literal["docid", "lucene_docid"]
    adjust_ties: bool


class Source(msgspec.Struct, frozen=True):
    """What the collection was built from; ``num_docs`` is the N of the min_idf filter."""

    kind: str
    path: str
    fingerprint: str
    num_docs: int
    ties_by_docid: bool
    details: dict[str, Any]


class Table(msgspec.Struct, frozen=True):
    """A file of the whole collection."""

    dtype: str
    length: int
    sha256: str


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
    """The identity of the block-max index in a folder. Errors: ``FileNotFoundError``."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def is_sharded(path: str | Path) -> bool:
    """Whether a folder holds a sharded index rather than anything else."""
    try:
        text = (Path(path) / MANIFEST).read_bytes()
        return bool(msgspec.json.decode(text).get("format") == FORMAT)
    except (OSError, msgspec.DecodeError, AttributeError):
        return False


def read_manifest(folder: Path) -> Manifest:
    """The manifest, its form checked. Errors: ``FileNotFoundError``, :class:`DamagedIndexError`, :class:`BmpError`."""
    path = folder / MANIFEST
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such index")
    if not is_sharded(folder):
        raise BmpError(f"{folder}: is not a sharded index; make one with `bmp-plugin index --shards N` or `bmp-plugin shards`")
    text = path.read_bytes()
    version = msgspec.json.decode(text).get("version")
    if version != VERSION:
        raise BmpError(f"{path}: has version {version!r} of the sharded layout and this bmp-plugin reads version {VERSION}; "
                       "build the index again")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.ValidationError as error:
        raise DamagedIndexError(f"{path}: {error}; build the index again") from error
    _check(path, manifest)
    return manifest


def _check(path: Path, manifest: Manifest) -> None:
    if len(manifest.shards) > LARGEST_SHARDS:
        raise DamagedIndexError(f"{path}: lists {len(manifest.shards)} shards, and {LARGEST_SHARDS} are the most; build the "
                                "index again, with fewer")
    counts = [manifest.num_docs, manifest.num_terms, manifest.num_postings, manifest.source.num_docs]
    for shard in manifest.shards:
        counts += [shard.first_lucene_docid, shard.num_docs, shard.num_postings, shard.num_bytes]
    if not all(0 <= count < 2**62 for count in [*counts, *(table.length for table in manifest.arrays.values())]):
        raise DamagedIndexError(f"{path}: has a count out of range; build the index again")
    if not manifest.shards or len({shard.name for shard in manifest.shards}) < len(manifest.shards):
        raise DamagedIndexError(f"{path}: lists no shards, or two of one name; build the index again")
    if sum(shard.num_docs for shard in manifest.shards) != manifest.num_docs \
            or sum(shard.num_postings for shard in manifest.shards) != manifest.num_postings:
        raise DamagedIndexError(f"{path}: contradicts its own counts; build the index again")
    if set(manifest.arrays) != set(TABLES):
        raise DamagedIndexError(f"{path}: does not list the arrays of a sharded index; build the index again")
