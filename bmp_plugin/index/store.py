"""An index directory: written beside its place and moved there whole, opened as memory maps, checked before use."""
from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..atomic_write import atomic_folder
from ..errors import BmpError, BuildError, DamagedIndexError
from .layout import ARRAYS, FORMAT, Geometry, dtype, shapes
from .manifest import read_bytes

BYTES_AT_ONCE = 2**24
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
        with atomic_folder(output) as folder:
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
        return FORMAT.encode() in read_bytes(folder)
    except (OSError, BmpError):
        return False


def open_arrays(folder: Path, manifest: dict[str, Any]) -> Arrays:
    """Memory-map every array, read-only, after comparing each file's size with the manifest's counts."""
    counts = manifest["counts"]
    geometry = Geometry(counts["num_docs"], manifest["block_size"])
    return {name: open_array(folder, name, shape) for name, shape in shapes(counts, geometry).items()}


def open_array(folder: Path, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Memory-map one array, read-only.

    Errors: :class:`DamagedIndexError` for a file of another size, or none; for a pipe, a device or a folder in its place.
    """
    path = folder / f"{name}.bin"
    size = dtype(name).itemsize
    for extent in shape:
        size *= extent
    try:
        status = path.stat()
    except FileNotFoundError:
        raise DamagedIndexError(f"{path}: is missing; build the index again") from None
    except OSError as error:
        raise DamagedIndexError(f"{path}: cannot be read ({error.strerror}); build the index again") from error
    if not stat.S_ISREG(status.st_mode):
        raise DamagedIndexError(f"{path}: is not a file; build the index again")
    if status.st_size != size:
        raise DamagedIndexError(f"{path}: has {status.st_size} bytes where the manifest says {size}; build the index again")
    if not size:
        return _empty(name, shape)
    try:
        # asarray: a plain ndarray over the map, which is cheaper to hand to a kernel than numpy's memmap class
        return np.asarray(np.memmap(path, dtype(name), "r", shape=shape))
    except (OSError, ValueError, OverflowError) as error:          # no permission, or more than there are addresses
        raise BmpError(f"{path}: cannot be mapped into memory ({getattr(error, 'strerror', None) or error})") from error


def _empty(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.empty(shape, dtype(name))
    array.flags.writeable = False            # kernels are compiled for read-only arrays
    return array


def verify_checksums(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise :class:`DamagedIndexError` for the first file whose content is not the one that was written.

    The caller has seen that the manifest lists arrays of the layout only: names become paths.
    """
    for name in manifest["arrays"]:
        path = folder / f"{name}.bin"
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not isinstance(manifest["arrays"][name], dict) or found != manifest["arrays"][name].get("sha256"):
            raise damaged_content(path)


def verify_arrays(folder: Path, manifest: dict[str, Any], arrays: Arrays) -> Iterator[int]:
    """The same of arrays that are mapped already; yields numbers of bytes as it gets on."""
    for name, array in arrays.items():
        digest, data = hashlib.sha256(), array.reshape(-1).view(np.uint8)
        for first in range(0, len(data), BYTES_AT_ONCE):
            part = data[first:first + BYTES_AT_ONCE]
            digest.update(part.data)
            yield len(part)
        if digest.hexdigest() != manifest["arrays"][name]["sha256"]:
            raise damaged_content(folder / f"{name}.bin")


def damaged_content(path: Path) -> DamagedIndexError:
    return DamagedIndexError(f"{path}: its content is not what was written (checksum); build the index again")
