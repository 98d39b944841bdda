"""JSON objects from files, as Anserini's JsonCollection reads them: one per line, one per file, or an array; gzipped or not."""
from __future__ import annotations

import codecs
import gzip
import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from bmp_plugin._internal.compressed import lines_of, open_maybe_gzip
from bmp_plugin.errors import SourceError

from .lenient_json import UNDECODABLE, UnusableJsonError, checked_text, lenient_value, refuse_constant

SUFFIXES = (".json", ".jsonl", ".gz")
"""Suffixes of files that must be JSON; others in a folder are read if they begin like JSON, as Anserini reads any file."""

_BLANK = b" \t\r\n"
_CHUNK = 1 << 23
_VALUES = 1000
_LARGEST = 1 << 30
"""Largest size in bytes of a line, or of a value that spans lines: it is held in memory as a whole."""


def json_files(path: Path) -> list[Path]:
    """Returns the files of a collection in the order in which Anserini, with one thread, indexes them.

    That is the order of the directory entries on disk, with subfolders entered where they occur and symbolic links followed.

    Raises
    ------
    FileNotFoundError
        If ``path`` does not exist.
    SourceError
        If no file under it looks like JSON.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"{path}: no such file or folder")
    files = [file for file in _walk(path, set()) if file.name.lower().endswith(SUFFIXES) or begins_like_json(file)]
    if not files:
        raise SourceError(f"{path}: no JSON file in this folder: give files of JSON vectors (.json, .jsonl, .jsonl.gz)")
    return files


def _walk(folder: Path, above: set[tuple[int, int]]) -> Iterator[Path]:
    status = os.stat(folder)
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise SourceError(f"{folder}: a symbolic link leads back to a folder above it: remove the link")
    with os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir():
                yield from _walk(Path(entry.path), above | {here})
            elif entry.is_file() and not entry.name.startswith("._"):         # what macOS knows of another file
                yield Path(entry.path)


def begins_like_json(path: Path) -> bool:
    """Tells whether a file, decompressed if it is gzipped, begins with an object or an array."""
    try:
        with open_maybe_gzip(path) as file:
            return file.read(4096).lstrip(_BLANK)[:1] in (b"{", b"[")
    except (OSError, EOFError, zlib.error, SourceError):
        return False


@dataclass
class Lines:
    """Complete lines of a file, each with a value or an array of values; blank lines count."""

    path: Path
    first: int               # its first line's number, from 1
    text: bytes


@dataclass
class Values:
    """Some values of a file, with the numbers of the lines where they begin."""

    path: Path
    values: list[tuple[int, Any]]


Block = Lines | Values


def json_blocks(path: Path, took: Callable[[int], object] = lambda _: None) -> Iterator[Block]:
    """Yields a file's JSON values in blocks: of lines where each line is a value or an array, else of parsed values.

    Memory is bounded by the largest value or line.

    Parameters
    ----------
    path : Path
    took : callable
        Called with the number of bytes that were read since its last call.

    Raises
    ------
    SourceError
        It names the file and the line, for damaged gzip, and for broken JSON in a file that is not one value per line.
    """
    line, told = 1, 0
    try:
        with open_maybe_gzip(path) as file:
            raw: Any = file.fileobj if isinstance(file, gzip.GzipFile) else file
            for block in _blocks(path, file):
                line = block.first if isinstance(block, Lines) else block.values[-1][0]
                yield block
                took(raw.tell() - told)
                told = raw.tell()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{path}, after line {line}: damaged gzip ({error}): get the file again") from None


def values_of(block: Block) -> Iterator[tuple[int, Any]]:
    """Yields (line number, value) for each JSON value; an array's elements are separate values.

    Raises
    ------
    SourceError
        It names the file and the line, for broken JSON, and docids and tokens that are not Unicode text.
    """
    if isinstance(block, Values):
        yield from block.values
        return
    loads = orjson.loads
    for number, text in enumerate(block.text.split(b"\n"), block.first):
        try:
            value = loads(text)
        except orjson.JSONDecodeError as error:
            if not text.strip(_BLANK):
                continue
            try:
                value = lenient_value(text)
            except UnusableJsonError as bad:
                raise SourceError(f"{block.path}, line {number}: {bad}") from None
            except (ValueError, RecursionError):
                raise SourceError(f"{block.path}, line {number}: broken JSON ({error.msg}): fix or remove the line") from None
        if isinstance(value, list):
            for element in value:
                yield number, element
        else:
            yield number, value


def json_objects(path: Path) -> Iterator[tuple[int, Any]]:
    """Yields (line number, value) for each JSON value of a file, as :func:`values_of` does for a block."""
    for block in json_blocks(path):
        yield from values_of(block)


def _blocks(path: Path, file: BinaryIO) -> Iterator[Block]:
    head, line = b"", 1
    for number, head in lines_of(path, file, _LARGEST, keeps_mark=True):   # the first that is not blank tells the file's form
        line = number
        if head.strip(_BLANK):
            break
    try:
        orjson.loads(head)
    except orjson.JSONDecodeError:
        values = _by_value(path, head, file, line)
        while some := list(islice(values, _VALUES)):
            yield Values(path, some)
        return
    while head:
        text = head + file.read(_CHUNK)
        while (end := text.rfind(b"\n") + 1) == 0 and (more := file.read(len(text))):
            text += more
            if len(text) > _LARGEST and text.rfind(b"\n", 0, _LARGEST) < 0:
                raise _too_large(path, line)
        text, head = (text[:end], text[end:]) if end else (text, b"")
        yield Lines(path, line, text)
        line += text.count(b"\n")
        head = head or file.read(1)


def _too_large(path: Path, line: int) -> SourceError:
    return SourceError(f"{path}, after line {line}: a value of more than {_LARGEST >> 20} MiB: write one document a line")


def _by_value(path: Path, head: bytes, file: BinaryIO, line: int) -> Iterator[tuple[int, Any]]:
    """Yields values regardless of line ends, as pretty-printed files need it."""
    decoder = codecs.getincrementaldecoder("utf-8")(UNDECODABLE)
    parser = json.JSONDecoder(parse_constant=refuse_constant)
    text, at, ended, in_array, follows, wanted = "", 0, False, False, "", 0

    def more() -> None:
        nonlocal text, at, ended, head, line
        if len(text) - at > _LARGEST:
            raise _too_large(path, line)
        piece = head or file.read(max(_CHUNK, len(text) - at))
        head = b""
        line += text.count("\n", 0, at)
        text, at = text[at:] + decoder.decode(piece, final=not piece), 0
        ended = not piece

    while True:
        while at < len(text) and text[at] in " \t\r\n":
            at += 1
        if at == len(text):
            if ended:
                break
            more()
            continue
        if text[at] == "[" and not in_array and wanted == 0:
            in_array, follows, at = True, "[", at + 1
            continue
        if in_array and ((text[at] == "]" and follows != ",") or (text[at] == "," and follows == "}")):
            in_array, follows, at = text[at] == ",", ",", at + 1
            continue
        if in_array and follows == "}":
            where = line + text.count("\n", 0, at)
            raise SourceError(f"{path}, line {where}: broken JSON (no comma between elements of the array): fix the file")
        where = line + text.count("\n", 0, at)
        try:
            value, end = parser.raw_decode(text, at)
            checked_text(value)
        except UnusableJsonError as error:
            raise SourceError(f"{path}, line {where}: {error}") from None
        except RecursionError:
            raise SourceError(f"{path}, after line {line}: nested too deeply: give documents with vectors") from None
        except json.JSONDecodeError as error:
            if not ended:
                more()
                continue
            where = line + text.count("\n", 0, error.pos)
            raise SourceError(f"{path}, line {where}: broken JSON ({error.msg}): fix the file") from None
        except ValueError:                      # Python's limit on digits
            raise SourceError(f"{path}, after line {line}: a number of thousands of digits: fix the file") from None
        yield where, value
        at, follows, wanted = end, "}", wanted + 1
    if in_array:
        line += text.count("\n")
        raise SourceError(f"{path}, line {line}: broken JSON (the array does not end): fix the file")
