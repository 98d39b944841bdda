"""What must hold of the docids and the terms of an index: see :mod:`.check_arrays`."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import DamagedIndexError

AT_ONCE = 2**18              # elements of a table
Demand = Callable[[bool | np.bool_, str, str], None]


def demand_in(folder: Path) -> Demand:
    """A function that raises :class:`DamagedIndexError`, naming an array's file, unless something holds of it."""
    def demand(holds: bool | np.bool_, name: str, what: str) -> None:
        if not holds:
            raise DamagedIndexError(f"{folder / (name + '.bin')}: {what}; build the index again")

    return demand


def parts(length: int) -> Iterator[slice]:
    """A table of that length in parts of at most AT_ONCE elements."""
    return (slice(first, min(first + AT_ONCE, length)) for first in range(0, length, AT_ONCE))


def check_terms(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Check the table of terms, which a sharded index has, too. Raises :class:`DamagedIndexError`."""
    demand, dfs = demand_in(folder), arrays["term_df"]
    check_strings(demand, arrays["term_end"], len(arrays["term_bytes"]), "term_end")
    demand(all(np.all(dfs[part] >= 0) for part in parts(len(dfs))), "term_df", "has a negative document frequency")


def check_term_text(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Check the bytes of terms. Raises :class:`DamagedIndexError`."""
    check_text(demand_in(folder), arrays["term_bytes"], arrays["term_end"], "term")


def check_strings(demand: Demand, ends: NDArray[np.int64], length: int, name: str) -> None:
    """Demand that the ends of strings ascend from 0 to ``length``, where their bytes end."""
    what = "does not ascend to its end"
    demand(int(ends[-1]) == length if len(ends) else length == 0, name, what)
    for part in parts(len(ends)):
        demand(ends[part][0] >= 0 and np.all(np.diff(ends[max(part.start - 1, 0):part.stop]) >= 0), name, what)


def check_text(demand: Demand, raw: NDArray[np.uint8], ends: NDArray[np.int64], name: str) -> None:
    """Demand that every string, whose ends ascend, is UTF-8 by itself."""
    first = 0
    for part in parts(len(ends)):
        mine = ends[part]
        text = raw[first:int(mine[-1])]
        if text.size and text.max() > 127:
            starts = mine[:-1][mine[:-1] < mine[-1]] - first
            demand(not np.any((text[starts] & 0xC0) == 0x80), f"{name}_end", "cuts a character in two")
            try:
                bytes(text).decode("utf-8")
            except UnicodeDecodeError:
                demand(False, f"{name}_bytes", "is not UTF-8")
        first = int(mine[-1])
