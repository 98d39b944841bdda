"""Exhaustive search, term by term in numpy: no pruning, none of our kernels, and the rules of the oracle."""
from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np

from ..collection import Collection
from ..oracle import adjust_ties
from .engine import Answer, Engine, OpenedEngine, Query, Search, Settings


class Exhaustive(Engine):
    """``exhaustive``: the answers of every safe engine."""

    name = "exhaustive"

    def index(self, work: Path) -> Path:
        return work / "exhaustive"

    def build(self, collection: Collection) -> None:
        ptr, terms, impacts, docids, vocabulary = collection.arrays
        path = self.index(collection.work)
        unfinished = path.with_name("exhaustive.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        order = np.argsort(terms, kind="stable")
        np.save(unfinished / "docs.npy", np.repeat(np.arange(len(docids), dtype=np.int32), np.diff(ptr))[order])
        np.save(unfinished / "impacts.npy", impacts[order])
        np.save(unfinished / "ends.npy", np.cumsum(np.bincount(terms, minlength=len(vocabulary))))
        (unfinished / "names.json").write_text(json.dumps([list(docids), vocabulary]))
        os.replace(unfinished, path)

    def open(self, work: Path) -> OpenedEngine:
        return _OpenedExhaustive(self.index(work))


class _OpenedExhaustive(OpenedEngine):
    def __init__(self, path: Path) -> None:
        self._docs, self._impacts, self._ends = (
            np.load(path / f"{name}.npy", mmap_mode="r") for name in ("docs", "impacts", "ends"))
        self._docids, vocabulary = json.loads((path / "names.json").read_text())
        self._term = {token: number for number, token in enumerate(vocabulary)}
        self._rank = np.empty(len(self._docids), np.int32)
        self._rank[sorted(range(len(self._docids)), key=lambda doc: self._docids[doc].encode())] = \
            np.arange(len(self._docids), dtype=np.int32)

    def searching(self, settings: Settings) -> Search:
        if settings:
            raise ValueError("exhaustive search has no settings")
        return self._search

    def _search(self, query: Query, k: int) -> Answer:
        sums, matched = np.zeros(len(self._docids)), np.zeros(len(self._docids), np.bool_)
        for token, weight in query.items():
            term = self._term.get(token)
            if term is None:
                continue
            lo, hi = int(self._ends[term - 1]) if term else 0, int(self._ends[term])
            if hi - lo == len(self._docids):                  # idf 0: Pyserini drops the token
                continue
            docs = self._docs[lo:hi]
            sums[docs] += self._impacts[lo:hi].astype(np.float32) * np.float32(weight)
            matched[docs] = True
        found = np.flatnonzero(matched)
        scores = sums[found].astype(np.float32)
        if len(found) > k:                                    # keeps all that tie with the k-th
            last = np.partition(scores, len(scores) - k)[len(scores) - k]
            found, scores = found[scores >= last], scores[scores >= last]
        best = np.lexsort((self._rank[found], -scores))[:k]
        ranked = [(self._docids[doc], score) for doc, score in zip(found[best].tolist(), scores[best], strict=True)]
        return [(docid, float(score)) for docid, score in adjust_ties(ranked)]

    def answer(self, result: Answer) -> Answer:
        return result
