"""``BmpImpactSearcher``: Pyserini's ``LuceneImpactSearcher`` on a block-max index.

Importing this module imports Pyserini, which takes seconds and starts a JVM.
"""
from __future__ import annotations

import contextlib
import functools
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin import BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin.index.quantization import scale_of
from bmp_plugin.index.remote_folder import is_url
from bmp_plugin.searcher.explanation import Explanation
from bmp_plugin.searcher.hits import Hit
from bmp_plugin.sharded.sharded_index import ShardedIndex, open_either
from bmp_plugin.trec.topics import count_tokens

from .host.pyserini_import import import_pyserini, jvm_is_here, require_jvm
from .host.sidecar_index import index_of, is_bmp_directory, lucene_directory_of
from .java.jdk import check_java_path

if TYPE_CHECKING:
    from pyserini.encode import QueryEncoder

import_pyserini()

import pyserini.search.lucene  # noqa: E402
from pyserini.analysis import JAnalyzerUtils  # noqa: E402
from pyserini.encode import TokFreqQueryEncoder  # noqa: E402
from pyserini.pyclass import autoclass  # noqa: E402
from pyserini.search.lucene._impact_searcher import LuceneImpactSearcher  # noqa: E402

__all__ = ["BmpImpactSearcher", "LuceneImpactSearcher", "replace_searcher"]

_JAVA_WHITESPACE_ANALYZER = "org.apache.lucene.analysis.core.WhitespaceAnalyzer"


