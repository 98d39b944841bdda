"""The engines by name: ours and the alternatives to it. Each imports what it needs on first use."""
from __future__ import annotations

from dataclasses import dataclass

from .bmp_engine import Ours
from .eager_engines import Bm25s, Scipy, SpladeIndex
from .engine import Answer, Engine, OpenedEngine, Query, Settings
from .exhaustive_engine import Exhaustive
from .lucene_engine import DropIn, Lucene
from .pisa_engine import Pisa
from .rust_engine import BLOCK_SIZES, Rust
from .seismic_engine import NEIGHBOURS, POSTINGS, Seismic

__all__ = ["ENGINES", "GROUPS", "Answer", "Configuration", "Engine", "OpenedEngine", "Query", "Settings", "configurations"]

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (
    Lucene(), DropIn(), Ours(), Ours("bp"), Ours("leading"),
    *(Rust(size) for size in BLOCK_SIZES), *(Rust(size, "bp") for size in BLOCK_SIZES),
    *(Seismic(postings) for postings in POSTINGS), *(Seismic(postings, NEIGHBOURS) for postings in POSTINGS),
    Pisa(), SpladeIndex(), Bm25s(), Scipy(), Exhaustive())}

OUR_CURVE = (*(f"alpha={alpha}" for alpha in (0.98, 0.96, 0.93, 0.9)),
             *(f"beta={beta}" for beta in (0.9, 0.8, 0.7)),
             *(f"budget={budget}" for budget in (200, 100, 50, 25)),
             *(f"alpha={alpha},beta={beta}" for alpha, beta in (
                 (0.9, 0.9), (0.9, 0.85), (0.9, 0.8), (0.9, 0.75), (0.9, 0.7), (0.85, 0.7), (0.85, 0.6))),
             "alpha=0.9,beta=0.85,budget=80")

GROUPS: dict[str, tuple[str, ...]] = {
    "rust": tuple(f"rust-{size}" for size in BLOCK_SIZES),
    "rust-bp": tuple(f"rust-bp-{size}" for size in BLOCK_SIZES),
    "seismic-grid": tuple(name for name in ENGINES if name.startswith("seismic")),
    "approximate": tuple(f"ours:{settings}" for settings in OUR_CURVE),
    "approximate-bp": tuple(f"ours-bp:{settings}" for settings in OUR_CURVE),
}


@dataclass(frozen=True)
class Configuration:
    """An engine with settings, which is a row of the results."""

    engine: str
    settings: tuple[tuple[str, float], ...] = ()

    @property
    def label(self) -> str:
        """Returns its name in the results."""
        return " ".join([self.engine, *(f"{name}={value:g}" for name, value in self.settings)])


def configurations(words: list[str]) -> list[Configuration]:
    """Parses the command line's engines: an engine, a group, or ``engine:setting=number,setting=number``, without duplicates.

    Raises
    ------
    ValueError
        If a name is unknown, or a setting is not a number.
    """
    found: list[Configuration] = []
    for word in (one for given in words for one in GROUPS.get(given, (given,))):
        name, _, listed = word.partition(":")
        if name not in ENGINES:
            raise ValueError(f"engine {name!r} is not one of {', '.join([*ENGINES, *GROUPS])}")
        if listed:
            found.append(Configuration(name, tuple(_setting(part) for part in listed.split(","))))
        else:
            found += [Configuration(name, tuple(settings.items())) for settings in ENGINES[name].default_settings]
    return list(dict.fromkeys(found))


def _setting(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    try:
        return name, int(value) if value.isdecimal() else float(value)
    except ValueError:
        raise ValueError(f"setting {text!r} is not of the form name=number") from None
