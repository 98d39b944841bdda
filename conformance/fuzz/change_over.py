"""Lets searches change over from exhaustive scoring to compiled code at a given query, as if it had just been compiled."""
from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from typing import Any
from unittest import mock

from bmp_plugin.searcher import document_ranker


@contextlib.contextmanager
def search_compiled_after(queries: int | None) -> Iterator[None]:
    """Scores that many queries of this process exhaustively, all of them if None, and searches by compiled code then."""
    asked = itertools.count()

    def is_compiled(*_: Any) -> bool:
        return queries is not None and next(asked) >= queries

    with mock.patch.object(document_ranker, "is_search_compiled", is_compiled):
        yield
