"""Quantization of float weights to integer impacts, with one scale for a collection and its queries."""
from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST_BITS = 16


@dataclass(frozen=True)
class Quantization:
    """How weights become impacts: ``round(weight * scale)``, at most ``2**bits - 1``; weights that round to 0 are dropped.

    Attributes
    ----------
    bits : int
        Number of bits of the largest impact, 1 to 16.
    scale : float, optional
        By default, the scale at which the collection's largest weight becomes ``2**bits - 1``.

    Raises
    ------
    ValueError
        If ``bits`` or ``scale`` is out of range.
    """

    bits: int = 8
    scale: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.bits, int) or isinstance(self.bits, bool) or not 1 <= self.bits <= LARGEST_BITS:
            raise ValueError(f"quantize: {self.bits!r} bits are not 1 to {LARGEST_BITS}")
        if self.scale is not None and not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"quantize: scale {self.scale!r} is not a number above 0")

    @classmethod
    def of(cls, value: int | Quantization | None) -> Quantization | None:
        """Converts what callers give: a number of bits, a Quantization, or None for whole numbers that are kept."""
        return value if value is None or isinstance(value, Quantization) else cls(value)

    @property
    def largest(self) -> int:
        """Returns the largest impact."""
        return int(2**self.bits - 1)

    def fitted(self, largest_weight: float) -> Quantization:
        """Returns this quantization with a scale: its own, or the one that fits a collection with this largest weight."""
        if self.scale is not None:
            return self
        return Quantization(self.bits, self.largest / largest_weight if largest_weight > 0 else 1.0)

    def impacts(self, weights: NDArray[Any]) -> NDArray[np.int32]:
        """Returns the impacts int32[n] of weights [n], all at least 0; 0 for those to drop. Needs a scale."""
        assert self.scale is not None
        return np.minimum(np.rint(weights.astype(np.float64) * self.scale), self.largest).astype(np.int32)

    def details(self, clipped: int, dropped: int) -> dict[str, Any]:
        """Returns the manifest's entry: bits, scale, how many weights were clipped to the largest or dropped."""
        return {"bits": self.bits, "scale": self.scale, "clipped": clipped, "dropped": dropped}


def scale_of(details: Mapping[str, Any]) -> float | None:
    """Returns the scale in a manifest's source details, or None if the impacts are the source's own."""
    stated = details.get("quantize")
    scale = stated.get("scale") if isinstance(stated, dict) else None
    return float(scale) if isinstance(scale, int | float) else None


def quantize_query(query: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Multiplies query weights by ``scale``, rounds them like document weights, and drops those that become 0.

    What is not a finite number is left unchanged, for the searcher to refuse.

    Raises
    ------
    ValueError
        If a weight is negative.
    """
    quantized: dict[str, Any] = {}
    for token, weight in query.items():
        if isinstance(weight, numbers.Real) and not isinstance(weight, bool) and math.isfinite(weight):
            if weight < 0:
                raise ValueError(f"weight {weight!r} of query token {token!r} is negative; weights are at least 0")
            product = float(weight) * scale
            weight = round(product) if math.isfinite(product) else product          # infinity is refused later, as too large
            if weight == 0:
                continue
        quantized[token] = weight
    return quantized
