"""``manifest.json``: the description of an index, sealed against damage, and read as untrusted input.

The last entry of a manifest is a seal: the SHA-256 of the file's bytes, with zeros in place of the seal. It does not keep out
a malicious writer, who can compute it too, but it detects every other change.

A manifest is read only if it is a regular file of at most :data:`LARGEST` bytes, or :data:`LARGEST_SHARDED`, and accepted only
if every entry has the type and the range that its readers rely on.
"""
from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn, TypeGuard

from ..errors import BmpError, DamagedIndexError
from .layout import ARRAYS, BLOCK_SIZES, DERIVED, FORMAT, VERSION

MANIFEST = "manifest.json"
LARGEST = 2**20              # bytes; usual manifests have 5,000
LARGEST_SHARDED = 2**24      # about 50,000 shards
LARGEST_COUNT = 2**62
SEAL = "sha256"
BLANK = "0" * 64
_COUNTS = {name for spec in ARRAYS.values() for name in spec.shape} - set(DERIVED)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Seal and write the manifest, after all other files: a folder without one is not an index."""
    entries = {name: value for name, value in manifest.items() if name != SEAL} | {SEAL: BLANK}
    data = (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode()
    at = data.rindex(BLANK.encode())
    seal = hashlib.sha256(data).hexdigest().encode()
    (folder / MANIFEST).write_bytes(data[:at] + seal + data[at + len(seal):])


def read_bytes(folder: Path, largest: int = LARGEST_SHARDED) -> bytes:
    """Return the manifest's bytes.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    BmpError
        If it contains no manifest that can be read, or one of more than ``largest`` bytes.
    """
    path = folder / MANIFEST
    try:
        if not folder.exists():
            raise FileNotFoundError(f"{folder}: there is no such index")
        if not path.is_file():                                 # false for a pipe or a device
            raise BmpError(f"{folder}: is not a block-max index (it has no {MANIFEST}); build one with `bmp-plugin index`")
        with open(path, "rb") as file:
            data = file.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:                                   # no permission, a name that is too long
        raise BmpError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > largest:
        raise BmpError(f"{path}: is larger than {largest:,} bytes, which no manifest is; build the index again")
    return data


def check_seal(path: Path | str, data: bytes, seal: object) -> None:
    """Raise :class:`DamagedIndexError` if the seal is not that of the bytes."""
    stated = seal.encode() if is_digest(seal) else b""
    if not stated or data.count(stated) != 1 \
            or hashlib.sha256(data.replace(stated, BLANK.encode())).hexdigest().encode() != stated:
        raise DamagedIndexError(f"{path}: is not what was written (checksum); build the index again")


def is_digest(value: object) -> TypeGuard[str]:
    """Tell whether a value is a SHA-256 in hexadecimal digits."""
    return isinstance(value, str) and len(value) == len(BLANK) and set(value) <= set("0123456789abcdef")


def is_count(value: object) -> bool:
    """Tell whether a value is a whole number from 0 to below LARGEST_COUNT."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST_COUNT


def details_are_usable(details: object) -> bool:
    """Tell whether the details of a source have the types that searching and joining rely on."""
    if not isinstance(details, dict) or not is_count(details.get("max_doc", 0)):
        return False
    if "quantize" not in details:
        return True
    scale = details["quantize"].get("scale") if isinstance(details["quantize"], dict) else None
    return isinstance(scale, int | float) and not isinstance(scale, bool) and 0 < scale < math.inf


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest, and check its form and seal.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    BmpError
        If it is not an index, or a sharded one, or one of another version.
    DamagedIndexError
        If the manifest is malformed, or not what was written.
    """
    return parse_manifest(read_bytes(folder, LARGEST), folder)


def parse_manifest(data: bytes, folder: Path | str) -> dict[str, Any]:
    """Check the form and the seal of the bytes of the manifest in a folder, or at a URL; raise what reading it raises."""
    path = f"{folder}/{MANIFEST}"
    try:
        manifest = json.loads(data.decode("utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError(f"{path}: is not valid JSON ({error}); build the index again") from error
    if isinstance(manifest, dict) and str(manifest.get("format")).startswith(f"{FORMAT}, "):
        raise BmpError(f"{folder}: is a {manifest['format'].removeprefix(f'{FORMAT}, ')} index; search it with "
                       "bmp_plugin.ShardedSearcher, or one of its shards")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BmpError(f"{path}: does not describe a block-max index; build one with `bmp-plugin index`")
    if manifest.get("version") != VERSION:
        raise BmpError(f"{path}: has version {manifest.get('version')!r:.40} of the layout and this bmp-plugin reads "
                       f"version {VERSION}; build the index again")
    _check_form(path, manifest)
    check_seal(path, data, manifest.get(SEAL))
    return manifest


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON's")


def _check_form(path: str, manifest: dict[str, Any]) -> None:
    def demand(holds: bool, what: str) -> None:
        if not holds:
            raise DamagedIndexError(f"{path}: {what}; build the index again")

    counts = manifest.get("counts")
    demand(isinstance(counts, dict) and all(is_count(counts.get(name)) for name in _COUNTS), "lacks a count")
    assert isinstance(counts, dict)
    block_size = manifest.get("block_size")
    demand(is_count(block_size) and block_size in BLOCK_SIZES, f"has the block size {block_size!r:.40}")
    demand(counts["num_docs"] < 2**31 and counts["num_terms"] < 2**31 and counts["num_lists"] < 2**31,
           "counts more documents or terms than 31 bits hold")
    demand(all(is_count(manifest.get(name)) and manifest[name] == counts[name] for name in ("num_docs", "num_terms"))
           and is_count(manifest.get("num_postings")), "contradicts its own counts")
    arrays = manifest.get("arrays")
    demand(isinstance(arrays, dict) and set(arrays) == set(ARRAYS), "does not list the arrays of this layout")
    assert isinstance(arrays, dict)
    for name, spec in ARRAYS.items():
        entry = arrays[name]
        demand(isinstance(entry, dict) and entry.get("dtype") == spec.dtype and is_count(entry.get("length"))
               and is_digest(entry.get("sha256")), f"does not say of {name} what it has to")
    source = manifest.get("source")
    demand(isinstance(source, dict) and all(isinstance(source.get(x), str) for x in ("kind", "path", "fingerprint"))
           and is_count(source.get("num_docs")) and isinstance(source.get("ties_by_docid"), bool)
           and details_are_usable(source.get("details")), "does not say what the index was built from")
    assert isinstance(source, dict)
    demand(source["num_docs"] > 0 or counts["num_docs"] == 0, "has documents of a source without any")
    demand(isinstance(manifest.get("reorder"), str), "does not say how documents were reordered")
    demand(isinstance(manifest.get("created_with"), dict), "does not say what wrote it")
