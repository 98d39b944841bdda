"""A process that uses an engine for the first time: ``python first_use_worker.py ENGINE WORK SECONDS``.

It opens the engine's index, asks queries one by one until so many seconds after the first answer, and prints, as JSON, when
each answer came, in seconds since the process started, and the processor time, that of compiling in another process included,
which it waits for in the end. It imports only what the engine needs.
"""
from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from bmp_plugin.conformance.benchmark.engines import ENGINES, Query

K = 10
AT_LEAST = 40            # queries


def main() -> None:
    """Runs the process."""
    engine, work, seconds = sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])
    started = float(os.environ["STARTED"])                   # by the clock of all processes
    queries: list[Query] = json.loads((work / "queries.json").read_bytes())
    opened = ENGINES[engine].open(work)
    search = opened.searching({})
    ends: list[float] = []
    while len(ends) <= AT_LEAST or ends[-1] - ends[0] < seconds:
        search(opened.prepare(queries[len(ends) % len(queries)]), K)
        ends.append(time.time() - started)
    if engine == "ours":
        from bmp_plugin._internal.background_compile import wait_for_compiling

        wait_for_compiling()
    print(json.dumps({"ends": ends, "processor": sum(os.times()[:4])}))


if __name__ == "__main__":
    main()
