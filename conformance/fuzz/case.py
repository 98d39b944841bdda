"""The fuzzer's cases: a small collection in a Lucene index, settings of ours, and questions; random, but adversarial."""
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Vector = dict[str, int]
Document = tuple[str, Vector]
Random = np.random.Generator

BLOCK_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
STEMS = ("é", "z", "10", "9", "Ω", "a", "\uff5e", "\U0001f600", "ß", "-1", "Z", "日本", "a#1", "a#2", "ä", "0")
ODD_TOKENS = ("日本", "\U0001f600", 'a"b\\c', "'", "##s", "<b>", "\u00a0x")
NUM_DOCS = (1, 2, 3, 7, 40, 255, 256, 257, 700, 2500)
DOCS_SHARES = (0.08, 0.08, 0.1, 0.12, 0.16, 0.08, 0.08, 0.08, 0.14, 0.08)
LARGE_SHARE = 0.1                     # of cases with more than a window of documents, which takes some seconds
LARGE_DOCS = (66_000, 72_000)
POSTINGS = 60_000                     # bounds the time of a case
WRITTEN_OUT = 400_000                 # Anserini writes out every impact and every weight, token by token
LARGE = 2 * 2**24 // WRITTEN_OUT       # impacts from here on can reach 2^24 with weights that can be written out
LARGE_POSTINGS = 200_000              # besides those of the token that most documents have
QUESTIONS = 16
MOST_HITS = 3000                      # Python reads Lucene's one by one


@dataclass(frozen=True)
class Question:
    """A query, a number of hits, the searchers' ``min_idf``, and the threads that share our search."""

    query: Vector
    k: int
    min_idf: float = 0
    threads: int = 1


@dataclass(frozen=True)
class Case:
    """A collection by segments of the Lucene index, its deletions, the options of our index, and the questions."""

    segments: list[list[Document]]
    questions: list[Question]
    deleted: list[str] = field(default_factory=list)
    block_size: int = 4
    reorder: str = "none"

    def as_test(self, name: str, check: str = "check") -> str:
        """Returns the case as the source of a pytest test, which calls that function of :mod:`.check_case`."""
        documents = "".join(f"        [{', '.join(map(repr, segment))}],\n" for segment in self.segments)
        questions = "".join(f"        {question!r},\n" for question in self.questions)
        return (f"from bmp_plugin.conformance.fuzz.case import Case, Question\n"
                f"from bmp_plugin.conformance.fuzz.check_case import {check}\n\n\n"
                f"def test_{name}():\n"
                f"    {check}(Case(segments=[\n{documents}    ], questions=[\n{questions}    ],\n"
                f"        deleted={self.deleted!r}, block_size={self.block_size}, reorder={self.reorder!r}))\n")


def draw(rng: Random) -> Case:
    """Draws a case, determined by the generator's state."""
    is_large = rng.random() < LARGE_SHARE
    num_docs = int(rng.integers(*LARGE_DOCS)) if is_large else int(rng.choice(NUM_DOCS, p=DOCS_SHARES))
    tokens = _tokens(rng)
    documents = _large_documents(rng, num_docs, tokens) if is_large else \
        _documents(rng, num_docs, tokens, _impacts(rng, tokens, num_docs))
    segments = _segments(rng, documents)
    tops = {token: max((vector.get(token, 0) for _, vector in documents), default=0) for token in tokens}
    return Case(segments, [_question(rng, tokens, tops, num_docs) for _ in range(QUESTIONS)], _deleted(rng, documents),
                int(rng.choice(BLOCK_SIZES)), str(rng.choice(["none", "none", "bp"])))


def _tokens(rng: Random) -> list[str]:
    tokens = [f"t{i}" for i in range(int(rng.choice([1, 2, 5, 12, 40])))]
    if rng.random() < 0.4:
        tokens += rng.permutation(ODD_TOKENS)[:3].tolist()
    return tokens


