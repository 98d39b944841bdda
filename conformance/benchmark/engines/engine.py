"""The interface of every engine in the benchmark.

An :class:`Engine` names, builds and opens its index; it is a name and some numbers, imports nothing until it is used, and
can be pickled. An :class:`OpenedEngine` is what it opens.
"""
from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bmp_plugin.errors import MissingDependencyError

from ..collection import Collection

Query = Mapping[str, int]
Settings = Mapping[str, float]
Answer = list[tuple[str, float]]          # (docid, score), best first
Search = Callable[[Any, int], Any]        # (prepared query, k) -> the engine's own result


class OpenedEngine:
    """An engine with its index open, ready to search."""

    def prepare(self, query: Query) -> Any:
        """Converts a query to the form that a user of the engine has before the timed call; by default, the query itself."""
        return query

    def searching(self, settings: Settings) -> Search:
        """Returns the function that is timed: it searches for one query, in one Python call, with these settings.

        Raises
        ------
        ValueError
            If the engine does not have a setting.
        """
        raise NotImplementedError

    def answer(self, result: Any) -> Answer:
        """Converts a result of that function to (docid, score), best first."""
        return [(hit.docid, hit.score) for hit in result]

    def batch(self, queries: Sequence[Any], k: int, threads: int, settings: Settings) -> bool:
        """Searches for all prepared queries in one call; returns False if the engine has no such call."""
        return False


class Engine:
    """A kind of engine.

    Attributes
    ----------
    name : str
        Its name on the command line.
    distribution : str
        The installed distribution whose code it runs, for its version and licence.
    kind : str
        The common name of engines that differ in block size only.
    needs : tuple of str
        Names of engines whose indexes are built first.
    has_kernel_timer : bool
        Whether :meth:`kernel_seconds` is implemented.
    differs : str
        Known reasons why its answers may differ from Pyserini's.
    """

    name: str
    distribution: str = "bmp-plugin"
    needs: tuple[str, ...] = ()
    has_kernel_timer: bool = False
    differs: str = ""
    default_settings: tuple[Settings, ...] = ({},)

    @property
    def kind(self) -> str:
        return self.name

    def require(self) -> None:
        """Raises MissingDependencyError, which tells what to install, unless the engine is installed."""

    def load(self) -> None:
        """Imports the engine."""

    def index(self, work: Path) -> Path:
        """Returns the path of its index in a work folder."""
        raise NotImplementedError

    def size_bytes(self, work: Path) -> int:
        """Returns the size of the index on disk in bytes."""
        path = self.index(work)
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def build(self, collection: Collection) -> None:
        """Builds the index in the collection's work folder, atomically."""
        raise NotImplementedError

    def open(self, work: Path) -> OpenedEngine:
        """Opens the index."""
        raise NotImplementedError

    def kernel_seconds(self, work: Path, queries: Sequence[Query], k: int, log: Path) -> float | None:
        """Returns the mean seconds per query of the engine's innermost timer, in a process that has not opened its index.

        Returns None if it reported nothing. ``log`` is the file that receives the process's standard error.
        """
        return None


def require_package(package: str, requirement: str) -> None:
    """Raises MissingDependencyError, which names the requirement, unless the package is installed."""
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError(f"{package} is not installed: pip install {requirement}")
