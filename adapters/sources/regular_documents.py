"""Conversion of JSON documents of the usual form, some ten times as fast as by way of Python objects.

A document is regular if it is alone in its line, its id is a string or a whole number, its vector is an object of distinct
tokens with whole weights of up to seven digits. Kernels convert such documents; every other one, and whatever has to be
refused, is left to :func:`.json_documents.parse`.
"""
from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from bmp_plugin._internal.kernels import has_code
from bmp_plugin.errors import SourceError

from .docid_table import BadDocidError, check_docids
from .document_kernels import SLOT_BITS, convert_documents
from .json_documents import DocumentBlock, parse
from .json_scanning import PADDING
from .json_stream import Block, Lines

MAX_TOKENS = 1 << (SLOT_BITS - 1)
"""Largest number of distinct tokens that are converted at once."""

_OTHER_LINES = 64
"""Number of lines that are parsed where one is not regular: often, there are more."""

_LEAST_POSTING = len('"":1,')
_LEAST_DOCUMENT = len('{"id":0,"vector":{}}\n')
_SEED = np.uint64(hash("tokens") & (2**64 - 1))     # another one in every process: nobody can choose tokens that collide


def is_compiled() -> bool:
    """Tells whether the kernels are compiled, in this process or in the cache."""
    return has_code(convert_documents, **_arguments(b"\n" * PADDING, 0, 1))


def parse_mostly_regular(block: Block) -> list[DocumentBlock]:
    """Does what :func:`.json_documents.parse` does, with the documents in as many parts as are necessary.

    Raises
    ------
    SourceError
        It names the file and the line.
    """
    if not isinstance(block, Lines):
        return [parse(block)]
    try:
        return list(_parts(block))
    except SourceError:
        parse(block)                                # names the mistake that it finds first in the whole block
        raise


def _parts(block: Lines) -> Iterator[DocumentBlock]:
    text = block.text + b"\n" * PADDING
    at, end, line = 0, 0, block.first
    while end < len(block.text):
        line += text.count(b"\n", at, end)
        at = end
        part, end = _regular_part(block.path, text, at, line)
        if part is None:
            end = end if end > at else _after_lines(text, at, _OTHER_LINES)
            part = parse(Lines(block.path, line, text[at:end - 1]))
        yield part


def _after_lines(text: bytes, at: int, lines: int) -> int:
    for _ in range(lines):
        at = text.find(b"\n", at) + 1
        if at == len(text):
            break
    return at


def _regular_part(path: Path, text: bytes, at: int, line: int) -> tuple[DocumentBlock | None, int]:
    """Converts documents from offset ``at`` until one is not regular.

    Returns
    -------
    part : DocumentBlock or None
        None if any of the documents has to be refused.
    end : int
        Offset after them.
    """
    arguments = _arguments(text, at, line)
    end, documents, postings, num_tokens, docid_bytes, num_others, other_bytes = convert_documents(**arguments)
    if end == at:
        return None, end
    try:
        tokens = _values(arguments["token_text"][:int(arguments["ends"][num_tokens])])
        docids, others = _values(arguments["docid_text"][:docid_bytes]), _values(arguments["other_text"][:other_bytes])
        check_docids(docids)
    except (orjson.JSONDecodeError, BadDocidError):
        return None, end
    if len(set(tokens)) < num_tokens or len(others) < num_others:        # a token in two spellings, by escapes; no value
        return None, end
    lines, counts = (arguments[name][:documents] for name in ("lines", "counts"))
    terms, weights = (arguments[name][:postings] for name in ("terms", "weights"))
    return DocumentBlock(path, docids, lines, counts, tokens, terms, weights), end


def _arguments(text: bytes, at: int, line: int) -> dict[str, Any]:
    """Returns the arguments of :func:`.document_kernels.convert_documents`, with arrays as large as they can become."""
    size = len(text) - at
    most_postings, most_documents = size // _LEAST_POSTING + 1, size // _LEAST_DOCUMENT + 1
    return {
        "text": np.frombuffer(text, np.uint8), "at": at, "line": line, "seed": _SEED,
        "slots": np.full(1 << SLOT_BITS, -1, np.int32),
        "hashes": np.empty(MAX_TOKENS, np.uint64), "ends": np.zeros(MAX_TOKENS + 1, np.int64),
        "seen": np.empty(MAX_TOKENS, np.int32),
        **{name: np.empty(size, np.uint8) for name in ("token_text", "docid_text", "other_text")},
        **{name: np.empty(most_documents, np.int64) for name in ("lines", "counts")},
        **{name: np.empty(most_postings, np.int32) for name in ("terms", "weights")},
    }


def _values(text: NDArray[np.uint8]) -> list[Any]:
    """Decodes JSON values, each with a comma behind; raises ``JSONDecodeError``, also for what is not Unicode text."""
    values: list[Any] = orjson.loads(b"[%b]" % text[:-1].tobytes())
    return values
