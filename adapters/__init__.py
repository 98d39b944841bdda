"""Adapters: what connects the index with other software's formats, encoders and searchers.

:mod:`.sources` reads formats, :mod:`.export` writes them; :mod:`.pyserini` and :mod:`.pyterrier` are the drop-ins. The names
below are imported on first use, so that each needs only its own dependencies.
"""
from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .encoders import TokenWeightEncoder
    from .sources.array_source import ArraySource
    from .sources.matrix_source import MatrixSource
    from .sources.pruning import Pruning

__all__ = ["ArraySource", "MatrixSource", "Pruning", "TokenWeightEncoder"]

_MODULES = {"ArraySource": "sources.array_source", "MatrixSource": "sources.matrix_source", "Pruning": "sources.pruning",
            "TokenWeightEncoder": "encoders"}


def _load(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


if not TYPE_CHECKING:            # type checkers would accept any name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted(__all__)
