"""The formats of sources, which are found through entry points, so that any package can add one.

An entry point of the group ``bmp_plugin.sources`` names an object that implements :class:`SourceFormat`, or a class of such
objects that takes no arguments. Formats of other packages are asked first, in the order of their names, then those of this one.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol, cast

from ..errors import BmpError, BuildError, SourceError
from .quantization import Quantization
from .source import PostingSource

GROUP = "bmp_plugin.sources"


@dataclass(frozen=True)
class ReadingOptions:
    """How a source is read. A format ignores what does not concern it.

    Attributes
    ----------
    field : str
        Field of an index that has several.
    quantize : int or Quantization, optional
        Number of bits of the impacts to which float weights are quantized. Given only to formats that quantize.
    threads : int
        Number of threads or processes that read.
    temp_dir : str or Path, optional
        Folder of unnamed temporary files; the system's by default.
    progress : bool
        Show a progress bar where opening reads the whole source.
    """

    field: str = "contents"
    quantize: int | Quantization | None = None
    threads: int = 1
    temp_dir: str | Path | None = None
    progress: bool = False


class SourceFormat(Protocol):
    """A format of sources of postings.

    Attributes
    ----------
    description : str
        What users give as a path, for messages: "a CIFF file"; empty if it is no path.
    quantizes : bool
        Whether weights may be floats, which are then quantized if the options say so.
    """

    @property
    def description(self) -> str: ...

    @property
    def quantizes(self) -> bool: ...

    def recognizes(self, source: object) -> bool:
        """Tells whether ``source`` is of this format: a ``Path`` that exists, by a look at its content, or another object."""

    def open(self, source: Any, options: ReadingOptions) -> PostingSource:
        """Opens what it recognizes; raises :class:`bmp_plugin.errors.SourceError`, which names it, if it is damaged."""


class SourceFilter(Protocol):
    """A choice of postings, such as static pruning."""

    def applied_to(self, source: PostingSource, temp_dir: str | Path | None) -> PostingSource:
        """Returns the source of what is chosen; ``source`` is closed by the caller."""


def open_source(source: object, options: ReadingOptions | None = None) -> PostingSource:
    """Opens a source of postings by the format that recognizes it.

    Parameters
    ----------
    source : str, Path or anything that a format recognizes
        By default, a Lucene index directory; a CIFF file; a file or folder of JSON vectors; an iterable of documents.
    options : ReadingOptions, optional

    Raises
    ------
    FileNotFoundError
        If the path does not exist.
    SourceError
        If no format recognizes it, or the source is damaged, or cannot be quantized.
    MissingDependencyError
        If reading the format needs a package that is not installed.
    TypeError
        If it is no path, and no format recognizes it.
    """
    options = options or ReadingOptions()
    formats = [_loaded(point) for point in sorted(entry_points(group=GROUP), key=_precedence)]
    if not formats:
        raise BmpError(f"no format is registered (entry points {GROUP}): install bmp-plugin again, and"
                       " remove the folder bmp_plugin.egg-info of an old installation")
    expected = _listed([each.description for each in formats if each.description])
    if isinstance(source, str):
        source = Path(source)
    if isinstance(source, Path):
        if not source.exists():
            raise FileNotFoundError(f"{source}: no such file or folder: give {expected}")
        if (source / "manifest.json").is_file():
            raise SourceError(f"{source}: already a block-max index: search it, or give {expected}")
    found = next((each for each in formats if each.recognizes(source)), None)
    if found is None:
        if not isinstance(source, Path):
            raise TypeError(f"{type(source).__name__} is no source: give {expected}")
        empty = source.is_file() and not source.stat().st_size
        raise SourceError(f"{source}: {'an empty file' if empty else 'not recognized'}: give {expected}")
    if options.quantize is not None and not found.quantizes:
        raise SourceError(f"{source}: {found.description}, whose impacts are whole numbers already: omit quantize")
    return found.open(source, options)


@contextmanager
def given_source(source: object, output: Path, options: ReadingOptions,
                 prune: SourceFilter | None = None) -> Iterator[PostingSource]:
    """Opens what a build was given as a source of postings, and closes it afterwards unless the caller opened it.

    Parameters
    ----------
    source : PostingSource or anything that :func:`open_source` takes
    output : Path
        What is built.
    options : ReadingOptions
    prune : SourceFilter, optional

    Raises
    ------
    ValueError
        If ``quantize`` is given for an open source, whose impacts are integers already.
    BuildError
        If ``output`` lies in the folder that is read, of which the next build would read it as a part.
    """
    if isinstance(source, str | Path) and output.resolve().is_relative_to(Path(source).resolve()) and Path(source).is_dir():
        raise BuildError(f"{output}: lies in the folder that is read, {source}: choose another output")
    opened: PostingSource
    if hasattr(source, "batches"):
        if options.quantize is not None:
            raise ValueError("quantize: set it when you create the source, whose impacts are integers already")
        opened = cast(PostingSource, source)
    else:
        opened = open_source(source, options)
    try:
        yield prune.applied_to(opened, options.temp_dir) if prune else opened
    finally:
        if opened is not source:
            opened.close()


def _precedence(point: EntryPoint) -> tuple[bool, str]:
    return point.dist is not None and point.dist.name == "bmp-plugin", point.name


def _loaded(point: EntryPoint) -> SourceFormat:
    found = point.load()
    return cast(SourceFormat, found() if isinstance(found, type) else found)


def _listed(descriptions: list[str]) -> str:
    return ", ".join(descriptions[:-1]) + f" or {descriptions[-1]}" if len(descriptions) > 1 else descriptions[0]
