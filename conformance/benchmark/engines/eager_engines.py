"""Engines that add up all postings of a query, without pruning, in a matrix of impacts with one row or column per term.

``bm25s`` (Lù, 2024) scores eagerly: it stores final scores and adds them up when it searches. ``splade-index`` is its fork
with weights in queries. ``scipy`` is what anyone writes in three lines.
"""
from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bmp_plugin._internal.atomic_write import atomic_folder

from ..collection import Collection
from .engine import Answer, Engine, OpenedEngine, Query, Search, Settings, require_package

NAMES = "names.json"        # docids and vocabulary


class _Eager(Engine):
    differs = "it breaks ties its own way, does not adjust their scores, and keeps tokens that occur in every document"

    def index(self, work: Path) -> Path:
        return work / self.name

    def build(self, collection: Collection) -> None:
        with atomic_folder(self.index(collection.work)) as folder:
            self._write(collection, folder)

    def _write(self, collection: Collection, folder: Path) -> None:
        """Writes the index to an empty folder."""
        raise NotImplementedError


class Scipy(_Eager):
    """``scipy``: a product of the query and a sparse matrix with a row per term, then ``argpartition``."""

    name = distribution = "scipy"

    def require(self) -> None:
        require_package("scipy", "scipy")

    def load(self) -> None:
        import scipy.sparse  # noqa: F401

    def _write(self, collection: Collection, folder: Path) -> None:
        from scipy.sparse import save_npz

        save_npz(folder / "impacts.npz", _columns(collection).T, compressed=False)
        _write_names(collection, folder)

    def open(self, work: Path) -> OpenedEngine:
        return _OpenedScipy(self.index(work))


class _OpenedScipy(OpenedEngine):
    """Queries are prepared as term numbers int64[n] and weights float32[n]."""

    def __init__(self, folder: Path) -> None:
        from scipy.sparse import load_npz

        self._impacts = load_npz(folder / "impacts.npz")            # float32[terms, documents]
        self._docids, vocabulary = _read_names(folder)
        self._term = {token: number for number, token in enumerate(vocabulary)}

    def prepare(self, query: Query) -> Any:
        known = {self._term[token]: weight for token, weight in query.items() if token in self._term}
        return np.array(list(known), np.int64), np.array(list(known.values()), np.float32)

    def searching(self, settings: Settings) -> Search:
        _refuse(settings, "SciPy")
        return self._search

    def _search(self, query: Any, k: int) -> Answer:
        terms, weights = query
        scores = weights @ self._impacts[terms]
        rest = max(0, len(scores) - k)
        best = np.argpartition(scores, rest)[rest:]
        best = best[np.argsort(-scores[best])]
        return _matches([self._docids[doc] for doc in best.tolist()], scores[best])

    def answer(self, result: Answer) -> Answer:
        return result


class Bm25s(_Eager):
    """``bm25s``, with impacts in the place of its scores, and its numba backend.

    Its queries have no weights: tokens are repeated, as in Pyserini's topics, and each repetition is scored.
    """

    name = distribution = "bm25s"

    def require(self) -> None:
        require_package("bm25s", "bm25s==0.3.16")
        require_package("scipy", "scipy")               # which makes columns of the collection's rows

    def load(self) -> None:
        import bm25s  # noqa: F401

    def _write(self, collection: Collection, folder: Path) -> None:
        import bm25s

        columns, retriever = _columns(collection), bm25s.BM25(backend="numba")
        retriever.scores = {"data": columns.data, "indices": columns.indices, "indptr": columns.indptr,
                            "num_docs": columns.shape[0]}
        retriever.vocab_dict = {token: number for number, token in enumerate(collection.arrays.vocabulary)}
        retriever.nonoccurrence_array = None
        retriever.save(str(folder), show_progress=False)
        _write_names(collection, folder)

    def open(self, work: Path) -> OpenedEngine:
        import bm25s

        docids = np.array(_read_names(self.index(work))[0], dtype=object)
        retriever = bm25s.BM25.load(str(self.index(work)), show_progress=False)
        return _OpenedRetriever(self.name, retriever, _repeated, corpus=docids)


def _repeated(query: Query) -> list[str]:
    return [token for token, weight in query.items() for _ in range(weight)] or [""]        # it refuses an empty list


