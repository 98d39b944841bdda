"""Arrays of an .npz file, memory-mapped if they are not compressed, so that a large collection takes no memory."""
from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.errors import SourceError

LOCAL_HEADER = 30           # bytes of a zip member's local header before its name and extra field


def mapped_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Returns all arrays of ``path`` by name, read-only; those of ``np.savez_compressed`` are read into memory.

    Raises
    ------
    SourceError
        If the file, which it names, is not an .npz file or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            return {member.filename.removesuffix(".npy"): _array(archive, member, path, file)
                    for member in archive.infolist()}
    except (zipfile.BadZipFile, EOFError, ValueError) as error:
        raise SourceError(f"{path}: is no .npz file, or damaged ({error}): make it again") from None


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, file: IO[bytes]) -> NDArray[Any]:
    if member.compress_type != zipfile.ZIP_STORED:
        with archive.open(member) as compressed:
            return np.lib.format.read_array(compressed)
    file.seek(member.header_offset)
    header = file.read(LOCAL_HEADER)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    file.seek(member.header_offset + LOCAL_HEADER + lengths)
    version = np.lib.format.read_magic(file)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran_order, dtype = read_header(file)
    if dtype.hasobject or fortran_order:
        raise ValueError(f"{member.filename} is not an array of plain numbers or texts")
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.asarray(np.memmap(path, dtype, "r", file.tell(), shape))
