"""A block-max index in PyTerrier: an artifact that indexes documents with ``toks`` and provides retrievers.

It works like PyTerrier's other sparse engines: ``BmpPluginIndex("passages.bmp").retriever()`` is a transformer from topics
to results, ``... % 10`` retrieves 10, and ``Artifact.load``, ``build_package``, ``to_hf`` and ``from_hf`` work as usual.
"""
from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.errors import BmpError, MissingDependencyError
from bmp_plugin.index.layout import DEFAULT_BLOCK_SIZE, FORMAT
from bmp_plugin.index.quantization import Quantization
from bmp_plugin.trec.topics import count_tokens

try:
    import pandas as pd
    import pyterrier as pt
except ImportError:
    raise MissingDependencyError('PyTerrier is not installed: pip install "bmp-plugin[pyterrier]"') from None


def artifact_metadata(path: str, listing: list[str]) -> dict[str, str] | None:
    """Returns the type and format of the artifact in a directory if it is a block-max index, else None; PyTerrier calls it."""
    if "manifest.json" not in listing or FORMAT not in (Path(path) / "manifest.json").read_text(encoding="utf-8"):
        return None
    return {"type": BmpPluginIndex.ARTIFACT_TYPE, "format": BmpPluginIndex.ARTIFACT_FORMAT}


