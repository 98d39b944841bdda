"""Keeps the benchmark's history: one small file a release, made of a result of ``bench``, which the documentation plots.

    python -m bmp_plugin.conformance.history conformance/benchmark/results/enwiki200k.json --release 0.2.0
"""
from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bmp_plugin._internal.atomic_write import atomic_file

MODULE = "bmp_plugin.conformance.history"
FOLDER = Path(__file__).parent / "benchmark" / "results" / "history"

Entry = dict[str, Any]


def summary(result: dict[str, Any], release: str) -> Entry:
    """Returns what is kept of a result: who measured what, and mean and p99 in milliseconds of every safe engine by k.

    Raises
    ------
    ValueError
        If the result is not of one clean commit, so that nobody could measure it again.
    KeyError
        If it is not a result of ``bench``.
    """
    commit = result["versions"]["commit"]
    if commit.endswith("-dirty"):
        raise ValueError(f"the result is of {commit}, with changes that no commit has: measure a commit")
    engines = {name: {k: [round(found["mean_ms"], 4), round(found["p99_ms"], 4)] for k, found in engine["k"].items()}
               for name, engine in result["engines"].items()
               if not engine["settings"] and all("mean_ms" in found for found in engine["k"].values())}
    return {"release": release, "commit": commit, "date": result["date"], "collection": result["collection"]["name"],
            "queries": result["queries"], "processor": result["machine"]["processor"], "ms": engines}


def read_history(folder: Path = FOLDER) -> list[Entry]:
    """Returns all entries, in the order of their dates."""
    entries: list[Entry] = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sorted(entries, key=lambda entry: (entry["date"], entry["release"]))


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(f"python -m {MODULE}", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="what bench wrote")
    parser.add_argument("--release", required=True, metavar="VERSION", help="the release that was measured")
    options = parser.parse_args(arguments)
    try:
        entry = summary(json.loads(options.result.read_text()), options.release)
        with atomic_file(FOLDER / f"{options.release}.json") as path:
            path.write_text(json.dumps(entry, indent=1) + "\n")
    except (ValueError, KeyError, TypeError, OSError) as error:
        what = f"not a result of bench ({error!r})" if isinstance(error, (KeyError, TypeError)) else error
        print(f"history: error: {options.result}: {' '.join(str(what).split())}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
