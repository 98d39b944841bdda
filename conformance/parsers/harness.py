"""The interface of a harness, and the duties of every parser: the right data, or one line that names the file."""
from __future__ import annotations

import gzip
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any, TypeVar

from bmp_plugin.errors import BmpError, InputWarning

Data = TypeVar("Data")

NAMES = {
    "ciff": "ciff", "json-vectors": "json_vectors", "topics": "topics", "runs": "runs", "qrels": "runs",
    "docid-lists": "lists", "quality-scores": "lists", "idf-json": "tables", "token-weights-txt": "tables",
    "safetensors": "tables", "cached-queries": "tables", "matrix": "matrix", "toks": "toks",
}
"""The module of every harness, without its ending ``_harness``."""


class WrongError(AssertionError):
    """Raised for a parser that accepts an invalid file, or refuses it without a helpful message."""


@dataclass(frozen=True)
class Harness:
    """How one kind of file is fuzzed.

    Attributes
    ----------
    name : str
    check : callable of path to anything
        Parses the file, compares with the independent parser, and returns the data, None if the file was refused. Raises
        :class:`WrongError`; any other exception is a crash of the parser.
    file_name : str
        Name of the file, which some parsers depend on.
    gzips : bool
        Whether the file may be gzipped too, with the same result.
    """

    name: str
    check: Callable[[Path], Any]
    file_name: str
    gzips: bool = True

    def examine(self, data: bytes, folder: Path) -> Any:
        """Tries ``data`` as a file in ``folder``, and gzipped as well; returns the parsed data, None if refused."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", InputWarning)
            return self._examine(data, folder)

    def _examine(self, data: bytes, folder: Path) -> Any:
        path = folder / self.file_name
        path.write_bytes(data)
        found = self.check(path)
        if self.gzips and data[:2] != b"\x1f\x8b":
            zipped = folder / (self.file_name + ".gz")
            zipped.write_bytes(gzip.compress(data, 1, mtime=0))
            if self.check(zipped) != found:
                raise WrongError(f"{self.name}: gzipped, it is read otherwise")
        return found


@cache
def harness(name: str) -> Harness:
    """Returns the harness of a name; raises ``ValueError`` for an unknown one."""
    if name not in NAMES:
        raise ValueError(f"no parser is called {name}: give one of {', '.join(NAMES)}")
    return import_module(f"{__package__}.{NAMES[name]}_harness").HARNESSES[name]  # type: ignore[no-any-return]


def seeds(name: str) -> dict[str, bytes]:
    """Returns the initial files by their names."""
    folder = resources.files(__package__) / "seeds" / name
    return {file.name: file.read_bytes() for file in sorted(folder.iterdir(), key=lambda file: file.name)}


def unless_refused(read: Callable[[], Data], names: str | Path) -> Data | None:
    """Returns the result of ``read``, or None for a proper refusal: the right exception, one line, with ``names`` in it."""
    try:
        return read()
    except (BmpError, ValueError, FileNotFoundError) as error:
        text = str(error)
        if str(names) not in text or len(text.splitlines()) != 1:
            raise WrongError(f"a refusal that is no line naming {names}: {type(error).__name__}: {text!r}") from error
        return None


def compare(found: Any, expected: Any, what: str) -> None:
    """Raises :class:`WrongError` unless two results are equal; None is a refusal."""
    if found != expected:
        raise WrongError(f"{what}: read as {str(found)[:500]}, which is {str(expected)[:500]}")
