"""Small indexes with posting lists of every kind, to be damaged."""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bmp_plugin import BmpIndex
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.index.layout import DEFAULT_BLOCK_SIZE
from bmp_plugin.sharded.build_shards import build_shards
from bmp_plugin.sharded.join_shards import join

KINDS = ("plain", "windows", "bp", "leading", "quantized", "sharded", "joined")
QUERIES: tuple[dict[str, int], ...] = (
    {"t00": 3, "t05": 2, "t11": 7, "t17": 1, "t23": 40},
    {f"t{t:02}": 1 + t for t in range(24)},
    {"t02": 0, "t07": 5, "nowhere": 3},
    {"t01": 2**31 - 1, "t06": 1, "t12": 2**20},              # scored exhaustively
    {"té": 4},
)


def arrays(num_docs: int, seed: int) -> ArraySource:
    """Generates documents whose lists are of every kind, with overflow lists of up to three digits."""
    rng = np.random.default_rng(seed)
    share = np.array([0.8, 0.3, 0.1, 0.05, 0.02, 0.009, 0.004, 0.5])[np.arange(25) % 8]
    largest = np.array([90, 250, 60_000, 2**24])[np.arange(25) // 7]
    present = rng.random((num_docs, 25)) < share
    present[:, 24] = False
    present[:3, 24] = True
    terms = np.nonzero(present)[1]
    impacts = rng.integers(1, largest[terms])
    overflowing = (terms == 5) | (terms == 1) | (terms == 4)
    impacts = np.where(overflowing & (rng.random(len(terms)) < 0.03), impacts + 300, impacts)
    names = [f"t{t:02}" for t in range(24)] + ["té"]
    return ArraySource(np.concatenate([[0], np.cumsum(present.sum(1))]), terms.astype(np.uint16), impacts,
                       [f"d{i * 7919 % num_docs}" if i % 9 else f"ß{i}" for i in range(num_docs)], names)


def vectors(seed: int) -> Iterator[tuple[str, dict[str, float]]]:
    """Yields documents with float weights, to be quantized."""
    rng = random.Random(seed)
    for i in range(700):
        yield f"d{i}", {f"t{t:02}": rng.uniform(0.01, 3) for t in range(24) if rng.random() < 0.7 / (1 + t % 9)}


def build(kind: str, folder: Path, seed: int) -> Path:
    """Builds a specimen; returns its path, ``folder / kind``."""
    path = folder / kind

    def one(num_docs: int, output: Path, reorder: str = "none", block_size: int = DEFAULT_BLOCK_SIZE) -> BmpIndex:
        return BmpIndex.build(arrays(num_docs, seed), output, block_size=block_size, reorder=reorder, progress=False)

    makers: dict[str, Callable[[], object]] = {
        "plain": lambda: one(900, path), "windows": lambda: one(67_000, path, block_size=16),
        "bp": lambda: one(1500, path, "bp"), "leading": lambda: one(1200, path, "leading", block_size=32),
        "quantized": lambda: BmpIndex.build(vectors(seed), path, quantize=8, progress=False),
        "sharded": lambda: build_shards(arrays(1000, seed), path, 3, progress=False),
        "joined": lambda: _joined(path, seed)}
    makers[kind]()
    return path


def _joined(path: Path, seed: int) -> None:
    """Builds a manifest of two parts, which it names by absolute paths; they remain undamaged."""
    parts = []
    for number in range(2):
        source = arrays(400, seed + 10 * number)
        source._docids = [f"p{number}-{docid}" for docid in source._docids]
        parts.append(BmpIndex.build(source, path.with_name(f"part-{seed}-{number}"), progress=False).path)
    join(parts, path, progress=False)