class BmpImpactSearcher(LuceneImpactSearcher):  # type: ignore[misc] # Pyserini has no types
    """Drop-in for ``pyserini.search.lucene.LuceneImpactSearcher``: the same arguments, methods and answers, faster.

    Pyserini encodes the queries, and the block-max index ranks. Lucene is opened on demand: for stored documents, for ONNX
    encoders, and while RM3 or Rocchio is on, when Pyserini's own searcher answers. A pickled searcher is opened anew, at the
    same paths, with the encoder or its name. A forked process has no JVM: a searcher that has not opened Lucene before can
    search there, and all else raises BmpError.

    Parameters
    ----------
    index_dir : str
        A Lucene impact index, whose sidecar index (``<index_dir>.bmp``) is used, or else built once and kept; or a block-max
        index, sharded or not, or the URL of one.
    query_encoder : QueryEncoder, str or None
        Query encoder: an object, the name of a model or of a cached JSONL file, or None for pre-tokenized queries.
    min_idf : int, default 0
        Only query tokens with an inverse document frequency ``ln(N / df)`` above this count. May be assigned later.
    encoder_type : {"pytorch", "onnx"}
        With "onnx", Anserini encodes, and ``min_idf`` does not apply, as in Pyserini.
    prebuilt_index_name : str, optional
        Name of the prebuilt index at ``index_dir``.
    alpha, beta : float, default 1.0
        Approximation of all searches, see :meth:`bmp_plugin.BmpSearcher.search`; 1.0 is safe.
    budget : int, optional
        Largest number of superblocks scored per query, likewise; None is safe.
    target_recall : float, optional
        Approximation by one number instead of ``alpha``, ``beta`` and ``budget``, likewise; None is safe.
    bmp_dir : str, optional
        Path of the sidecar index, in place of the default.
    threads : int, default 1
        Number of threads that build it.
    progress : bool, default True
        Whether building it shows a progress bar.

    Attributes
    ----------
    object
        The wrapped Java ``SimpleImpactSearcher``, opened on first access.
    idf : dict of str to float64
        ``ln(N / df)`` of every token, computed on first access.
    num_docs : int
        Number of documents in the Lucene index, deleted ones included, as in Pyserini.

    Raises
    ------
    FileNotFoundError, bmp_plugin.BmpError, ValueError
        The message is one line that tells what is wrong with which argument or file.
    """

    def __init__(self, index_dir: str, query_encoder: QueryEncoder | str | None, min_idf: float = 0,
                 encoder_type: str = "pytorch", prebuilt_index_name: str | None = None, *, alpha: float = 1.0,
                 beta: float = 1.0, budget: int | None = None, target_recall: float | None = None,
                 bmp_dir: str | None = None, threads: int = 1, progress: bool = True) -> None:
        if encoder_type not in ("pytorch", "onnx"):
            raise ValueError(f"Invalid encoder type: {encoder_type}")
        if encoder_type == "onnx" and not isinstance(query_encoder, str):
            raise ValueError(f"Invalid query encoder type: {type(query_encoder)} for onnx encoder")
        self.index_dir = index_dir
        self._lucene: Any = None
        self.alpha, self.beta, self.budget, self.target_recall = alpha, beta, budget, target_recall
        self._lucene_dir = None if is_url(index_dir) or is_bmp_directory(index_dir) else Path(index_dir)
        self._searcher: BmpSearcher | ShardedSearcher
        if self._lucene_dir is None:
            index = open_either(index_dir)
            self._searcher = BmpSearcher(index) if isinstance(index, BmpIndex) else ShardedSearcher(index)
        else:
            self._searcher = BmpSearcher(index_of(index_dir, bmp_dir=bmp_dir, threads=threads, progress=progress))
        self.bmp_index: BmpIndex | ShardedIndex = self._searcher.index
        self.encoder_type = encoder_type
        self._searcher.hit_type = _hit_type(self)
        self.min_idf = min_idf
        source = self.bmp_index.manifest["source"]
        self._is_quantized = scale_of(source["details"]) is not None
        self.num_docs = source["details"].get("max_doc", source["num_docs"])
        self.prebuilt_index_name = prebuilt_index_name
        self.query_encoder = query_encoder
        if encoder_type == "onnx":
            self.object.set_onnx_query_encoder(query_encoder)
        elif isinstance(query_encoder, str) or query_encoder is None:
            self.query_encoder = self._init_query_encoder_from_str(query_encoder)
        self._encoder = query_encoder, self.query_encoder           # as given, and as used

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.index_dir)!r}: {self.bmp_index!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        if self._needs_lucene():
            raise TypeError("BmpImpactSearcher: cannot be pickled while RM3 or Rocchio is on: call unset_rm3() and"
                            " unset_rocchio() first, and set them in each process")
        given, used = self._encoder
        directory = None if self._lucene_dir is None else str(self.bmp_index.path.absolute())
        place = self.index_dir if is_url(self.index_dir) else os.path.abspath(self.index_dir)
        new = functools.partial(
            type(self), place, given if self.query_encoder is used else self.query_encoder,
            self.min_idf, self.encoder_type, self.prebuilt_index_name, alpha=self.alpha, beta=self.beta, budget=self.budget,
            target_recall=self.target_recall, bmp_dir=directory)
        return new, ()

    @property
    def min_idf(self) -> float:
        return self._min_idf

    @min_idf.setter
    def min_idf(self, value: float) -> None:
        self._min_idf = value
        self._searcher.min_idf = float("-inf") if self.encoder_type == "onnx" else value

    @property
    def object(self) -> Any:
        require_jvm()
        if self._lucene is None:
            directory = lucene_directory_of(self.bmp_index, self._lucene_dir)
            check_java_path(directory)
            self._lucene = autoclass("io.anserini.search.SimpleImpactSearcher")(str(directory))
        return self._lucene

    @cached_property
    def idf(self) -> dict[str, np.float64]:
        idfs = np.log(self.bmp_index.manifest["source"]["num_docs"] / self.bmp_index.arrays["term_df"])
        return dict(zip(self.bmp_index.terms(), idfs, strict=True))

    @classmethod
    def from_prebuilt_index(cls, prebuilt_index_name: str, query_encoder: QueryEncoder | str | None,
                            min_idf: float = 0, encoder_type: str = "pytorch") -> BmpImpactSearcher | None:
        """Opens a prebuilt index of Pyserini's, downloaded if necessary; returns None, with a message, for an unknown name."""
        found: BmpImpactSearcher | None = super().from_prebuilt_index(prebuilt_index_name, query_encoder, min_idf,
                                                                      encoder_type)
        return found

    def search(self, q: str, k: int = 10, fields: Mapping[str, float] = dict(), *,  # noqa: C408 - as in Pyserini
               alpha: float | None = None, beta: float | None = None, budget: int | None = None,
               threads: int = 1, target_recall: float | None = None) -> list[Any]:
        """Searches the collection.

        Parameters
        ----------
        q : str
            Query string.
        k : int
            Number of hits to return, at least 1.
        fields : dict
            Pyserini's impact searcher has this argument but cannot use it.
        alpha, beta, target_recall : float, optional
        budget : int, optional
            Override those of the searcher.
        threads : int
            Largest number of threads that share a safe search, see :meth:`bmp_plugin.BmpSearcher.search`.

        Returns
        -------
        list of hits
            With ``docid``, ``lucene_docid``, ``score`` (assignable) and ``lucene_document``.
        """
        self._refuse(fields)
        if self._needs_lucene():
            return list(super().search(q, k))
        return self._searcher.search(self._weights(q), k, threads=threads,
                                     **self._approximation(alpha, beta, budget, target_recall))

    def batch_search(self, queries: list[str], qids: list[str], k: int = 10, threads: int = 1,
                     fields: Mapping[str, float] = dict(), *,  # noqa: C408 - as in Pyserini
                     alpha: float | None = None, beta: float | None = None, budget: int | None = None,
                     target_recall: float | None = None) -> dict[str, list[Any]]:
        """Searches the collection for several queries at once.

        Parameters
        ----------
        queries : list of str
            Query strings.
        qids : list of str
            Query ids; if several queries have the same id, the last one counts.
        k : int
            Number of hits to return per query, at least 1.
        threads : int
            Number of threads to use.
        fields : dict
            Pyserini's impact searcher has this argument but cannot use it.
        alpha, beta, target_recall : float, optional
        budget : int, optional
            Override those of the searcher.

        Returns
        -------
        dict of str to list of hits
            In the order of ``qids``.
        """
        self._refuse(fields)
        if len(queries) != len(qids):
            raise ValueError(f"qids: there are {len(qids)} for {len(queries)} queries: give each query one")
        if self._needs_lucene():
            found = super().batch_search(queries, qids, k, threads)
            return {qid: list(found[qid]) for qid in qids}
        weights = [self._weights(query) for query in queries]
        return self._searcher.batch_search(weights, qids, k, threads,
                                           **self._approximation(alpha, beta, budget, target_recall))

    def encode(self, query: str) -> Any:
        """Returns the token weights of a query, computed by the query encoder, as in Pyserini."""
        encoder: Any = self.query_encoder
        if type(encoder) is TokFreqQueryEncoder and encoder.tokenizer is None and self.encoder_type == "pytorch":
            return count_tokens(query)               # the same in a tenth of the time, for thousands of tokens
        return super().encode(query)

    def score(self, q: str, docids: Sequence[str]) -> NDArray[np.float32]:
        """Returns the scores of given documents without searching, see :meth:`bmp_plugin.BmpSearcher.score`.

        Raises
        ------
        ValueError
            While RM3 or Rocchio is on: the block-max index does not hold the expanded query.
        """
        self._refuse_feedback("score")
        return self._searcher.score(self._weights(q), docids)

    def explain(self, q: str, docid: str) -> Explanation:
        """Explains a document's score, token by token, see :meth:`bmp_plugin.BmpSearcher.explain`.

        Raises
        ------
        ValueError
            For an unknown docid, and while RM3 or Rocchio is on, as in :meth:`score`.
        """
        self._refuse_feedback("explain")
        return self._searcher.explain(self._weights(q), docid)

    def is_using_rm3(self) -> bool:
        """Tells whether RM3 pseudo-relevance feedback is being performed."""
        return self._lucene_is_open() and super().is_using_rm3()

    def is_using_rocchio(self) -> bool:
        """Tells whether Rocchio pseudo-relevance feedback is being performed."""
        return self._lucene_is_open() and super().is_using_rocchio()

    def close(self) -> None:
        """Closes the searcher; may be called twice."""
        if self._lucene_is_open() and jvm_is_here():
            super().close()
        self._searcher.close()

    def _lucene_is_open(self) -> bool:
        return self._lucene is not None

    def _needs_lucene(self) -> bool:
        return self.is_using_rm3() or self.is_using_rocchio()

    def _refuse(self, fields: Mapping[str, float]) -> None:
        if fields:
            raise ValueError(f"fields={dict(fields)!r}: Pyserini's impact searcher searches the field 'contents' only")

    def _refuse_feedback(self, what: str) -> None:
        if self._needs_lucene():
            raise ValueError(f"{what}: not available while RM3 or Rocchio is on: call unset_rm3() and unset_rocchio() first")

    def _approximation(self, alpha: float | None, beta: float | None, budget: int | None,
                       target_recall: float | None) -> dict[str, Any]:
        """Returns the options of a search: those given, and the searcher's; one kind given replaces the other kind."""
        given = {"alpha": alpha, "beta": beta, "budget": budget}
        if any(value is not None for value in given.values()) or (target_recall is None and self.target_recall is None):
            own = {"alpha": self.alpha, "beta": self.beta, "budget": self.budget}
            return {name: own[name] if value is None else value for name, value in given.items()} | {
                "target_recall": target_recall}
        if target_recall is None:
            return {"alpha": self.alpha, "beta": self.beta, "budget": self.budget, "target_recall": self.target_recall}
        return {"target_recall": target_recall}

    def _weights(self, q: str) -> Mapping[str, Any]:
        """Returns the query as token weights for the block-max index."""
        encoded = self.encode(q)
        if self.encoder_type == "onnx":
            return self._as_anserini_analyzes(encoded)
        return encoded if self._is_quantized else _truncated(encoded)

    def _as_anserini_analyzes(self, encoded: Any) -> Mapping[str, int]:
        """Returns the token weights of an ONNX-encoded query, as Anserini analyzes its tokens, each repeated by its weight."""
        entries = [(entry.getKey(), entry.getValue()) for entry in encoded.entrySet().toArray()]
        weights = {token: weight for token, weight in entries if weight > 0}
        analyzer = self.object.get_analyzer()
        if analyzer.getClass().getName() == _JAVA_WHITESPACE_ANALYZER:
            tokens = list(weights)              # it splits at white space, so one copy of each token is enough
            if list(JAnalyzerUtils.analyze(analyzer, " ".join(tokens)).toArray()) == tokens:
                return weights
        return Counter(JAnalyzerUtils.analyze(analyzer, self.object.encode_with_onnx(encoded)).toArray())


def _truncated(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns a query with its fractional weights cut towards zero, as Pyserini cuts them when it passes them to Java."""
    if not any(isinstance(weight, float | np.floating) for weight in query.values()):
        return query
    return {token: math.trunc(float(weight)) if isinstance(weight, float | np.floating) and math.isfinite(weight) else weight
            for token, weight in query.items()}


def _hit_type(searcher: BmpImpactSearcher) -> type[Hit]:
    """Returns the class of the hits of ``searcher``, which fetch the stored document from Lucene on access."""

    class LuceneHit(Hit, eq=False, gc=False):
        """A hit with the attributes of Anserini's ``ScoredDoc``."""

        _fetched: Any = None

        @property
        def lucene_document(self) -> Any:
            if self._fetched is None:
                self._fetched = searcher.object.doc(self.lucene_docid)
            return self._fetched

        def __reduce__(self) -> tuple[type[Hit], tuple[str, int, float]]:
            return Hit, (self.docid, self.lucene_docid, self.score)         # the JVM's document stays in its process

        def __deepcopy__(self, _: Any) -> Hit:
            return copy(self)

    return LuceneHit


@contextlib.contextmanager
def replace_searcher(searcher: type[LuceneImpactSearcher]) -> Iterator[None]:
    """Makes Pyserini's commands use ``searcher`` as ``LuceneImpactSearcher`` within the block.

    ``SlimSearcher`` keeps the original, since it is already derived from it.
    """
    modules = [pyserini.search.lucene, pyserini.search.lucene._impact_searcher]
    for module in modules:
        module.LuceneImpactSearcher = searcher
    try:
        yield
    finally:
        for module in modules:
            module.LuceneImpactSearcher = LuceneImpactSearcher
