"""Validation of queries and search options."""
from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..query.prepare import LARGEST_WEIGHT

Query = Mapping[str, float]


def check_queries(queries: Sequence[Any]) -> None:
    """Raises ``TypeError`` for what is no query, such as text."""
    for query in queries:
        if not isinstance(query, Mapping):
            hint = ": encode the text first" if isinstance(query, str) else ""
            raise TypeError(f"query {query!r:.80} is {type(query).__name__}, not a mapping of token to weight, such as"
                            f" {{'heat': 12, 'flow': 3}}{hint}")


def weights_of(queries: Sequence[Query]) -> NDArray[np.int64]:
    """Returns the weights of queries, concatenated, as integers int64[tokens], which may be out of range.

    Raises
    ------
    ValueError
        If a weight is not a whole number.
    """
    values = [weight for query in queries for weight in query.values()]
    if set(map(type, values)) <= {int}:
        try:
            return np.array(values, np.int64)
        except OverflowError:
            pass                                       # refused below with the token's name
    return np.array([whole_weight(token, weight) for query in queries for token, weight in query.items()], np.int64)


def checked_weights(query: Query) -> NDArray[np.int64]:
    """Returns a query's weights as integers int64[tokens]; raises what :func:`whole_weight` raises."""
    weights = weights_of([query])
    if len(weights) and not 0 <= weights.min() <= weights.max() <= LARGEST_WEIGHT:
        weights = np.array([whole_weight(token, weight) for token, weight in query.items()], np.int64)
    return weights


def check_docids(docids: Any) -> None:
    """Raises ``ValueError`` for a single docid in place of a list."""
    if isinstance(docids, str):
        raise ValueError(f"docids={docids!r} is a string; give a list of docids")


def whole_weight(token: str, weight: Any) -> int:
    """Converts a weight, of any type of numbers, to int.

    Raises
    ------
    ValueError
        If the weight is not a whole number from 0 to 2^31 - 1; it names the token.
    """
    if not isinstance(token, str):
        raise ValueError(f"query token {token!r} is not a string")
    if not isinstance(weight, numbers.Real) or isinstance(weight, bool):
        raise ValueError(f"weight {weight!r} of query token {token!r} is not a number")
    if not math.isfinite(weight):
        raise ValueError(f"weight {weight!r} of query token {token!r} is not finite")
    value: int = int(weight)  # type: ignore[call-overload]
    if weight < 0:
        raise ValueError(f"weight {weight!r} of query token {token!r} is negative; weights are at least 0")
    if value > LARGEST_WEIGHT:
        raise ValueError(f"weight {weight!r} of query token {token!r} is above {LARGEST_WEIGHT}")
    if value != weight:
        raise ValueError(f"weight {weight!r} of query token {token!r} is not a whole number, and the index has no scale to"
                         " multiply it by: round weights, or build the index with quantize=8")
    return value


def check_options(k: int, threads: int, alpha: float, beta: float, budget: int | None,
                  target_recall: float | None = None) -> None:
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
    if target_recall is not None:
        if isinstance(target_recall, bool) or not isinstance(target_recall, numbers.Real) or not 0.0 < target_recall <= 1.0:
            raise ValueError(f"target_recall={target_recall!r} is not above 0 and at most 1, or None")
        if (alpha, beta, budget) != (1.0, 1.0, None):
            raise ValueError(f"target_recall={target_recall!r} chooses alpha and beta: give it alone, or them")


def check_qids(num_queries: int, num_qids: int) -> None:
    """Raises ``ValueError`` unless there is one qid per query."""
    if num_queries != num_qids:
        raise ValueError(f"{num_queries} queries come with {num_qids} qids; give one qid per query")
