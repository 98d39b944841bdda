"""Validation of queries and search options, and the min_idf filter."""
from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..query.prepare import LARGEST_WEIGHT

Query = Mapping[str, float]


def weights_of(queries: Sequence[Query]) -> NDArray[np.int64]:
    """Returns the weights of queries, concatenated, as integers int64[tokens], which may be out of range.

    Raises
    ------
    ValueError
        If a weight is not a number.
    """
    values = [weight for query in queries for weight in query.values()]
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            pass                                       # refused below with the token's name
    return np.array([java_int(token, weight) for query in queries for token, weight in query.items()], np.int64)


def checked_weights(query: Query) -> NDArray[np.int64]:
    """Returns a query's weights as integers int64[tokens]; raises what :func:`java_int` raises."""
    weights = weights_of([query])
    if len(weights) and not 0 <= weights.min() <= weights.max() <= LARGEST_WEIGHT:
        weights = np.array([java_int(token, weight) for token, weight in query.items()], np.int64)
    return weights


def check_docids(docids: Any) -> None:
    """Raises ``ValueError`` for a single docid in place of a list."""
    if isinstance(docids, str):
        raise ValueError(f"docids={docids!r} is a string; give a list of docids")


def java_int(token: str, weight: Any) -> int:
    """Converts a weight as Java's Integer does from Python; numpy numbers are accepted too.

    Raises
    ------
    ValueError
        If the weight is not a number, negative or above 2^31 - 1; it names the token.
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
    """Tells for each term whether ``ln(num_docs / df) > min_idf``: bool[terms], of document frequencies int64[terms]."""
    if min_idf == 0:                           # ln(N / df) > 0
        return df < num_docs
    with np.errstate(divide="ignore"):
        return np.log(num_docs / df) > min_idf


def check_options(k: int, threads: int, alpha: float, beta: float, budget: int | None) -> None:
    """Raises ``ValueError`` for an invalid search option, which it names."""
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
    """Raises ``ValueError`` unless there is one qid per query."""
    if num_queries != num_qids:
        raise ValueError(f"{num_queries} queries come with {num_qids} qids; give one qid per query")
