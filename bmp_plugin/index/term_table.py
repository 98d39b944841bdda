"""Looks up term ids: binary search in a memory-mapped, sorted table, with a cache."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from numpy.typing import NDArray


class TermTable:
    """Terms in ascending order of their UTF-8 bytes; a term's id is its index in that order.

    Parameters
    ----------
    term_bytes : uint8[...]
        All terms, concatenated.
    term_end : int64[num_terms]
        Where each term ends in ``term_bytes``.
    """

    def __init__(self, term_bytes: NDArray[Any], term_end: NDArray[Any]) -> None:
        self._bytes = term_bytes.data
        self._ends = term_end
        self._ids: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ends)

    def ids(self, tokens: Iterable[str]) -> list[int]:
        """Return the term ids of tokens, -1 for those that are no terms."""
        found = [*map(self._ids.get, tokens)]
        if None in found:
            found = [self.id(token) if known is None else known for token, known in zip(tokens, found, strict=True)]
        return found  # type: ignore[return-value]

    def id(self, token: str) -> int:
        """Return the term id of a token, or -1 if it is no term."""
        known = self._ids.get(token)
        if known is not None:
            return known
        if not isinstance(token, str):
            raise ValueError(f"query token {token!r} is not a string")
        try:
            wanted = token.encode("utf-8")
        except UnicodeEncodeError:              # lone surrogates are in no index
            return -1
        lo, hi = 0, len(self)
        while lo < hi:
            mid = (lo + hi) // 2
            if self.term(mid) < wanted:
                lo = mid + 1
            else:
                hi = mid
        if lo == len(self) or self.term(lo) != wanted:
            return -1
        self._ids[token] = lo                   # bounded by the vocabulary: unknown tokens are not cached
        return lo

    def term(self, term_id: int) -> bytes:
        """Return the term with an id, in UTF-8."""
        return bytes(self._bytes[int(self._ends[term_id - 1]) if term_id else 0:int(self._ends[term_id])])

    def __iter__(self) -> Iterator[bytes]:
        return map(self.term, range(len(self)))
