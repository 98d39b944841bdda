"""Every query of an index directory, with its reply: an answer, or the message of an error."""
from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.export.block_max_source import BlockMaxSource
from bmp_plugin.cli import info_command as info
from bmp_plugin.cli import verify_command as verify
from bmp_plugin.errors import BmpError
from bmp_plugin.sharded.sharded_index import ShardedIndex, open_either
from bmp_plugin.sharded.sharded_searcher import ShardedSearcher

from .specimens import QUERIES

ANSWER, REFUSAL, FAILURE = "answer", "refusal", "failure"
KS = (1, 10, 2000)
Reply = tuple[str, str]
Replies = dict[str, Reply]


def ask_all(folder: Path) -> Replies:
    """Returns the directory's replies: (ANSWER, a digest), (REFUSAL, its message) or (FAILURE, a traceback)."""
    replies = {"info": _reply(lambda: _info(folder)), "verify": _reply(lambda: _command(verify.run, folder)[0])}
    opened: list[BmpIndex | ShardedIndex] = []
    replies["open"] = _reply(lambda: opened.append(open_either(folder)))
    if not opened:
        return replies
    index = opened[0]
    replies["terms"] = _reply(lambda: [(term, index.df(term)) for term in index.terms()])
    if isinstance(index, BmpIndex):
        replies["documents"] = _reply(lambda: _documents(index))
        replies["export"] = _reply(lambda: [(batch.terms, batch.docs.tobytes(), batch.impacts.tobytes())
                                            for batch in BlockMaxSource(index).batches()])
    searchers: list[Any] = []
    replies["searcher"] = _reply(
        lambda: searchers.append(BmpSearcher(index) if isinstance(index, BmpIndex) else ShardedSearcher(index)))
    for searcher in searchers:
        with searcher:
            replies |= _ask_searcher(searcher)
    return replies


def _ask_searcher(searcher: Any) -> Replies:
    replies = {}
    for number, query in enumerate(QUERIES):
        asked = partial(searcher.search, query)
        for k in KS:
            replies[f"search {number} {k}"] = _reply(partial(_hits_of, asked, k))
        replies[f"two steps {number}"] = _reply(partial(_hits_of, asked, 20, alpha=0.9, beta=0.4, budget=2))
        score = partial(searcher.score, query, ["d1", "d5", "ß0", "nobody"])
        replies[f"score {number}"] = _reply(partial(_made, score, "tobytes"))
        explain = partial(searcher.explain, query, "d7")
        replies[f"explain {number}"] = _reply(partial(_made, explain, "as_dict"))
    return replies


def _reply(question: Callable[[], object]) -> Reply:
    try:
        answer = question()
    except (BmpError, ValueError, FileNotFoundError) as error:
        return REFUSAL, str(error)
    except MemoryError:
        return FAILURE, "MemoryError"
    except Exception:                               # any other exception is a finding
        return FAILURE, traceback.format_exc()
    return ANSWER, hashlib.sha256(repr(answer).encode("utf-8", "backslashreplace")).hexdigest()


def _hits_of(search: Callable[..., list[Any]], *arguments: Any, **options: Any) -> list[tuple[str, float, int]]:
    return [(hit.docid, hit.score, hit.lucene_docid) for hit in search(*arguments, **options)]


def _made(question: Callable[[], Any], method: str) -> object:
    return getattr(question(), method)()


def _documents(index: BmpIndex) -> list[Any]:
    docids = index.docids(np.arange(index.num_docs, dtype=np.int32))
    return [docids, [index.lucene_docid_of(docid) for docid in docids[:5]], index.arrays["source_docid"].tolist()]


def _command(command: Callable[[argparse.Namespace], int], folder: Path, **arguments: bool) -> tuple[int, str]:
    """Returns the exit status and the output of a command; raises :class:`BmpError` with the message of its error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = command(argparse.Namespace(index=str(folder), **arguments))
    if status:
        raise BmpError(err.getvalue().strip())
    return status, out.getvalue()


def _info(folder: Path) -> dict[str, Any]:
    shown: dict[str, Any] = json.loads(_command(info.run, folder, json=True)[1])
    _command(info.run, folder)
    return {name: value for name, value in shown.items() if name not in ("path", "size_bytes")}
