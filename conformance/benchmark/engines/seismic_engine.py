"""Seismic (Bruch, Nardini, Rulli, Venturini, SIGIR 2024), PyPI's ``pyseismic-lsr``: always approximate."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ..collection import Collection
from .engine import Answer, Engine, OpenedEngine, Query, Search, Settings, require_package

DEFAULT_POSTINGS = 3500
POSTINGS = (DEFAULT_POSTINGS, 1000, 300, 100)
NEIGHBOURS = 10
BUILD = {"centroid_fraction": 0.1, "summary_energy": 0.4}
LARGEST_SMALL_VOCABULARY = 2**16
CURVE = ((3, 0.9), (4, 0.9), (5, 0.8), (6, 0.7), (8, 0.7), (10, 0.7), (12, 0.6), (16, 0.5))


class Seismic(Engine):
    """``seismic``, at several settings: query_cut (number of query tokens whose lists are searched) and heap_factor.

    Parameters
    ----------
    postings : int
        Postings that are kept per token, on average; ``seismic-300`` keeps 300, ``seismic`` the package's 3,500.
    neighbours : int
        Neighbours per document in its k-NN graph, all of which are scored for each document of the top k; with them, it is
        ``seismic-knn``, ``seismic-knn-300``.
    """

    distribution = "pyseismic-lsr"
    differs = "it is approximate: it looks at a part of the postings only, and orders ties its own way"
    default_settings = tuple({"query_cut": cut, "heap_factor": factor} for cut, factor in CURVE)

    def __init__(self, postings: int = DEFAULT_POSTINGS, neighbours: int = 0) -> None:
        self._postings, self._neighbours = postings, neighbours
        self.name = "seismic" + "-knn" * bool(neighbours) + f"-{postings}" * (postings != DEFAULT_POSTINGS)

    def require(self) -> None:
        require_package("seismic", "pyseismic-lsr==0.5.4")

    def load(self) -> None:
        import seismic  # noqa: F401

    def index(self, work: Path) -> Path:
        return work / f"{self.name}.index.seismic"

    def build(self, collection: Collection) -> None:
        import seismic

        large = len(collection.arrays.vocabulary) > LARGEST_SMALL_VOCABULARY
        dataset = seismic.SeismicDatasetLV() if large else seismic.SeismicDataset()
        for docid, vector in collection.documents():
            dataset.add_document(docid, np.array(list(vector), seismic.get_seismic_string()),
                                 np.array(list(vector.values()), np.float32))
        kind = seismic.SeismicIndexLV if large else seismic.SeismicIndex
        index = kind.build_from_dataset(dataset, n_postings=self._postings, nknn=self._neighbours, **BUILD)
        unfinished = collection.work / f"{self.name}-unfinished"
        index.save(str(unfinished))
        if large:
            (collection.work / "seismic.large").touch()
        os.replace(unfinished.with_name(f"{unfinished.name}.index.seismic"), self.index(collection.work))

    def open(self, work: Path) -> OpenedEngine:
        import seismic

        kind = seismic.SeismicIndexLV if (work / "seismic.large").exists() else seismic.SeismicIndex
        return _OpenedSeismic(kind.load(str(self.index(work))), seismic.get_seismic_string())


class _OpenedSeismic(OpenedEngine):
    """Queries are prepared as the arrays that its calls take, so that creating them is not timed."""

    def __init__(self, index: Any, string: Any) -> None:
        self._index = index
        self._string = string

    def prepare(self, query: Query) -> Any:
        return np.array(list(query), self._string), np.array(list(query.values()), np.float32)

    def searching(self, settings: Settings) -> Search:
        cut, factor = _settings(settings)
        call, neighbours = self._index.search, self._index.knn_len

        def search(query: Any, k: int) -> Any:
            return call("", query[0], query[1], k, cut, factor, neighbours)

        return search

    def answer(self, result: Any) -> Answer:
        return [(docid, score) for _, score, docid in result]


def _settings(settings: Settings) -> tuple[int, float]:
    try:
        query_cut, heap_factor = settings["query_cut"], settings["heap_factor"]
    except KeyError as missing:
        raise ValueError(f"Seismic needs the setting {missing}") from None
    return int(query_cut), float(heap_factor)
