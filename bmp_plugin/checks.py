"""What callers may ask for: weights and options, refused by name, and the tokens that min_idf keeps."""
from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .query.prepare import LARGEST_WEIGHT

Query = Mapping[str, float]


def weights_of(queries: Sequence[Query]) -> NDArray[np.int64]:
    """Queries' weights as integers, one query after the other, int64[tokens]; which may be out of range.

    Errors: ``ValueError`` for a weight that is no number.
    """
    values = [weight for query in queries for weight in query.values()]
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            pass                                       # refused below, by name
    return np.array([java_int(token, weight) for query in queries for token, weight in query.items()], np.int64)


def checked_weights(query: Query) -> NDArray[np.int64]:
    """A query's weights as integers, int64[tokens]. Errors: ``ValueError`` as of :func:`java_int`."""
    weights = weights_of([query])
    if len(weights) and not 0 <= weights.min() <= weights.max() <= LARGEST_WEIGHT:
        weights = np.array([java_int(token, weight) for token, weight in query.items()], np.int64)
    return weights


def check_docids(docids: Any) -> None:
    """Raise ``ValueError`` for one docid in the place of several."""
    if isinstance(docids, str):
        raise ValueError(f"docids={docids!r} is a string; give a list of docids")


def java_int(token: str, weight: Any) -> int:
    """The weight as Java's Integer takes it from Python, with numpy's numbers accepted too.

    Errors: ``ValueError`` naming the token for what is no number, negative or above 2^31 - 1.
    """
    if not isinstance(token, str):
        raise ValueError(f"query token {token!r} is not a string")
    if not isinstance(weight, numbers.Real) or isinstance(weight, bool):
        raise ValueError(f"weight {weight!r} of query token {token!r} is not a number")
    if not math.isfinite(weight):
        raise ValueError(f"weight {weight!r} of query token {token!r} is not finite")
    value: int = int(weight)  # type: ignore[call-overload]
    if value < 0:
        raise ValueError(f"weight {weight!r} of query token {token!r} is negative; weights are at least 0")
    if value > LARGEST_WEIGHT:
        raise ValueError(f"weight {weight!r} of query token {token!r} is above {LARGEST_WEIGHT}")
    return value


def kept_terms(df: NDArray[np.int64], num_docs: int, min_idf: float) -> NDArray[np.bool_]:
    """Whether ``ln(num_docs / df) > min_idf``, of document frequencies int64[terms]: bool[terms]."""
    if min_idf == 0:                           # ln(N / df) > 0
        return df < num_docs
    with np.errstate(divide="ignore"):
        return np.log(num_docs / df) > min_idf


def check_options(k: int, threads: int, alpha: float, beta: float, budget: int | None) -> None:
    """Raise ``ValueError``, naming it, for an option that no search has."""
    if not isinstance(k, numbers.Integral) or k < 1:
        raise ValueError(f"k={k!r} is not a whole number of at least 1")
    if not isinstance(threads, numbers.Integral) or threads < 1:
        raise ValueError(f"threads={threads!r} is not a whole number of at least 1")
    for name, value in (("alpha", alpha), ("beta", beta)):
        if not 0.0 < value <= 1.0:
            raise ValueError(f"{name}={value!r} is not above 0 and at most 1")
    if budget is not None and (not isinstance(budget, numbers.Integral) or budget < 1):
        raise ValueError(f"budget={budget!r} is not a whole number of at least 1, or None")


def check_qids(num_queries: int, num_qids: int) -> None:
    """Raise ``ValueError`` unless every query has a qid."""
    if num_queries != num_qids:
        raise ValueError(f"{num_queries} queries come with {num_qids} qids; give one qid a query")
