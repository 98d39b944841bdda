"""Compact storage of collection docids while a source is read."""
from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate, islice

import numpy as np
from numpy.typing import NDArray


def check_docids(docids: Sequence[str]) -> None:
    """Checks that every docid is one word, without zero bytes: otherwise a run, which has columns, could not be read back.

    Raises
    ------
    BadDocidError
        It has the index of the first that is not.
    """
    joined = " ".join(docids)                               # checks many at once, in a few nanoseconds each
    if joined.split() != list(docids) or "\0" in joined:
        raise BadDocidError(docids, next(at for at, docid in enumerate(docids) if docid.split() != [docid] or "\0" in docid))


class BadDocidError(ValueError):
    """A docid that is not one word."""

    def __init__(self, docids: Sequence[str], at: int) -> None:
        super().__init__(f"docid {docids[at]!a} is not one word, and runs separate their columns by white space: give one"
                         " without")
        self.at = at


class Docids:
    """A list of docids in UTF-8, which takes 16 bytes each beyond their text."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._ends = array("q")
        self._hashes = array("q")

    def __len__(self) -> int:
        return len(self._ends)

    def append(self, docid: bytes) -> None:
        """Appends a docid."""
        self._bytes += docid
        self._ends.append(len(self._bytes))
        self._hashes.append(hash(docid))

    def extend(self, docids: Sequence[bytes]) -> None:
        """Appends docids."""
        self._ends.extend(islice(accumulate(map(len, docids), initial=len(self._bytes)), 1, None))
        self._bytes += b"".join(docids)
        self._hashes.extend(map(hash, docids))

    def __getitem__(self, at: int) -> bytes:
        return bytes(self._bytes[self._ends[at - 1] if at else 0:self._ends[at]])

    def joined(self) -> tuple[bytes, NDArray[np.int64]]:
        """Returns all docids, concatenated, and where each ends: int64[len(self)]."""
        return bytes(self._bytes), np.array(self._ends, np.int64)

    def duplicate(self) -> tuple[int, int] | None:
        """Returns the indices of two equal docids, of any such pair, or None if all differ."""
        hashes = np.array(self._hashes, np.int64)
        order = np.argsort(hashes, kind="stable")
        ordered = hashes[order]
        for at in np.flatnonzero(ordered[1:] == ordered[:-1]).tolist():
            first, second = int(order[at]), int(order[at + 1])
            if self[first] == self[second]:
                return first, second
        return None
