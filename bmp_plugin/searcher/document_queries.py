"""Queries made from an index's own documents, where nobody gives real ones."""
from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..index.block_max_index import BmpIndex
from ..index.layout import KernelIndex
from ..index.strings import decode
from .explanation import impacts_of

SEED = 2024
QUERIES_A_DOCUMENT = 4
FEWEST_TOKENS, MOST_TOKENS = 8, 40       # SPLADE's queries of MS MARCO and BEIR are about as long
LARGEST_QUERY_WEIGHT = 255
SHARE_OF_POSTINGS = 0.99                 # whose terms are looked at; the rest are very many terms of a few documents each
TERMS_AT_ONCE = 4096


def document_queries(index: BmpIndex, kernel_index: KernelIndex, n: int) -> list[dict[str, int]]:
    """Makes at most n queries, the same ones every time.

    A query has some tokens of a document, chosen at random in proportion to their impacts, which are their weights. On SPLADE's
    vectors of Wikipedia, approximate search loses as much of the answers to these queries as to real ones.

    Returns
    -------
    list of dict of str to int
        None is empty; there are none if no document has postings.
    """
    rng = np.random.default_rng(SEED)
    num_docs = min(index.num_docs, -(-n // QUERIES_A_DOCUMENT))
    docs = np.sort(rng.choice(index.num_docs, num_docs, replace=False)).astype(np.int32)
    vectors: list[dict[int, int]] = [{} for _ in range(num_docs)]
    frequent = _frequent_terms(kernel_index, index.num_terms)
    for first in range(0, len(frequent), TERMS_AT_ONCE):
        terms = frequent[first:first + TERMS_AT_ONCE]
        impacts = impacts_of(kernel_index, terms, docs)
        for at, doc in zip(*np.nonzero(impacts), strict=True):
            vectors[doc][int(terms[at])] = int(impacts[at, doc])
    queries = [_choose(vector, rng) for vector in vectors if vector for _ in range(QUERIES_A_DOCUMENT)]
    chosen = np.array(sorted({term for query in queries for term in query}), np.int32)
    tokens = dict(zip(chosen.tolist(), decode(index.arrays["term_bytes"], index.arrays["term_end"], chosen), strict=True))
    return [{tokens[term]: weight for term, weight in query.items()} for query in queries[:n]]


def _frequent_terms(index: KernelIndex, num_terms: int) -> NDArray[np.int32]:
    """Returns the most frequent terms that have so many of the postings together."""
    counts = index.list_count[:num_terms]
    order = np.argsort(-counts, kind="stable")
    total = np.cumsum(counts[order])
    return order[:int(np.searchsorted(total, SHARE_OF_POSTINGS * total[-1])) + 1].astype(np.int32) if num_terms else \
        np.empty(0, np.int32)


def _choose(vector: dict[int, int], rng: np.random.Generator) -> dict[int, int]:
    terms, impacts = np.array(list(vector)), np.array(list(vector.values()), np.float64)
    number = min(len(terms), int(rng.integers(FEWEST_TOKENS, MOST_TOKENS, endpoint=True)))
    chosen = rng.choice(len(terms), number, replace=False, p=impacts / impacts.sum())
    return {int(terms[at]): int(min(impacts[at], LARGEST_QUERY_WEIGHT)) for at in chosen.tolist()}
