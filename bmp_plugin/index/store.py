"""An index directory: written beside its place and moved there whole, opened as memory maps, checked before use."""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BmpError, BuildError, DamagedIndexError
from ..whole import whole_folder
from .layout import ARRAYS, BLOCK_SIZES, FORMAT, VERSION, Geometry, dtype

MANIFEST = "manifest.json"
Arrays = dict[str, NDArray[Any]]


class ArrayWriter:
    """Appends to one array's file and keeps its checksum (SHA-256) as it goes."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.dtype = dtype(name)
        self.length = 0
        self._hash = hashlib.sha256()
        self._file = open(folder / f"{name}.bin", "wb")  # noqa: SIM115 (closed by close)

    def append(self, values: NDArray[Any]) -> None:
        """Append ``values``, converted to the array's type; the caller vouches for their range."""
        data = np.ascontiguousarray(values, self.dtype).reshape(-1).view(np.uint8).data
        self._file.write(data)
        self._hash.update(data)
        self.length += len(data) // self.dtype.itemsize

    def close(self) -> dict[str, Any]:
        """Close the file; returns the array's entry of the manifest."""
        self._file.close()
        return {"dtype": ARRAYS[self.name].dtype, "length": self.length, "sha256": self._hash.hexdigest()}

    def abandon(self) -> None:
        with contextlib.suppress(OSError):      # of what a full disk did not take before
            self._file.close()


@contextlib.contextmanager
def staging(output: Path) -> Iterator[Path]:
    """A temporary folder beside ``output`` that takes its place when the block ends well, and vanishes when it does not.

    A block-max index that stands there serves until then. What a killed process left of the same output is removed.
    Errors: :class:`BuildError` where something else stands at ``output``, or where it cannot be written.
    """
    if os.path.lexists(output) and not _is_index(output):
        raise BuildError(f"{output}: exists and is not a block-max index, so it is not replaced; choose another output")
    folder = output
    try:
        with whole_folder(output) as folder:
            yield folder
    except BuildError as error:                 # of an index inside, which is to be a part of this one
        raise BuildError(str(error).replace(str(folder), str(output))) from error
    except OSError as error:
        if isinstance(error, (FileNotFoundError, PermissionError)) and error.filename != str(output):
            raise                               # of what is read
        raise BuildError(f"{output}: cannot be written ({error.strerror or error}); choose another output") from error


def _is_index(folder: Path) -> bool:
    """Whether a folder is an index of any version, be it damaged: what may be replaced by a new one."""
    try:
        return FORMAT in (folder / MANIFEST).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest last: a folder without one is not an index."""
    with open(folder / MANIFEST, "w", encoding="utf-8") as file:
        json.dump(manifest, file, indent=1, ensure_ascii=False)
        file.write("\n")


def manifest_mark(folder: Path) -> tuple[int, int, int] | None:
    """What tells the manifest that stands there from one that takes its place; None for none."""
    try:
        found = (folder / MANIFEST).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest, its form checked. Errors: ``FileNotFoundError``, :class:`DamagedIndexError`, :class:`BmpError`."""
    path = folder / MANIFEST
    if not folder.exists():
        raise FileNotFoundError(f"{folder}: there is no such index")
    if not path.is_file():
        raise BmpError(f"{folder}: is not a block-max index (it has no {MANIFEST}); build one with `bmp-plugin index`")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedIndexError(f"{path}: is not valid JSON ({error}); build the index again") from error
    if isinstance(manifest, dict) and str(manifest.get("format")).startswith(f"{FORMAT}, "):
        raise BmpError(f"{folder}: is a {manifest['format'].removeprefix(f'{FORMAT}, ')} index; search it with "
                       "bmp_plugin.ShardedSearcher, or one of its shards")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BmpError(f"{path}: does not describe a block-max index; build one with `bmp-plugin index`")
    if manifest.get("version") != VERSION:
        raise BmpError(f"{path}: has version {manifest.get('version')!r} of the layout and this bmp-plugin reads "
                       f"version {VERSION}; build the index again")
    _check_form(path, manifest)
    return manifest


def _check_form(path: Path, manifest: dict[str, Any]) -> None:
    def damaged(what: str) -> DamagedIndexError:
        return DamagedIndexError(f"{path}: {what}; build the index again")

    def is_count(value: object) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62

    counts = manifest.get("counts")
    if not isinstance(counts, dict) or not all(is_count(counts.get(name)) for name in _free_counts()):
        raise damaged("lacks a count")
    if manifest.get("block_size") not in BLOCK_SIZES or isinstance(manifest["block_size"], bool):
        raise damaged(f"has the block size {manifest.get('block_size')!r}")
    if counts["num_docs"] >= 2**31 or counts["num_terms"] >= 2**31:
        raise damaged("counts more documents or terms than 31 bits hold")
    if any(manifest.get(name) != counts[name] for name in ("num_docs", "num_terms")) \
            or not is_count(manifest.get("num_postings")):
        raise damaged("contradicts its own counts")
    arrays = manifest.get("arrays")
    if not isinstance(arrays, dict) or set(arrays) != set(ARRAYS):
        raise damaged("does not list the arrays of this layout")
    source = manifest.get("source")
    if not isinstance(source, dict) or not all(isinstance(source.get(x), str) for x in ("kind", "path", "fingerprint")) \
            or not is_count(source.get("num_docs")) or not isinstance(source.get("ties_by_docid"), bool) \
            or not isinstance(source.get("details"), dict):
        raise damaged("does not say what the index was built from")


def _free_counts() -> set[str]:
    return {name for spec in ARRAYS.values() for name in spec.shape} - (set(Geometry(1, 8).counts()) - {"num_docs"})


def open_arrays(folder: Path, manifest: dict[str, Any]) -> Arrays:
    """Memory-map every array, read-only, after comparing each file's size with the manifest's counts."""
    counts = dict(manifest["counts"])
    counts |= Geometry(counts["num_docs"], manifest["block_size"]).counts()
    return {name: open_array(folder, name, tuple(counts[x] for x in spec.shape)) for name, spec in ARRAYS.items()}


def open_array(folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Memory-map one array, read-only. Errors: :class:`DamagedIndexError` for a file of another size, or none."""
    path = folder / f"{name}.bin"
    size = dtype(name).itemsize
    for extent in shape:
        size *= extent
    try:
        actual = path.stat().st_size
    except FileNotFoundError:
        raise DamagedIndexError(f"{path}: is missing; build the index again") from None
    if actual != size:
        raise DamagedIndexError(f"{path}: has {actual} bytes where the manifest says {size}; build the index again")
    # asarray: a plain ndarray over the map, which is cheaper to hand to a kernel than numpy's memmap class
    return np.asarray(np.memmap(path, dtype(name), "r", shape=shape)) if size else _empty(name, shape)


def _empty(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.empty(shape, dtype(name))
    array.flags.writeable = False            # kernels are compiled for read-only arrays
    return array


def verify_checksums(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise :class:`DamagedIndexError` for the first file whose content is not the one that was written."""
    for name in manifest["arrays"]:
        path = folder / f"{name}.bin"
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not isinstance(manifest["arrays"][name], dict) or found != manifest["arrays"][name].get("sha256"):
            raise DamagedIndexError(f"{path}: its content is not what was written (checksum); build the index again")