def _impacts(rng: Random, tokens: list[str], num_docs: int) -> dict[str, int]:
    """Draws the largest impact of every token: all equal, small, a byte, just above a byte, and far above."""
    kinds = (1, 3, 255, 300, 9000)
    if rng.random() < 0.3:
        return dict.fromkeys(tokens, 1)
    found = {token: int(rng.choice(kinds, p=(0.3, 0.25, 0.2, 0.15, 0.1))) for token in tokens}
    return {token: min(top, max(3, WRITTEN_OUT // num_docs)) for token, top in found.items()}


def _documents(rng: Random, num_docs: int, tokens: list[str], largest: dict[str, int]) -> list[Document]:
    shares = rng.random(len(tokens)) ** 3
    if rng.random() < 0.3:
        shares[rng.integers(len(tokens))] = 1.0
    shares *= min(1.0, POSTINGS / (num_docs * max(shares.sum(), 1e-9)))
    has = rng.random((num_docs, len(tokens))) < shares
    constant = rng.random(len(tokens)) < 0.4                    # ties everywhere
    few_large = rng.random(len(tokens)) < 0.3
    documents: list[Document] = []
    for doc in range(num_docs):
        vector = {}
        for i in np.flatnonzero(has[doc]).tolist():
            top = largest[tokens[i]]
            if constant[i] or (few_large[i] and rng.random() < 0.9):
                vector[tokens[i]] = min(top, 7)
            else:
                vector[tokens[i]] = int(rng.integers(1, top, endpoint=True))
        documents.append((_docid(rng, doc), vector if rng.random() > 0.03 else {}))
    if not any(vector for _, vector in documents):
        documents[0] = (documents[0][0], {tokens[0]: 1})
    return documents


def _large_documents(rng: Random, num_docs: int, tokens: list[str]) -> list[Document]:
    """Draws documents over more than one window: lists of every density, also such that occur in a few places only."""
    shares = 10 ** rng.uniform(-4.5, -0.7, len(tokens))
    shares *= min(1.0, LARGE_POSTINGS / (num_docs * shares.sum()))
    shares[0] = float(rng.choice([1.0, 0.99]))                   # most documents have a token, else they are not indexed
    vectors: list[Vector] = [{} for _ in range(num_docs)]
    for token, share in zip(tokens, shares.tolist(), strict=True):
        within = np.ones(num_docs, np.bool_)
        if token != tokens[0] and rng.random() < 0.4:           # in some stretches of documents, and there more often
            within = np.repeat(rng.random(num_docs // 300 + 1) < 0.05, 300)[:num_docs]
            share = min(1.0, 20 * share)
        docs = np.flatnonzero(within & (rng.random(num_docs) < share))
        top = min(int(rng.choice((1, 3, 255, 300, 70_000))), max(3, 2 * WRITTEN_OUT // max(1, len(docs))))
        impacts = rng.integers(1, top, len(docs), endpoint=True)
        if rng.random() < 0.3:                                  # few are large
            impacts[rng.random(len(docs)) < 0.9] = min(top, 7)
        for doc, impact in zip(docs.tolist(), impacts.tolist(), strict=True):
            vectors[doc][token] = impact
    return [(_docid(rng, doc), vector) for doc, vector in enumerate(vectors)]


def _docid(rng: Random, doc: int) -> str:
    if rng.random() < 0.002:
        return "twice"
    return f"{STEMS[int(rng.integers(len(STEMS)))]}{rng.integers(1000)}_{doc}"


def _segments(rng: Random, documents: list[Document]) -> list[list[Document]]:
    count = int(rng.choice([1, 1, 1, 2, 3, 5]))
    cuts = sorted(rng.integers(0, len(documents) + 1, count - 1).tolist())
    parts = [documents[start:end] for start, end in zip([0, *cuts], [*cuts, len(documents)], strict=True)]
    return [part for part in parts if any(vector for _, vector in part)]      # Anserini skips empty documents


def _deleted(rng: Random, documents: list[Document]) -> list[str]:
    if rng.random() < 0.6:
        return []
    share = float(rng.choice([0.02, 0.3, 0.8]))
    gone = [docid for docid, _ in documents if rng.random() < share]
    indexed = [docid for docid, vector in documents if vector]
    if set(indexed) <= set(gone):                   # Pyserini cannot open an empty index
        gone.remove(indexed[0])
    return gone


def _question(rng: Random, tokens: list[str], tops: dict[str, int], num_docs: int) -> Question:
    """Draws a question of tokens whose largest impacts are ``tops``."""
    kind = str(rng.choice(["one", "small", "byte", "thousands", "2^24", "zeros"], p=[0.15, 0.2, 0.15, 0.15, 0.25, 0.1]))
    if kind == "2^24":                              # whose weights can be written out
        tokens = [token for token in tokens if tops[token] >= LARGE] or tokens
    count = int(rng.integers(0, min(len(tokens), 30), endpoint=True))
    chosen = rng.permutation(tokens)[:count].tolist()
    query = {token: _weight(rng, kind, max(1, tops[token]), max(1, count)) for token in chosen}
    if rng.random() < 0.2:
        query["nowhere"] = 3
    most = min(num_docs, MOST_HITS)
    k = int(rng.choice([1, 2, 3, 10, 100, 1000, max(1, most - 1), most, most + 5]))
    return Question(query, k, float(rng.choice([0, 0, 0, 0, 0.3, 1, 3, -1])), int(rng.integers(1, 4, endpoint=True)))


def _weight(rng: Random, kind: str, largest: int, count: int) -> int:
    most: Any = {"one": 1, "small": 3, "byte": 255, "thousands": 5000, "zeros": 1}.get(kind)
    if kind == "2^24":                                           # a sum of about that, and one unit about it
        return max(0, min(WRITTEN_OUT // count, 2**24 // (largest * count) + int(rng.integers(-2, 3))))
    return int(rng.integers(0 if kind == "zeros" else 1, most, endpoint=True))
