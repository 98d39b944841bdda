"""The oracle in Lucene's place, where no JVM runs: on an emulated processor."""
from __future__ import annotations

from collections.abc import Mapping

from bmp_plugin.conformance.benchmark.oracle import rank
from bmp_plugin.searcher.hits import Hit

from .case import Case, Vector


def distinct_documents(case: Case) -> dict[str, Vector]:
    """Returns the vectors of a case's documents by docid, without deleted and empty ones; of equal docids, the first counts."""
    documents: dict[str, Vector] = {}
    deleted = set(case.deleted)
    for segment in case.segments:
        for docid, vector in segment:
            if vector and docid not in deleted:
                documents.setdefault(docid, vector)
    return documents


class OracleSearcher:
    """A searcher of some documents by :func:`..benchmark.oracle.rank`; a document's source document id is its place.

    Parameters
    ----------
    documents : mapping of str to dict
        Vectors by docid.
    """

    def __init__(self, documents: Mapping[str, Vector]) -> None:
        self.min_idf = 0.0
        self._docids, self._vectors = list(documents), list(documents.values())
        self._places = {docid: place for place, docid in enumerate(documents)}

    def search(self, query: Vector, k: int) -> list[Hit]:
        """Returns the k best documents, as Lucene would."""
        return [Hit(docid, self._places[docid], float(score))
                for docid, score in rank(self._docids, self._vectors, query, k, self.min_idf)]