class BmpPluginIndex(pt.Artifact, pt.Indexer):
    """A block-max index as an artifact; it transforms topics into results as its default retriever does.

    Parameters
    ----------
    path : path
        The index directory: one of ``bmp-plugin index``, or where :meth:`index` is to build one.
    """

    ARTIFACT_TYPE = "sparse_index"
    ARTIFACT_FORMAT = "bmp_plugin"
    ARTIFACT_PACKAGE_HINT = "bmp-plugin[pyterrier]"

    def __init__(self, path: str | Path) -> None:
        super().__init__(str(path))
        self._folder = Path(path)
        self._searcher: BmpSearcher | None = None

    def built(self) -> bool:
        """Tells whether the index exists."""
        return (self._folder / "manifest.json").is_file()

    def searcher(self) -> BmpSearcher:
        """Opens the index for searching; raises what :meth:`bmp_plugin.BmpIndex.open` raises."""
        if self._searcher is None:
            self._searcher = BmpSearcher(self._folder)
        return self._searcher

    def indexer(self, *, quantize: int | Quantization | None = None, reorder: str = "none",
                block_size: int = DEFAULT_BLOCK_SIZE, progress: bool = False) -> BmpPluginIndexer:
        """Returns an indexer for this index, see :class:`BmpPluginIndexer`."""
        return BmpPluginIndexer(self, quantize=quantize, reorder=reorder, block_size=block_size, progress=progress)

    def index(self, inp: Iterable[Mapping[str, Any]]) -> BmpPluginIndex:  # type: ignore[override] # PyTerrier names it iter
        """Builds the index from documents with ``docno`` and ``toks``, whose weights are whole numbers."""
        return self.indexer().index(inp)

    def retriever(self, *, num_results: int = 1000, alpha: float = 1.0, beta: float = 1.0, budget: int | None = None,
                  target_recall: float | None = None, threads: int = 1, encoder: Any = None) -> BmpPluginRetriever:
        """Returns a transformer from topics to results, see :class:`BmpPluginRetriever`."""
        return BmpPluginRetriever(self, num_results=num_results, alpha=alpha, beta=beta, budget=budget,
                                  target_recall=target_recall, threads=threads, encoder=encoder)

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Returns the results of topics, as the default :meth:`retriever` does."""
        return self.retriever()(inp)

    def __repr__(self) -> str:
        return f"BmpPluginIndex({str(self.path)!r})"


class BmpPluginIndexer(pt.Indexer):
    """Builds an index of documents with ``docno`` and ``toks``, as the transformers of learned sparse encoders yield them.

    Parameters
    ----------
    index : BmpPluginIndex
    quantize : int or Quantization, optional
        Number of bits of the impacts to which float weights are quantized, see :meth:`bmp_plugin.BmpIndex.build`; query
        weights are quantized likewise.
    reorder : {"none", "bp"}
    block_size : int
    progress : bool
        Show progress bars.
    """

    def __init__(self, index: BmpPluginIndex, *, quantize: int | Quantization | None = None, reorder: str = "none",
                 block_size: int = DEFAULT_BLOCK_SIZE, progress: bool = False) -> None:
        self._index = index
        self._options: dict[str, Any] = {"quantize": quantize, "reorder": reorder, "block_size": block_size,
                                         "progress": progress}

    def index(self, inp: Iterable[Mapping[str, Any]]) -> BmpPluginIndex:  # type: ignore[override] # PyTerrier names it iter
        """Builds the index.

        Raises
        ------
        bmp_plugin.BmpError
            If there is an index already, or a document is invalid.
        """
        if self._index.built():
            raise BmpError(f"{self._index.path}: there is an index already: remove it, or choose another path")
        BmpIndex.build(((document["docno"], document["toks"]) for document in inp), str(self._index.path), **self._options)
        return self._index


class BmpPluginRetriever(pt.Transformer):
    """A transformer from topics to results; it searches a frame of topics as one batch.

    Topics have ``query_toks`` (token to weight) or ``query``: text for the encoder or, without one, tokens separated by
    white space, whose counts are their weights.

    Parameters
    ----------
    index : BmpPluginIndex
    num_results : int
        Number of results per query.
    alpha, beta, budget, target_recall
        Approximation, see :meth:`bmp_plugin.BmpSearcher.search`; the defaults are safe.
    threads : int
        Number of queries searched at the same time.
    encoder : object with ``encode``, optional
        Computes token weights from the texts of ``query``.
    """

    def __init__(self, index: BmpPluginIndex, *, num_results: int = 1000, alpha: float = 1.0, beta: float = 1.0,
                 budget: int | None = None, target_recall: float | None = None, threads: int = 1,
                 encoder: Any = None) -> None:
        self._index = index
        self._encoder = encoder
        self._options: dict[str, Any] = {"num_results": num_results, "alpha": alpha, "beta": beta, "budget": budget,
                                         "target_recall": target_recall, "threads": threads}

    def transform(self, inp: pd.DataFrame) -> pd.DataFrame:
        """Returns results, ranked from 0: the topics' columns and ``docno``, ``score``, ``rank``.

        Raises
        ------
        ValueError
            If the topics have no column that holds a query; so does whatever the searcher raises.
        """
        pt.validate.columns(inp, includes=["qid"])
        queries = self._queries(inp)
        options = dict(self._options)
        places = [str(place) for place in range(len(queries))]           # qids may occur twice
        found = self._index.searcher().batch_search(queries, places, options.pop("num_results"), **options)
        hits = [found[place] for place in places]
        counts = [len(part) for part in hits]
        results = inp.iloc[np.repeat(np.arange(len(inp)), counts)].reset_index(drop=True)
        results = results.drop(columns=[name for name in ("docno", "score", "rank") if name in results.columns])
        return results.assign(
            docno=pd.Series([hit.docid for part in hits for hit in part], dtype=object),
            score=np.array([hit.score for part in hits for hit in part], np.float64),
            rank=np.array([rank for part in hits for rank in range(len(part))], np.int64))

    def _queries(self, inp: pd.DataFrame) -> list[Mapping[str, Any]]:
        if "query_toks" in inp.columns:
            vectors: list[Mapping[str, Any]] = inp["query_toks"].tolist()
            return vectors
        if "query" in inp.columns:
            return [*map(self._encoder.encode if self._encoder is not None else count_tokens, inp["query"])]
        raise ValueError(f"topics have the columns {list(inp.columns)}: give query_toks, or query")

    def fuse_rank_cutoff(self, k: int) -> BmpPluginRetriever:
        """Returns a retriever of at most k results, for ``retriever % k``."""
        if k >= self._options["num_results"]:
            return self
        return BmpPluginRetriever(self._index, **(self._options | {"num_results": k}), encoder=self._encoder)

    def __repr__(self) -> str:
        return f"{self._index!r}.retriever(num_results={self._options['num_results']})"