class SpladeIndex(_Eager):
    """``splade-index`` with its numba backend, and an encoder that knows all vectors already."""

    name = distribution = "splade-index"

    def require(self) -> None:
        require_package("splade_index", "splade-index==0.2.0")

    def load(self) -> None:
        import splade_index  # noqa: F401
        import torch  # noqa: F401

    def _write(self, collection: Collection, folder: Path) -> None:
        from splade_index import SPLADE

        docids = list(collection.arrays.docids)
        index = SPLADE(backend="numba")
        index.index(_DocumentEncoder(collection), docids, docids, show_progress=False, compile_numba_code=False)
        index.save(str(folder))

    def open(self, work: Path) -> OpenedEngine:
        from splade_index import SPLADE

        index = SPLADE.load(str(self.index(work)), _QueryEncoder())
        return _OpenedRetriever(self.name, index, lambda query: _sparse_tensor(query, index.vocab_dict))


class _DocumentEncoder:
    """Gives ``SPLADE.index`` the collection's vectors, and is its model's tokenizer, too."""

    def __init__(self, collection: Collection) -> None:
        self._arrays = collection.arrays
        self.tokenizer = self

    def get_vocab(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self._arrays.vocabulary)}

    def encode_document(self, documents: Sequence[str], **_: Any) -> Any:
        import torch

        ptr, terms, impacts, docids, vocabulary = self._arrays
        return torch.sparse_csr_tensor(torch.from_numpy(ptr.copy()), torch.from_numpy(terms.astype(np.int64)),
                                       torch.from_numpy(impacts.astype(np.float32)), (len(docids), len(vocabulary)))


class _QueryEncoder:
    """Gives ``SPLADE.retrieve`` queries that are prepared as it wants its model to return them."""

    def encode_query(self, queries: Sequence[Any], **_: Any) -> Sequence[Any]:
        return queries


def _sparse_tensor(query: Query, numbers: dict[str, int]) -> Any:
    import torch

    known = {numbers[token]: weight for token, weight in query.items() if token in numbers}
    return torch.sparse_coo_tensor(torch.tensor([list(known)], dtype=torch.int64),
                                   torch.tensor(list(known.values()), dtype=torch.float32), (len(numbers),)).coalesce()


class _OpenedRetriever(OpenedEngine):
    """The retriever of ``bm25s`` or of ``splade-index``: their calls are alike."""

    def __init__(self, name: str, retriever: Any, prepare: Callable[[Query], Any], **options: Any) -> None:
        self._name, self._retriever, self._prepare, self._options = name, retriever, prepare, options

    def prepare(self, query: Query) -> Any:
        return self._prepare(query)

    def searching(self, settings: Settings) -> Search:
        _refuse(settings, self._name)
        return lambda query, k: self._retrieve([query], k, 1)

    def batch(self, queries: Sequence[Any], k: int, threads: int, settings: Settings) -> bool:
        import numba

        self._retrieve(list(queries), k, min(threads, numba.get_num_threads()))
        return True

    def _retrieve(self, queries: list[Any], k: int, threads: int) -> Any:
        return self._retriever.retrieve(queries, k=min(k, self._retriever.scores["num_docs"]), n_threads=threads,
                                        show_progress=False, **self._options)

    def answer(self, result: Any) -> Answer:
        docids, scores = result[0][0], result.scores[0]
        return _matches(docids.tolist(), scores)


def _columns(collection: Collection) -> Any:
    """Returns the impacts as a sparse array in CSC form, float32[documents, terms]."""
    from scipy.sparse import csr_array

    ptr, terms, impacts, docids, vocabulary = collection.arrays
    return csr_array((impacts.astype(np.float32), terms, ptr), (len(docids), len(vocabulary))).tocsc()


def _matches(docids: Sequence[str], scores: Any) -> Answer:
    """Returns docids with their scores, without the documents that match nothing, which fill up the top k of these engines."""
    return [(docid, score) for docid, score in zip(docids, scores.tolist(), strict=True) if score]


def _refuse(settings: Settings, engine: str) -> None:
    if settings:
        raise ValueError(f"{engine} has no settings")


def _write_names(collection: Collection, folder: Path) -> None:
    (folder / NAMES).write_text(json.dumps([list(collection.arrays.docids), collection.arrays.vocabulary]))


def _read_names(folder: Path) -> Any:
    return json.loads((folder / NAMES).read_text())
