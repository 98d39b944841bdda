"""Block-Max Pruning for Pyserini: the answers of ``LuceneImpactSearcher``, byte for byte, in a fraction of the time.

Public names are imported on first use, so that importing the package takes next to no time.
"""
from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import BmpError

if TYPE_CHECKING:
    from .index.block_max_index import BmpIndex
    from .searcher.bmp_searcher import BmpSearcher
    from .sharded.sharded_searcher import ShardedSearcher

    __version__: str

__all__ = ["BmpError", "BmpIndex", "BmpSearcher", "ShardedSearcher", "__version__"]


def _load(name: str) -> object:
    found: object
    if name == "BmpIndex":
        from .index.block_max_index import BmpIndex

        found = BmpIndex
    elif name == "BmpSearcher":
        from .searcher.bmp_searcher import BmpSearcher

        found = BmpSearcher
    elif name == "ShardedSearcher":
        from .sharded.sharded_searcher import ShardedSearcher

        found = ShardedSearcher
    elif name == "__version__":
        from importlib.metadata import version

        found = version("bmp-plugin")
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


if not TYPE_CHECKING:            # type checkers would accept any name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)
