"""Which approximation reaches a target recall: measured on an index, since it depends on the documents and the queries.

Recall at k is the share of a query's safe k best documents that an approximate search finds. It is measured when it is first
needed, on queries made from the index's own documents, or by ``bmp-plugin tune``, which keeps its measurements in the index.
"""
from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._internal.atomic_write import atomic_file
from ..errors import DamagedIndexError
from .checked_arguments import Query

RECALL_FILE = "recall.json"
FORMAT = "bmp-plugin recall"
VERSION = 1
LARGEST = 2**20                          # bytes; what is written has 4,000
QUERIES = 200
DEPTHS = (10, 100, 1000)                 # where recall is measured; a k between two of them needs the recall of both


class Setting(NamedTuple):
    """Options of an approximate search; see :meth:`bmp_plugin.BmpSearcher.search`."""

    alpha: float
    beta: float


SAFE = Setting(1.0, 1.0)
SETTINGS = tuple(Setting(alpha, beta) for alpha, beta in (
    (0.85, 0.5), (0.85, 0.6), (0.85, 0.7), (0.9, 0.7), (0.9, 0.75), (0.9, 0.8), (0.9, 0.85), (0.95, 0.85), (0.95, 0.9),
    (1.0, 0.9), (1.0, 0.95)))
"""From the fastest to the one with the highest recall."""

ONE_STEP_SETTINGS = tuple(Setting(alpha, 1.0) for alpha in (0.8, 0.85, 0.88, 0.9, 0.92, 0.94, 0.96, 0.98))
"""The same for many hits, where a second step costs more than the first one saves: see MOST_HITS_IN_TWO_STEPS."""

MOST_HITS_IN_TWO_STEPS = 300             # at 100 hits two steps are faster at the same recall, at 1000 they are not


class Recall(NamedTuple):
    """The mean recall of some queries, and its standard error."""

    mean: float
    error: float

    def reaches(self, target: float) -> bool:
        """Tells whether other queries will most likely reach the target as well."""
        return self.mean - self.error >= target


Rank = Callable[[Sequence[Query], int, Setting], list[NDArray[np.int32]]]


class RecallCalibration:
    """The recall of approximate settings on one index, measured as far as it is asked for.

    Parameters
    ----------
    rank : function of queries, k and Setting
        Returns internal document ids, an array for each query.
    queries : sequence of mapping
        The queries to measure with, or a function that returns them.
    known : mapping of (int, Setting) to Recall, optional
        What has been measured, by depth and setting.
    """

    def __init__(self, rank: Rank, queries: Sequence[Query] | Callable[[], Sequence[Query]],
                 known: dict[tuple[int, Setting], Recall] | None = None) -> None:
        self._rank = rank
        self._queries = queries
        self._safe: dict[int, list[NDArray[np.int32]]] = {}
        self._lock = threading.Lock()
        self.known = known or {}

    def setting(self, k: int, target: float) -> Setting:
        """Returns the fastest setting that reaches the target at k, SAFE if none does."""
        if target == 1.0:
            return SAFE
        with self._lock:
            settings = settings_for(k)
            low, high = 0, len(settings)             # recall rises with the settings
            while low < high:
                middle = (low + high) // 2
                if all(self._recall(depth, settings[middle]).reaches(target) for depth in depths_of(k)):
                    high = middle
                else:
                    low = middle + 1
        return settings[low] if low < len(settings) else SAFE

    def measure(self, depth: int, setting: Setting) -> Recall:
        """Returns the recall of a setting at a depth."""
        with self._lock:
            return self._recall(depth, setting)

    def _recall(self, depth: int, setting: Setting) -> Recall:
        if (depth, setting) not in self.known:
            if callable(self._queries):
                self._queries = self._queries()
            if depth not in self._safe:
                self._safe[depth] = self._rank(self._queries, depth, SAFE)
            self.known[depth, setting] = mean_recall(self._safe[depth], self._rank(self._queries, depth, setting))
        return self.known[depth, setting]


def settings_for(k: int) -> tuple[Setting, ...]:
    """Returns the settings to choose from for k hits."""
    return SETTINGS if k <= MOST_HITS_IN_TWO_STEPS else ONE_STEP_SETTINGS


def depths_of(k: int) -> list[int]:
    """Returns the depths whose recall decides for k: itself, or those on both sides of it."""
    above = [depth for depth in DEPTHS if depth >= k][:1]
    below = [depth for depth in DEPTHS if depth <= k][-1:]
    return sorted({*above, *below})


def mean_recall(safe: Sequence[NDArray[np.int32]], found: Sequence[NDArray[np.int32]]) -> Recall:
    """Returns the mean share of the safe answers that were found, over the queries that have answers; 1 if none has."""
    shares = np.array([len(np.intersect1d(wanted, got)) / len(wanted) for wanted, got in zip(safe, found, strict=True)
                       if len(wanted)])
    if not len(shares):
        return Recall(1.0, 0.0)
    return Recall(float(shares.mean()), float(shares.std() / math.sqrt(len(shares))))


def save(folder: Path, known: dict[tuple[int, Setting], Recall], queries: str) -> None:
    """Writes measurements into an index's folder, atomically; ``queries`` says which queries they are of."""
    entries = [{"depth": depth, **setting._asdict(), **recall._asdict()} for (depth, setting), recall in sorted(known.items())]
    content = {"format": FORMAT, "version": VERSION, "queries": queries, "recall": entries}
    with atomic_file(folder / RECALL_FILE) as path:
        path.write_text(json.dumps(content, indent=1) + "\n")


def load(folder: Path) -> dict[tuple[int, Setting], Recall]:
    """Reads the measurements in an index's folder; returns none if there are none, or those of another version.

    Raises
    ------
    DamagedIndexError
        If the file is not what :func:`save` writes.
    """
    path = folder / RECALL_FILE
    try:
        with open(path, "rb") as file:
            content: Any = json.loads(file.read(LARGEST))          # cut off, what is larger is no JSON
        if content["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        if content["version"] != VERSION:
            return {}
        return {(int(entry["depth"]), Setting(float(entry["alpha"]), float(entry["beta"]))):
                Recall(float(entry["mean"]), float(entry["error"])) for entry in content["recall"]}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DamagedIndexError(f"{path}: cannot be read ({error.strerror}); remove it") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedIndexError(f"{path}: is not what `bmp-plugin tune` writes; run it again, or remove the file") from error
