"""SciPy sparse matrices from .npz files with arbitrary content, compared with their dense form.

SciPy's own check of a loaded matrix is shallow, and its conversions trust what it did not check. A file here is not the
.npz itself, which has checksums, but its content: one byte each for the format, the type of the entries, and the numbers
of rows and of columns; the number of pointers, and the number of two-byte indices (little-endian, from -32,768 on); then
pointers, indices and entries.
"""
from __future__ import annotations

import struct
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from bmp_plugin.adapters.sources.matrix_source import MatrixSource
from bmp_plugin.errors import BmpError

from .harness import Harness, WrongError
from .json_vectors_harness import content_of

_FORMATS = (b"csr", b"csc", b"coo", b"bsr")
_TYPES = ("<i4", "<f4", "|i1", "<f8", "<u8", "<u2", "|b1", "<c8")
_HEAD = struct.Struct("<BBBBHH")


def written(layout: str, entries: Any, shape: tuple[int, int], pointers: Any, indices: Any) -> bytes:
    """Returns a file for this harness; pointers and indices of a coo matrix are its rows and columns."""
    entries = np.asarray(entries)
    kind = _TYPES.index(entries.dtype.newbyteorder("<").str if entries.dtype.itemsize > 1 else entries.dtype.str)
    return b"".join([_HEAD.pack(_FORMATS.index(layout.encode()), kind, *shape, len(pointers), len(indices)),
                     np.asarray(pointers, "<i2").tobytes(), np.asarray(indices, "<i2").tobytes(), entries.tobytes()])


def _as_npz(data: bytes, path: Path) -> None:
    layout, kind, rows, columns, num_pointers, num_indices = _HEAD.unpack_from(data.ljust(_HEAD.size, b"\0"))
    numbers = np.frombuffer(data[_HEAD.size:_HEAD.size + 2 * (num_pointers + num_indices)].ljust(
        2 * (num_pointers + num_indices), b"\0"), "<i2").astype(np.int32)
    dtype = np.dtype(_TYPES[kind % len(_TYPES)])
    rest = data[_HEAD.size + 2 * (num_pointers + num_indices):]
    entries = np.frombuffer(rest[:len(rest) // dtype.itemsize * dtype.itemsize], dtype)
    name = _FORMATS[layout % len(_FORMATS)]
    first, second = numbers[:num_pointers], numbers[num_pointers:]
    arrays: dict[str, Any] = {"format": name, "shape": np.array([rows, columns]), "data": entries}
    if name == b"coo":
        arrays |= {"row": first, "col": second}
    elif name == b"bsr":
        entries = entries[:entries.size // 4 * 4].reshape(-1, 2, 2)
        arrays |= {"indptr": first, "indices": second, "data": entries}
    else:
        arrays |= {"indptr": first, "indices": second}
    np.savez(path, **arrays)


def check(path: Path) -> Any:
    """See :class:`.harness.Harness`."""
    npz = path.with_suffix(".npz")
    _as_npz(path.read_bytes(), npz)
    try:
        matrix: Any = scipy.sparse.load_npz(npz)
    except Exception:                      # SciPy refuses it first
        return None
    rows, columns = matrix.shape
    docids, vocabulary = [f"d{row}" for row in range(rows)], [f"t{column}" for column in range(columns)]
    try:
        found = content_of(MatrixSource(matrix, docids, vocabulary))
    except (BmpError, ValueError) as error:
        if "matrix" not in str(error) or len(str(error).splitlines()) != 1:
            raise WrongError(f"a refusal that is no line about the matrix: {error!r}") from error
        found = None
    expected = _expected(npz, rows, columns)
    if found != expected:
        raise WrongError(f"read as {str(found)[:500]}, which is {str(expected)[:500]}")
    return found


def _expected(npz: Path, rows: int, columns: int) -> Any:
    with np.load(npz) as file:
        arrays = dict(file)
    entries, layout = arrays["data"], arrays["format"].item()
    if entries.dtype.kind not in "iuf" or (layout == b"bsr" and (rows % 2 or columns % 2)):
        return None
    placed: list[tuple[int, int, Any]] = []
    if layout == b"coo":
        placed = list(zip(arrays["row"].tolist(), arrays["col"].tolist(), entries.tolist(), strict=True))
    else:
        pointers, indices = arrays["indptr"].tolist(), arrays["indices"].tolist()
        if any(a > b for a, b in pairwise(pointers)):
            return None
        for line, (lo, hi) in enumerate(pairwise(pointers)):
            for at in range(lo, hi):
                if layout == b"bsr":
                    placed += [(2 * line + i, 2 * indices[at] + j, value) for i, two in enumerate(entries[at].tolist())
                               for j, value in enumerate(two)]
                else:
                    place = (line, indices[at]) if layout == b"csr" else (indices[at], line)
                    placed.append((*place, entries[at].item()))
    sums: dict[tuple[int, int], Any] = {}
    for row, column, value in placed:
        if not (0 <= row < rows and 0 <= column < columns):
            return None
        if abs(value) > 2**31 - 1 and len(placed) != len({place[:2] for place in placed}):
            return None
        sums[row, column] = sums.get((row, column), 0) + value
    if not all(0 <= value < 2**31 and value == int(value) for value in sums.values()):
        return None
    content: dict[str, dict[str, int]] = {}
    for (row, column), value in sorted(sums.items()):
        if value:
            content.setdefault(f"d{row}", {})[f"t{column}"] = int(value)
    return content


HARNESSES = {"matrix": Harness("matrix", check, "matrix.bin", gzips=False)}
