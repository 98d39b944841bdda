"""Documents from Python code as a source: ``(docid, {token: weight})``, or PyTerrier's ``{"docno", "toks"}``."""
from __future__ import annotations

import hashlib
import numbers
from array import array
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.progress import tqdm
from bmp_plugin.errors import SourceError
from bmp_plugin.index.quantization import Quantization
from bmp_plugin.index.source import LARGEST_IMPACT, Documents, PostingBatch, SourceInfo
from bmp_plugin.index.strings import gather

from .docid_table import Docids, check_docids
from .inversion import DEFAULT_BUDGET, Inverter
from .json_stream import json_files, json_objects

_CHUNK = 1_000_000

Document = tuple[str, Mapping[str, Any]] | Mapping[str, Any]


class _Vocabulary(dict[str, int]):
    """Maps terms to consecutive ids, assigned at first lookup."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[bytes] = []

    def __missing__(self, term: str) -> int:
        if not isinstance(term, str):
            raise TypeError(f"token {term!r} is not a string")
        self.names.append(term.encode())
        self[term] = len(self)
        return self[term]


class VectorSource:
    """A :class:`~bmp_plugin.index.source.PostingSource` over an iterable of documents, which is read once, immediately.

    A document's source document id is its index in the iterable. Weights of 0 are omitted, and so are documents without any
    other weight.

    Parameters
    ----------
    documents : iterable
        Of ``(docid, {token: weight})``, or of mappings with ``docno`` (``id``) and ``toks`` (``vector``).
    quantize : int or Quantization, optional
        Number of bits of the impacts to which float weights are quantized; the largest weight of the collection becomes the
        largest impact. A :class:`~bmp_plugin.index.quantization.Quantization` may set the scale too. By default, only whole
        numbers are accepted. Weights are read as float32. Searchers of the index multiply query weights by the same scale.
    origin : str
        Description of the documents' origin, recorded in the manifest.
    budget : int
        Number of postings held in memory; further ones are spilled to a temporary file (8 bytes each) until ``close``.
    temp_dir : str or Path, optional
        Folder of that unnamed file; the system's by default.
    progress : bool
        Show a progress bar while documents are read.

    Raises
    ------
    SourceError
        If a docid occurs twice or a weight is invalid; it names the document.
    """

    def __init__(self, documents: Iterable[Document], *, quantize: int | Quantization | None = None,
                 origin: str = "<iterable>", budget: int = DEFAULT_BUDGET, temp_dir: str | Path | None = None,
                 progress: bool = False) -> None:
        self._origin = origin
        self._quantization = Quantization.of(quantize)
        self._inverter = Inverter(budget, temp_dir)
        self._terms = _Vocabulary()
        self._docids = Docids()
        self._digest = hashlib.sha256()
        try:
            places, heaviest = self._read(documents, min(_CHUNK, budget), progress)
            self._inverter.finish(len(self._terms))
        except BaseException:
            self._inverter.close()
            raise
        self._names = self._terms.names
        joined, ends = self._docids.joined()
        details: dict[str, Any] = {}
        if self._quantization is not None:
            self._quantization = self._quantization.fitted(float(heaviest.max()) if len(heaviest) else 0.0)
            keep = self._quantization.impacts(heaviest) > 0            # other documents have no postings left
            starts = np.concatenate([np.zeros(1, np.int64), ends])[:-1]
            joined = gather(np.frombuffer(joined, np.uint8), starts[keep], ends[keep]).tobytes()
            places, ends = places[keep], np.cumsum((ends - starts)[keep])
            self._digest.update(repr(self._quantization).encode())
            details["quantize"] = self._quantization.details(0, 0)
        self._documents = Documents(joined, ends, places)
        for name in self._names:
            self._digest.update(name + b"\0")
        self.info = SourceInfo("vectors", origin, "sha256:" + self._digest.hexdigest(), len(places), details=details)

    def _read(self, documents: Iterable[Document], chunk: int,
              progress: bool) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Reads all documents.

        Returns
        -------
        places : int32[n]
            Source document ids of the documents that have weights.
        heaviest : float32[n]
            The largest weight of each.
        """
        places = array("i")
        heaviest: list[NDArray[np.float32]] = []
        terms: list[int] = []
        weights: list[Any] = []
        counts: list[int] = []
        for number, document in enumerate(tqdm(documents, "reading vectors", unit=" documents", disable=not progress)):
            docid, vector = _docid_and_vector(self._origin, number, document)
            try:
                if not set(map(type, vector.values())) <= {int, float}:
                    _check_numbers(vector)
                kept = {token: weight for token, weight in vector.items() if weight}
                if not kept:
                    continue
                weights.extend(kept.values())
                terms.extend(map(self._terms.__getitem__, kept))
                self._docids.append(docid.encode())
            except (TypeError, ValueError, AttributeError) as error:
                raise SourceError(f"{self._origin}: document {docid!r} ({error}): give a mapping of token to number") from None
            places.append(number)
            counts.append(len(kept))
            if len(weights) >= chunk:
                heaviest.append(self._take(places, counts, terms, weights))
                terms, weights, counts = [], [], []
        if counts:
            heaviest.append(self._take(places, counts, terms, weights))
        twice = self._docids.duplicate()
        if twice is not None:
            docid = self._docids[twice[0]].decode()
            raise SourceError(f"{self._origin}: document id {docid!r} occurs twice: ids must be unique")
        return np.array(places, np.int32), np.concatenate([np.zeros(0, np.float32), *heaviest])

    def _take(self, places: array[int], counts: list[int], terms: list[int], weights: list[Any]) -> NDArray[np.float32]:
        """Adds the last documents, which have ``counts`` postings each; returns their largest weights float32[len(counts)]."""
        docs = np.repeat(np.array(places[-len(counts):], np.int32), counts)
        try:
            values = np.array(weights, np.float64)
        except OverflowError:
            raise SourceError(f"{self._origin}: a weight is too large for a float: give smaller ones") from None
        whole = self._quantization is None
        bad = ~(values > 0) | (values > LARGEST_IMPACT)
        if whole:
            bad |= values != np.floor(values)
        if bad.any():
            raise self._bad_weight(int(bad.argmax()), counts, weights)
        stored = values.astype(np.int32) if whole else values.astype(np.float32).view(np.int32)
        columns = np.array(terms, np.int32)
        for part in (docs, columns, stored):
            self._digest.update(part.data)
        first = len(self._docids) - len(counts)
        self._digest.update(b"\0".join(self._docids[at] for at in range(first, len(self._docids))))
        self._inverter.add(columns, docs, stored)
        starts = np.cumsum(counts) - counts
        return np.asarray(np.maximum.reduceat(values, starts), np.float32)     # type: ignore[arg-type]  # its stub lacks floats

    def _bad_weight(self, at: int, counts: list[int], weights: list[Any]) -> SourceError:
        place = int(np.searchsorted(np.cumsum(counts), at, "right"))
        docid = self._docids[len(self._docids) - len(counts) + place].decode()
        what, weight = "a number of at least 0", weights[at]
        if self._quantization is None and weight > 0:
            what = f"a whole number up to {LARGEST_IMPACT}: set the number of bits of the impacts (quantize=8)"
        return SourceError(f"{self._origin}: document {docid!r} has the weight {weight!r}, which is not {what}")

    def documents(self) -> Documents:
        """Returns the documents that have weights."""
        return self._documents

    def num_postings_hint(self) -> int | None:
        """Returns the number of postings before quantization drops any."""
        return self._inverter.num_postings

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term once, in order of first occurrence."""
        quantization = self._quantization
        clipped = dropped = 0
        for found, counts, docs, stored in self._inverter.batches():
            impacts = stored
            if quantization is not None:
                weights = np.ascontiguousarray(stored).view(np.float32)
                impacts = quantization.impacts(weights)
                assert quantization.scale is not None
                clipped += int(np.count_nonzero(np.rint(weights * quantization.scale) > quantization.largest))
                kept = impacts > 0
                dropped += int(kept.size - np.count_nonzero(kept))
                ends = np.cumsum(counts)
                counts = np.diff(np.concatenate([np.zeros(1, np.int64), np.cumsum(kept)[ends - 1]]))
                docs, impacts, found, counts = docs[kept], impacts[kept], found[counts > 0], counts[counts > 0]
            yield PostingBatch([self._names[number] for number in found.tolist()], counts.copy(), counts, docs, impacts)
        if quantization is not None:
            self.info.details["quantize"] |= quantization.details(clipped, dropped)

    def close(self) -> None:
        """Frees the postings and removes spilled segments; may be called twice."""
        self._inverter.close()


def _check_numbers(vector: Mapping[str, Any]) -> None:
    for token, weight in vector.items():
        if not isinstance(weight, numbers.Real) or isinstance(weight, bool):
            raise TypeError(f"weight {weight!r} of token {token!r} is not a number")


def _docid_and_vector(origin: str, number: int, document: Document) -> tuple[str, Mapping[str, Any]]:
    docid: Any
    vector: Any
    if isinstance(document, Mapping):
        docid = document.get("docno", document.get("id"))
        vector = document.get("toks", document.get("vector"))
    else:
        try:
            docid, vector = document
        except (TypeError, ValueError):
            raise SourceError(f"{origin}: document {number}: {type(document).__name__} is neither (docid, vector) nor a"
                              " mapping with docno and toks") from None
    if isinstance(docid, int) and not isinstance(docid, bool):
        docid = str(docid)
    if not isinstance(docid, str):
        raise SourceError(f"{origin}: document {number}: its id is {docid!r}: give a string")
    try:
        check_docids([docid])
    except ValueError as error:
        raise SourceError(f"{origin}: document {number}: {error}") from None
    if not isinstance(vector, Mapping):
        raise SourceError(f"{origin}: document {docid!r}: its vector is {type(vector).__name__}: give a mapping of token to"
                          " weight")
    return docid, vector


def json_documents(path: str | Path) -> Iterator[Mapping[str, Any]]:
    """Yields the objects of JSON vectors, a file or a folder, for a source that quantizes their weights."""
    for file in json_files(Path(path)):
        for _, document in json_objects(file):
            yield document
