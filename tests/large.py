"""A collection with posting lists of every kind in more than one batch, reproducible because it comes from arithmetic alone."""
from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

DOCUMENTS = 30_000
ALTERNATIVES = np.array([1, 2, 3, 6, 40, 300] * 30)      # for each slot, the number of terms of which a document has one
VOCABULARY = [f"t{number}" for number in range(int(ALTERNATIVES.sum()))]


def arrays(documents: int = DOCUMENTS) -> tuple[NDArray[np.int64], NDArray[np.uint16], NDArray[np.int32], list[str]]:
    """Returns ptr, terms, impacts and docids for ArraySource."""
    noise = _noise(np.arange(documents * ALTERNATIVES.size, dtype=np.uint64)).reshape(documents, -1)
    present = noise % 16 < 13
    chosen = (noise >> np.uint64(8)) % ALTERNATIVES.astype(np.uint64)
    terms = (np.cumsum(ALTERNATIVES) - ALTERNATIVES + chosen).astype(np.uint16)
    impacts = (1 + (noise >> np.uint64(24)) % 200).astype(np.int32)
    impacts[(noise >> np.uint64(40)) % 64 == 0] += 300                       # overflow lists with few postings
    impacts[:, 10] *= 90                                                     # overflow lists of two digits
    impacts[:, 11] *= 40_000
    ptr = np.concatenate([np.zeros(1, np.int64), np.cumsum(present.sum(axis=1))])
    return ptr, terms[present], impacts[present], [f"doc-{number * 7919 % 1_000_003}" for number in range(documents)]


def _noise(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finalizer of splitmix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def digest(index: Path) -> str:
    """Returns a digest of all arrays of an index."""
    manifest: dict[str, Any] = json.loads((index / "manifest.json").read_text())
    listed = sorted((name, entry["sha256"]) for name, entry in manifest["arrays"].items())
    return hashlib.sha256(json.dumps(listed).encode()).hexdigest()
