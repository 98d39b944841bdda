"""Times the first use of engines, from the start of a process to its first answer and to full speed.

    python -m bmp_plugin.conformance.first_use --vectors vectors.npz --vocabulary vocab.txt --queries queries.jsonl --work work/

Every process is a new one, with a kernel cache that is empty or full. References are bm25s and splade-index with their numba
backends, if they are installed, as ``bench`` knows them. Indexes are built first, and not timed.
"""
from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmp_plugin._internal.background_compile import ENVIRONMENT
from bmp_plugin.errors import BmpError
from bmp_plugin.report.machine import command, machine, versions

from .bench import chosen_topics
from .benchmark import first_use_worker, runner
from .benchmark.collection import Collection
from .benchmark.engines import configurations
from .benchmark.result_tables import circumstances

MODULE = "bmp_plugin.conformance.first_use"
ENGINES = ("ours", "bm25s", "splade-index")
WINDOW = 20              # queries whose median time tells a speed
NEARLY = 1.5             # times the final median that count as full speed


class FirstUse(NamedTuple):
    """The first use of an engine by one process."""

    first_answer: float      # seconds since the process started
    full_speed: float        # seconds since the process started
    before: float            # answers a second from the first one to full speed; 0 if that was at once
    after: float             # answers a second at full speed
    processor: float         # seconds, without those of other processes


def measured(ends: Sequence[float], processor: float) -> FirstUse:
    """Returns what a process's answers, at these seconds since its start, say; they are more than two windows."""
    times = np.diff(ends)
    final = statistics.median(times[-WINDOW:])
    medians = np.median(np.lib.stride_tricks.sliding_window_view(times, WINDOW), axis=1)
    reached = int(np.flatnonzero(medians <= NEARLY * final)[0])
    waited = ends[reached] - ends[0]
    return FirstUse(ends[0], ends[reached], reached / waited if reached else 0.0, 1 / final, processor)


def use(engine: str, work: Path, cache: Path, seconds: float) -> FirstUse:
    """Starts a process that uses an engine, with ``cache`` as home and cache folder.

    Raises
    ------
    BmpError
        If the process fails.
    """
    environment = {name: value for name, value in os.environ.items() if name != ENVIRONMENT}
    environment |= {"HOME": str(cache), "XDG_CACHE_HOME": str(cache), "NUMBA_CACHE_DIR": str(cache / "numba"),
                    "STARTED": str(time.time())}
    done = subprocess.run([sys.executable, "-P", first_use_worker.__file__, engine, str(work), str(seconds)], env=environment,
                          capture_output=True, text=True)
    if done.returncode:
        raise BmpError(f"{engine}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found = json.loads(done.stdout)
    return measured(found["ends"], found["processor"])


def table(found: Mapping[tuple[str, str], Sequence[FirstUse]]) -> list[str]:
    """Returns the lines of a Markdown table, of medians over the rounds."""
    lines = ["| engine | kernel cache | first answer, s | full speed, s | answers a second before | ... at full speed "
             "| processor, s |", "|---|---|---|---|---|---|---|"]
    for (engine, cache), rounds in found.items():
        one = FirstUse(*(statistics.median(values) for values in zip(*rounds, strict=True)))
        before = f"{one.before:.0f}" if one.before else ""
        lines.append(f"| {engine} | {cache} | {one.first_answer:.2f} | {one.full_speed:.2f} | {before} | {one.after:,.0f} "
                     f"| {one.processor:.1f} |")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status: 0 done, 2 unusable input."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(f"python -m {MODULE}", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, metavar="PATH",
                        help="the collection: a folder of JSON vectors, or an .npz file of arrays ptr, terms, imps, ids")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="the tokens of an .npz file's terms, one per line")
    parser.add_argument("--queries", type=Path, required=True, metavar="FILE", help="topics, JSONL or TSV")
    parser.add_argument("--work", type=Path, required=True, metavar="DIR", help="folder for indexes, which are kept")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=30,
                        help="after the first answer, with an empty cache; 5 with a full one (default: %(default)s)")
    options = parser.parse_args(given)
    try:
        if options.rounds < 1 or options.seconds < 1:
            raise ValueError("--rounds and --seconds are at least 1")
        collection = Collection(options.vectors, options.work, options.vocabulary)
        queries = [query for _, query in chosen_topics(options.queries, None)]
        engines = [configuration.engine for configuration in runner.available(configurations([*ENGINES]))]
        collection.prepare()
        (options.work / "queries.json").write_text(json.dumps(queries))
        for engine in engines:
            runner.build(collection, engine)
        found: dict[tuple[str, str], list[FirstUse]] = {}
        for _ in range(options.rounds):
            for engine in engines:
                with tempfile.TemporaryDirectory(prefix="bmp-plugin-") as cache:
                    for kind, seconds in (("empty", options.seconds), ("full", min(options.seconds, 5.0))):
                        found.setdefault((engine, kind), []).append(use(engine, options.work, Path(cache), seconds))
    except (BmpError, ValueError, OSError) as error:
        print(f"first_use: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    documents, postings = collection.counts()
    print("\n".join([
        f"# First use: {collection.name}", "",
        f"{documents:,} documents, {postings:,} postings, k = {first_use_worker.K}; medians of {options.rounds} rounds.", "",
        circumstances(machine(), versions(engines[1:])), "", f"    {command(MODULE, given)}", "", *table(found)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
