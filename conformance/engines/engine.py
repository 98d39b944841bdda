"""What every engine offers to the benchmark, whatever it is made of.

A :class:`Engine` knows how its index is called and built, and opens it; it is a name and some numbers, imports nothing until
it is used, and can be sent to another process. An :class:`OpenedEngine` is what it opens.
"""
from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bmp_plugin.conformance.collection import Collection
from bmp_plugin.errors import MissingDependencyError

Query = Mapping[str, int]
Settings = Mapping[str, float]
Answer = list[tuple[str, float]]          # (docid, score), best first
Search = Callable[[Any, int], Any]        # (prepared query, k) -> the engine's own result


class OpenedEngine:
    """An engine over one index, opened and ready."""

    def prepare(self, query: Query) -> Any:
        """The query as the engine's user holds it before the call that is timed; the same mapping unless overridden."""
        return query

    def searching(self, settings: Settings) -> Search:
        """The call that is timed: one query, by one Python call, with these settings.

        Errors: ``ValueError`` for settings that the engine does not have.
        """
        raise NotImplementedError

    def answer(self, result: Any) -> Answer:
        """A result of that call as (docid, score), best first."""
        return [(hit.docid, hit.score) for hit in result]

    def batch(self, queries: Sequence[Any], k: int, threads: int, settings: Settings) -> bool:
        """Search all prepared queries by one call; False if the engine has no such call."""
        return False


class Engine:
    """A kind of engine.

    Attributes
    ----------
    name : str
        As on the command line.
    kind : str
        What several engines have in common that differ in block size alone.
    needs : tuple of str
        Names of engines whose indexes are built before.
    has_kernel_timer : bool
        Whether :meth:`kernel_seconds` has something to say.
    differs : str
        Why its answers are not always the host's, as far as that is known.
    """

    name: str
    needs: tuple[str, ...] = ()
    has_kernel_timer: bool = False
    differs: str = ""
    default_settings: tuple[Settings, ...] = ({},)

    @property
    def kind(self) -> str:
        return self.name

    def require(self) -> None:
        """Errors: MissingDependencyError saying what to install."""

    def load(self) -> None:
        """Import what the engine is made of."""

    def index(self, work: Path) -> Path:
        """The file or folder of its index in a work folder."""
        raise NotImplementedError

    def size_bytes(self, work: Path) -> int:
        """Bytes of the index on disk."""
        path = self.index(work)
        files = path.rglob("*") if path.is_dir() else [path]
        return sum(file.stat().st_size for file in files if file.is_file())

    def build(self, collection: Collection) -> None:
        """Make the index in the collection's work folder, where it appears only when it is whole."""
        raise NotImplementedError

    def open(self, work: Path) -> OpenedEngine:
        """Open the index."""
        raise NotImplementedError

    def kernel_seconds(self, work: Path, queries: Sequence[Query], k: int, log: Path) -> float | None:
        """Mean seconds a query of the engine's innermost timer, in a process that has not opened its index.

        None if it said nothing. ``log`` is the file to which the process's standard error goes.
        """
        return None


def require_package(package: str, requirement: str) -> None:
    """Errors: MissingDependencyError naming the requirement if the package is not there."""
    if importlib.util.find_spec(package) is None:
        raise MissingDependencyError(f"{package} is not installed: pip install {requirement}")
