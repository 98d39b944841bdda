"""Checks one case: builds both indexes, and compares both engines' answers to every question."""
from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from bmp_plugin.searcher import query_threads

from .case import Case, Question
from .change_over import search_compiled_after
from .oracle_searcher import OracleSearcher, distinct_documents

TOLERATED_SCORES = 40             # documents per question whose scores are checked one by one


def check(case: Case) -> None:
    """Raises ``AssertionError``, which tells the difference, if our answers are not Lucene's."""
    found = failure(case)
    assert found is None, found


def check_by_oracle(case: Case) -> None:
    """Raises ``AssertionError``, which tells the difference, if our answers are not the oracle's."""
    found = failure_by_oracle(case)
    assert found is None, found


def failure(case: Case) -> str | None:
    """Returns a description of the first difference between Lucene's answers and ours, or None."""
    return _failure(case, _searchers_of_lucene)


def failure_by_oracle(case: Case) -> str | None:
    """Returns a description of the first difference between the oracle's answers and ours, or None; needs no JVM.

    Segments and deletions are Lucene's, so the index is built from the documents that are left.
    """
    return _failure(case, _searchers_of_vectors)


def _failure(case: Case, searchers: Callable[[Case, Path], Any]) -> str | None:
    with (tempfile.TemporaryDirectory(prefix="bmp-plugin-fuzz-") as folder, searchers(case, Path(folder)) as (ours, theirs),
          mock.patch.object(query_threads, "LEAST_WORK", 1)):          # threads share even the smallest search
        for question in case.questions:
            found = _difference(question, ours, theirs)
            if found is not None:
                return found
        return _difference_of_batches(case, ours)


class _Encoded:
    def encode(self, query: Any) -> Any:
        return query


@contextlib.contextmanager
def _searchers_of_lucene(case: Case, folder: Path) -> Iterator[tuple[Any, Any]]:
    from bmp_plugin.adapters.host.pyserini_import import import_pyserini

    import_pyserini()
    from pyserini.search.lucene._impact_searcher import LuceneImpactSearcher

    from bmp_plugin import BmpIndex
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher
    from bmp_plugin.adapters.sources import lucene_source

    from .lucene_segments import ReaderHere, build

    index = build(case, folder)
    adapter: Any = lucene_source
    original = adapter.PostingReader
    adapter.PostingReader = ReaderHere
    try:
        with adapter.LuceneSource(index) as source:
            BmpIndex.build(source, folder / "ours.bmp", block_size=case.block_size, reorder=case.reorder, progress=False)
    finally:
        adapter.PostingReader = original
    theirs = LuceneImpactSearcher(str(index), _Encoded())
    ours = BmpImpactSearcher(str(folder / "ours.bmp"), _Encoded())
    try:
        yield ours, theirs
    finally:
        theirs.close()
        ours.close()


@contextlib.contextmanager
def _searchers_of_vectors(case: Case, folder: Path) -> Iterator[tuple[Any, Any]]:
    from bmp_plugin import BmpIndex, BmpSearcher
    from bmp_plugin.adapters.sources.document_source import VectorSource

    documents = distinct_documents(case)
    with contextlib.closing(VectorSource(documents.items())) as source:
        index = BmpIndex.build(source, folder / "ours.bmp", block_size=case.block_size, reorder=case.reorder, progress=False)
    with BmpSearcher(index) as ours:
        yield ours, OracleSearcher(documents)


Ranking = list[tuple[str, int, float]]


def _ranking(hits: Iterable[Any]) -> Ranking:
    return [(hit.docid, hit.lucene_docid, hit.score) for hit in hits]


def _difference(question: Question, ours: Any, theirs: Any) -> str | None:
    ours.min_idf = theirs.min_idf = question.min_idf
    expected = _ranking(theirs.search(question.query, question.k))
    found = _ranking(ours.search(question.query, question.k, threads=question.threads))
    if found != expected:
        return f"{question!r}: {_first(expected, found)}"
    with search_compiled_after(None):
        found = _ranking(ours.search(question.query, question.k))
    if found != expected:
        return f"{question!r}, before the search is compiled: {_first(expected, found)}"
    return _difference_of_scores(question, ours, expected)


def _first(expected: Ranking, found: Ranking) -> str:
    for rank, (theirs, ours) in enumerate(zip(expected, found, strict=False), 1):
        if theirs != ours:
            return f"rank {rank}: Lucene has {theirs!r}, we have {ours!r}"
    return f"Lucene has {len(expected)} hits, we have {len(found)}"


def _difference_of_scores(question: Question, ours: Any, expected: Ranking) -> str | None:
    """Compares ``score`` and ``explain`` of some documents with the search results, which are Lucene's."""
    docids = [docid for docid, _, _ in expected]
    some = [docid for docid in docids[:TOLERATED_SCORES // 2] + docids[-TOLERATED_SCORES // 2:] if docids.count(docid) == 1]
    if not some:
        return None
    scores = ours.score(question.query, some)
    for docid, score in list(zip(some, scores.tolist(), strict=True))[:: max(1, len(some) // 3)]:
        explained = ours.explain(question.query, docid)
        rank = docids.index(docid)
        wanted = rank + 1, expected[rank][2], score
        if (explained.rank, explained.adjusted, explained.score) != wanted and "twice" not in docids:
            return f"{question!r}: Lucene has {expected[rank]!r} at rank {rank + 1}, score() is {score}, explain() {explained}"
    return None


def _difference_of_batches(case: Case, ours: Any) -> str | None:
    ours.min_idf = 0
    queries = [question.query for question in case.questions]
    k = max((question.k for question in case.questions), default=1)
    with search_compiled_after(len(queries) // 2):
        batch = ours.batch_search(queries, [str(i) for i in range(len(queries))], k, 2)
    for i, query in enumerate(queries):
        if _ranking(batch[str(i)]) != _ranking(ours.search(query, k)):
            return f"{query!r}, k = {k}: a batch in two threads that changes over has other answers than a search"
    return None
