"""Index directories: written atomically, opened as memory maps, verified by their checksums."""
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

from .._internal.atomic_write import atomic_folder
from ..errors import BmpError, BuildError, DamagedIndexError
from .layout import ARRAYS, FORMAT, Geometry, dtype, shapes
from .manifest import read_bytes

CHUNK_BYTES = 2**24
Arrays = dict[str, NDArray[Any]]


class ArrayWriter:
    """Appends to one array's file, and computes its checksum (SHA-256) meanwhile."""

    def __init__(self, folder: Path, name: str) -> None:
        self.name = name
        self.dtype = dtype(name)
        self.length = 0
        self._hash = hashlib.sha256()
        self._file = open(folder / f"{name}.bin", "wb")  # noqa: SIM115 (closed by close)

    def append(self, values: NDArray[Any]) -> None:
        """Append ``values``, converted to the array's type; the caller guarantees that they fit."""
        data = np.ascontiguousarray(values, self.dtype).reshape(-1).view(np.uint8).data
        self._file.write(data)
        self._hash.update(data)
        self.length += len(data) // self.dtype.itemsize

    def close(self) -> dict[str, Any]:
        """Close the file; return the array's entry of the manifest."""
        self._file.close()
        return {"dtype": ARRAYS[self.name].dtype, "length": self.length, "sha256": self._hash.hexdigest()}

    def abandon(self) -> None:
        with contextlib.suppress(OSError):      # a full disk may not take what is buffered
            self._file.close()


@contextlib.contextmanager
def staging(output: Path) -> Iterator[Path]:
    """Yield a temporary folder next to ``output`` that replaces it when the block ends, or is removed if the block raises.

    A block-max index at ``output`` remains in place until then. What a killed process left of the same output is removed.

    Raises
    ------
    BuildError
        If there is something else at ``output``, or it cannot be written.
    """
    if os.path.lexists(output) and not _is_index(output):
        raise BuildError(f"{output}: exists and is not a block-max index, so it is not replaced; choose another output")
    folder = output
    try:
        with atomic_folder(output) as folder:
            yield folder
    except BuildError as error:                 # from an index inside this one, such as a shard
        raise BuildError(str(error).replace(str(folder), str(output))) from error
    except OSError as error:
        if isinstance(error, (FileNotFoundError, PermissionError)) and error.filename != str(output):
            raise                               # from the source
        raise BuildError(f"{output}: cannot be written ({error.strerror or error}); choose another output") from error


def _is_index(folder: Path) -> bool:
    """Tell whether a folder is an index of any version, damaged or not, which a new one may replace."""
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

    Raises
    ------
    DamagedIndexError
        If the file is missing, of another size, or a pipe, a device or a folder.
    BmpError
        If it cannot be mapped.
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
        # asarray: a plain ndarray over the map is cheaper to pass to a kernel than numpy's memmap class
        return np.asarray(np.memmap(path, dtype(name), "r", shape=shape))
    except (OSError, ValueError, OverflowError) as error:          # no permission, or larger than the address space
        raise BmpError(f"{path}: cannot be mapped into memory ({getattr(error, 'strerror', None) or error})") from error


def _empty(name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.empty(shape, dtype(name))
    array.flags.writeable = False            # kernels are compiled for read-only arrays
    return array


def verify_checksums(folder: Path, manifest: dict[str, Any]) -> None:
    """Compare every file with its checksum, in a folder that is not mapped yet.

    The caller has checked that the manifest lists only arrays of the layout, because their names become paths.

    Raises
    ------
    DamagedIndexError
        Naming the first file whose content is not what was written.
    """
    for name in manifest["arrays"]:
        path = folder / f"{name}.bin"
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if not isinstance(manifest["arrays"][name], dict) or found != manifest["arrays"][name].get("sha256"):
            raise damaged_content(path)


def verify_arrays(folder: Path, manifest: dict[str, Any], arrays: Arrays) -> Iterator[int]:
    """Compare memory-mapped arrays with their checksums, and yield the number of bytes of every chunk that was read.

    Raises
    ------
    DamagedIndexError
        Naming the first file whose content is not what was written.
    """
    for name, array in arrays.items():
        digest, data = hashlib.sha256(), array.reshape(-1).view(np.uint8)
        for first in range(0, len(data), CHUNK_BYTES):
            part = data[first:first + CHUNK_BYTES]
            digest.update(part.data)
            yield len(part)
        if digest.hexdigest() != manifest["arrays"][name]["sha256"]:
            raise damaged_content(folder / f"{name}.bin")


def damaged_content(path: Path) -> DamagedIndexError:
    return DamagedIndexError(f"{path}: its content is not what was written (checksum); build the index again")
