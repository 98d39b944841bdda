"""Float weights to integer impacts: one scale for a whole collection and, alike, for the queries put to it."""
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
    """How weights become impacts: ``round(weight * scale)``, at most ``2**bits - 1``; what rounds to 0 is left out.

    Attributes
    ----------
    bits : int
        Bits of the largest impact, 1 to 16.
    scale : float, optional
        None: the scale at which the collection's largest weight becomes ``2**bits - 1``.
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
        """From what callers give: bits, a Quantization, or None for whole numbers that stay as they are."""
        return value if value is None or isinstance(value, Quantization) else cls(value)

    @property
    def largest(self) -> int:
        """The largest impact."""
        return int(2**self.bits - 1)

    def fitted(self, largest_weight: float) -> Quantization:
        """The same with a scale: the own one, or that of a collection whose largest weight this is."""
        if self.scale is not None:
            return self
        return Quantization(self.bits, self.largest / largest_weight if largest_weight > 0 else 1.0)

    def impacts(self, weights: NDArray[Any]) -> NDArray[np.int32]:
        """Impacts int32[n] of weights [n] that are at least 0; 0 for those to leave out. Needs a scale."""
        assert self.scale is not None
        return np.minimum(np.rint(weights.astype(np.float64) * self.scale), self.largest).astype(np.int32)

    def details(self, clipped: int, dropped: int) -> dict[str, Any]:
        """What the manifest states of it: bits, scale, how many weights were cut to the largest or left out."""
        return {"bits": self.bits, "scale": self.scale, "clipped": clipped, "dropped": dropped}


def scale_of(details: Mapping[str, Any]) -> float | None:
    """The scale that a manifest's source details state, or None where impacts are the source's own."""
    stated = details.get("quantize")
    scale = stated.get("scale") if isinstance(stated, dict) else None
    return float(scale) if isinstance(scale, int | float) else None


def quantize_query(query: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Weights times ``scale``, rounded as documents' are; those of 0 left out.

    What is no finite number stays as it is, for the searcher to refuse. Errors: ``ValueError`` for negative weights.
    """
    quantized: dict[str, Any] = {}
    for token, weight in query.items():
        if isinstance(weight, numbers.Real) and not isinstance(weight, bool) and math.isfinite(weight):
            if weight < 0:
                raise ValueError(f"weight {weight!r} of query token {token!r} is negative; weights are at least 0")
            product = float(weight) * scale
            weight = round(product) if math.isfinite(product) else product          # refused as any that is too large
            if weight == 0:
                continue
        quantized[token] = weight
    return quantized
