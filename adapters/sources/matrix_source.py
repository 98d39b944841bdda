"""A SciPy sparse matrix as a source: one row per document, one column per term, as scikit-learn's vectorizers return it."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from bmp_plugin.errors import SourceError
from bmp_plugin.index.quantization import Quantization
from bmp_plugin.index.source import LARGEST_IMPACT, Documents

from .array_source import ArraySource
from .docid_table import check_docids

if TYPE_CHECKING:
    from numpy.typing import NDArray


class MatrixSource(ArraySource):
    """A source over a SciPy sparse matrix or array; a document's source document id is its row.

    Entries of 0 are omitted, duplicate entries are summed, and rows without a weight are not documents.

    Parameters
    ----------
    matrix : scipy.sparse matrix or array, or a dense array or tensor [num_docs, num_terms]
        Weights of at least 0; whole numbers unless ``quantize`` is given.
    docids : sequence of str
        One per row, all different.
    vocabulary : sequence of str or None, or mapping of str to int
        The term of every column, or the column of every term. A column without a weight may have None: models' output layers
        are often wider than their vocabularies.
    quantize : int or Quantization, optional
        Number of bits of the impacts, see :class:`bmp_plugin.adapters.sources.document_source.VectorSource`.

    Raises
    ------
    ValueError
        If the matrix is malformed, its shape does not fit the docids and the vocabulary, or a docid is not one word.
    SourceError
        If a weight cannot be an impact, or a column has weights but no term.
    TypeError
        If ``matrix`` is neither a sparse nor a dense matrix.
    """

    def __init__(self, matrix: Any, docids: Sequence[str], vocabulary: Sequence[str | None] | Mapping[str, int], *,
                 quantize: int | Quantization | None = None) -> None:
        matrix = _sparse(matrix)
        rows, columns = matrix.shape
        terms = _terms(vocabulary, columns)
        names = [str(docid) for docid in docids]
        if len(names) != rows:
            raise ValueError(f"docids: there are {len(names)} for {rows} rows: give each row one")
        if len(set(names)) != rows:
            raise ValueError("docids: one occurs twice: give each row its own")
        check_docids(names)
        csr = _csr(matrix)
        if not csr.has_canonical_format:
            csr.data = _widened(csr.data)
        csr.sum_duplicates()
        csr.eliminate_zeros()
        weights: NDArray[Any] = csr.data
        quantization = Quantization.of(quantize)
        limit = LARGEST_IMPACT if quantization is None else np.finfo(np.float32).max
        if weights.dtype.kind not in "iuf" or not np.all((weights > 0) & (weights <= limit)):
            raise SourceError(f"matrix: has weights that are not numbers from 0 to {limit:g}: drop them or scale them")
        details: dict[str, Any] = {}
        if quantization is None:
            if weights.dtype.kind == "f" and np.any(weights != np.floor(weights)):
                raise SourceError("matrix: has weights that are not whole numbers: set the number of bits of the impacts "
                                  "(quantize=8)")
        else:
            weights = weights.astype(np.float32)
            quantization = quantization.fitted(float(weights.max()) if len(weights) else 0.0)
            assert quantization.scale is not None
            clipped = int(np.count_nonzero(np.rint(weights * quantization.scale) > quantization.largest))
            csr.data = weights = quantization.impacts(weights)
            dropped = int(np.count_nonzero(weights == 0))
            csr.eliminate_zeros()
            details["quantize"] = quantization.details(clipped, dropped)
        csr = _with_terms(csr, terms)
        super().__init__(csr.indptr, csr.indices, csr.data, names, [term for term in terms if term is not None])
        self._present = np.flatnonzero(np.diff(csr.indptr)).astype(np.int32)
        self.info.kind = "matrix"
        self.info.num_docs = len(self._present)
        self.info.details |= details

    def documents(self) -> Documents:
        """Returns the rows that have weights."""
        docids = [str(self._docids[row]).encode() for row in self._present.tolist()]
        return Documents(b"".join(docids), np.cumsum([len(docid) for docid in docids], dtype=np.int64), self._present)


def _sparse(matrix: Any) -> Any:
    """Returns a sparse matrix as it is, and a dense one in CSR form."""
    if hasattr(matrix, "tocsr"):
        return matrix
    try:
        dense = np.asarray(matrix)
    except (TypeError, ValueError, RuntimeError):              # a sparse tensor, or one on another device
        dense = np.empty(0)
    if dense.ndim != 2 or dense.dtype.kind not in "biuf":
        raise TypeError(f"matrix: {type(matrix).__name__} is neither a SciPy sparse matrix nor a dense array of two dimensions")
    from scipy.sparse import csr_array

    return csr_array(dense)


def _with_terms(csr: Any, terms: Sequence[str | None]) -> Any:
    """Returns the matrix without the columns that have no term, which must be empty."""
    nameless = np.array([term is None for term in terms], np.bool_)
    if not nameless.any():
        return csr
    used = nameless[csr.indices]
    if used.any():
        raise SourceError(f"matrix: column {csr.indices[int(used.argmax())]} has weights, but its term is None: name it, or"
                          " drop the column")
    return csr[:, np.flatnonzero(~nameless)]


def _csr(matrix: Any) -> Any:
    """Returns a copy in CSR form.

    SciPy's conversions trust pointers and indices, which come from a file and may be anything: they are checked first.
    """
    try:
        if matrix.format in ("csr", "csc", "bsr"):
            if np.any(np.diff(matrix.indptr) < 0):             # SciPy checks only if the last one is not 0
                raise ValueError("its pointers descend")
            if matrix.format == "bsr" and any(not size or extent % size
                                              for extent, size in zip(matrix.shape, matrix.blocksize, strict=True)):
                raise ValueError("its shape is not a multiple of its blocks")
            matrix.check_format(full_check=True)
        elif matrix.format == "coo":
            matrix = type(matrix)((_widened(matrix.data), (matrix.row, matrix.col)), matrix.shape)     # tocsr sums duplicates
        return matrix.tocsr(copy=True)
    except (ValueError, IndexError) as error:
        raise ValueError(f"matrix: is not a valid sparse matrix ({error}): get it again") from None


def _widened(entries: NDArray[Any]) -> NDArray[Any]:
    """Converts entries to a type in which sums are exact: 8-bit integers overflow, and float32 rounds 2 + 1e-8 to 2."""
    if entries.dtype.kind in "iu":
        if entries.size and not -LARGEST_IMPACT <= int(entries.min()) <= int(entries.max()) <= LARGEST_IMPACT:
            raise SourceError(f"matrix: has entries beyond {LARGEST_IMPACT}: drop them or scale them")
        return entries.astype(np.int64)
    return entries.astype(np.float64) if entries.dtype.kind == "f" else entries


def _terms(vocabulary: Sequence[str | None] | Mapping[str, int], columns: int) -> list[str | None]:
    if isinstance(vocabulary, Mapping):
        if len(vocabulary) != columns or set(vocabulary.values()) != set(range(columns)):
            raise ValueError(f"vocabulary: is not a mapping to the columns 0 to {columns - 1}")
        return [*sorted(map(str, vocabulary), key=vocabulary.__getitem__)]
    terms = [None if term is None else str(term) for term in vocabulary]
    if len(terms) != columns:
        raise ValueError(f"vocabulary: has {len(terms)} terms for {columns} columns: give each column one")
    named = [term for term in terms if term is not None]
    if len(set(named)) != len(named):
        raise ValueError("vocabulary: a term occurs twice: give each column its own")
    return terms
