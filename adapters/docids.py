"""Collection docids as a source meets them, in as little memory as they need."""
from __future__ import annotations

from array import array

import numpy as np
from numpy.typing import NDArray


class Docids:
    """Docids one after the other, as UTF-8: their bytes and 16 more each."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q")
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, docid: bytes) -> None:
        """Take the next one."""
        self._bytes += docid
        self._ends.append(len(self._bytes))
        self._hashes.append(hash(docid))

    def __getitem__(self, at: int) -> bytes:
        return bytes(self._bytes[self._ends[at - 1] if at else 0:self._ends[at]])

    def joined(self) -> tuple[bytes, NDArray[np.int64]]:
        """All of them, and where each ends: int64[len(self)]."""
        return bytes(self._bytes), np.array(self._ends, np.int64)

    def duplicate(self) -> tuple[int, int] | None:
        """The places of two equal ones, the first such pair by chance, or None if all differ."""
        hashes = np.array(self._hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        for at in np.flatnonzero(ordered[1:] == ordered[:-1]).tolist():
            first, second = int(order[at]), int(order[at + 1])
            if self[first] == self[second]:
                return first, second
        return None
