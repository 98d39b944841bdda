"""Reading of input files that may be gzipped, with errors for damaged ones."""
from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, AnyStr, BinaryIO

from ..errors import SourceError

LONGEST_LINE = 1 << 28
"""Longest line in bytes or characters: a longer one belongs to none of the formats, and would fill the memory."""


def open_maybe_gzip(path: str | Path) -> BinaryIO:
    """Opens a file for reading bytes, and decompresses it if it begins with gzip's magic number.

    Raises
    ------
    FileNotFoundError
    SourceError
        If the path is a folder, or a file named ``.gz`` is not gzipped.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise SourceError(f"{path}: a folder where a file is expected")
    file = open(path, "rb")  # noqa: SIM115 (handed to the caller)
    magic = file.peek(2)[:2]
    if magic == b"\x1f\x8b":
        if path.is_file():
            file.close()
            return gzip.open(path)  # type: ignore[return-value]
        return gzip.GzipFile(fileobj=file)  # type: ignore[return-value]  # a pipe, which can be read only once
    if path.name.endswith(".gz") and magic:
        file.close()
        raise SourceError(f"{path}: named .gz but is not gzipped: rename it, or get it again")
    return file


def lines_of(path: str | Path, file: IO[AnyStr], longest: int = LONGEST_LINE, *,
             keeps_mark: bool = False) -> Iterator[tuple[int, AnyStr]]:
    """Yields (line number from 1, line with its end).

    A byte order mark, which editors write at the beginning, is not part of the first line, unless ``keeps_mark``.

    Raises
    ------
    SourceError
        If a line is longer than ``longest``.
    """
    for number, line in enumerate(iter(partial(file.readline, longest), file.read(0)), 1):
        if len(line) == longest and line[-1:] not in ("\n", b"\n"):
            raise SourceError(f"{path}, line {number}: longer than {longest >> 20} Mi: split it, or get the file again")
        if number == 1 and not keeps_mark:
            line = line.removeprefix("\ufeff") if isinstance(line, str) else line.removeprefix(codecs.BOM_UTF8)
        yield number, line


@contextmanager
def damage_named(path: str | Path) -> Iterator[None]:
    """Turns errors of gzip and of UTF-8 decoding within the block into a SourceError that names ``path``."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{path}: damaged gzip ({error}): get the file again") from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not UTF-8 ({error.reason}): convert the file") from None
