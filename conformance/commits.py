"""Compares the checkout, including uncommitted changes, with another commit: answers, times and index sizes.

    python -m bmp_plugin.conformance.commits --base main --vectors vectors.npz --vocabulary vocab.txt \\
        --queries queries.jsonl.gz --k 10 100 1000 --reorder none bp --rounds 3

The base commit is checked out into a temporary git worktree, and each side has its own processes, which import its package.
Both build their indexes, with two threads, and all their answers are compared: if docids or scores differ, the command prints
the differences and times nothing. Then the same queries are timed one by one, in one thread; the sides alternate every 100
queries, so that other load on the machine affects both alike, and every round has new processes. Kernels are compiled before
anything is timed; --cold times that too. Do not edit the checkout meanwhile: several processes import it, one after another.

Exit status: 0 success, 1 answers differ, 2 unusable input, 130 interrupted.
"""
from __future__ import annotations

import argparse
import datetime
import itertools
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal import interrupts
from bmp_plugin._internal.background_compile import require_compiled_search
from bmp_plugin.errors import BmpError
from bmp_plugin.report import machine

from .bench import chosen_topics
from .benchmark import commit_sides
from .benchmark.collection import Collection
from .benchmark.commit_sides import Side, Task
from .benchmark.engines import Query
from .benchmark.result_tables import circumstances

MODULE = "bmp_plugin.conformance.commits"
ORDERS = ("none", "bp", "leading")
WARM_UP_ROWS = 2000             # documents of an index that is built only to compile the kernels
MOST_DIFFERENCES = 10           # that are printed for each task
PACKAGES = ("python", "numpy", "numba", "llvmlite")
CLOCKS = ("processor", "wall")
Topics = Sequence[tuple[str, Query]]


@dataclass
class Measured:
    """The measurements; pairs are those of the base and of the checkout.

    Attributes
    ----------
    sizes : dict of str to int
        Number of queries of each set.
    built : dict of str to pair of dict
        By document order; see :meth:`.benchmark.commit_worker.Worker.build`.
    times : dict of Task to list of float64[2 sides, 2 clocks, queries]
        Of every round: seconds of processor and wall-clock time.
    cold : pair of pair of float
        Seconds to the first answer, of each side by each clock; empty without ``--cold``.
    """

    sizes: dict[str, int]
    built: dict[str, list[dict[str, float]]] = field(default_factory=dict)
    times: dict[Task, list[NDArray[np.float64]]] = field(default_factory=dict)
    cold: list[tuple[float, float]] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(given)
    try:
        require_compiled_search()
        return _run(options, given)
    except (BmpError, ValueError, OSError) as error:
        print(f"commits: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("commits: interrupted", file=sys.stderr)
        return 130


def say(text: str) -> None:
    """Prints a progress message."""
    print(f"commits: {text}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(f"python -m {MODULE}", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", required=True, metavar="COMMIT", help="the commit to compare with: a hash, branch or tag")
    parser.add_argument("--vectors", type=Path, required=True, metavar="PATH",
                        help="the collection: a folder of JSON vectors, or an .npz file of arrays ptr, terms, imps, ids")
    parser.add_argument("--vocabulary", type=Path, metavar="FILE", help="the tokens of an .npz file's terms, one per line")
    parser.add_argument("--queries", type=Path, required=True, nargs="+", action="extend", metavar="FILE",
                        help="topics, JSONL or TSV; each file has its own table")
    parser.add_argument("--k", nargs="+", type=int, default=[10, 100, 1000], help="default: %(default)s")
    parser.add_argument("--reorder", nargs="+", choices=ORDERS, default=["none"],
                        help="document orders of the indexes (default: none, the given order)")
    parser.add_argument("--rounds", type=int, default=3,
                        help="default: %(default)s; each in new processes, a query's time is their median")
    parser.add_argument("--max-queries", type=int, metavar="N",
                        help="use only N queries of each file, a random sample that is always the same")
    parser.add_argument("--cold", action="store_true",
                        help="also time the first answer of a new process that has to compile its kernels")
    parser.add_argument("--work", type=Path, metavar="DIR",
                        help="folder for the indexes, which remain there (default: the system's temporary folder)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the report to this file, as Markdown")
    return parser


def _run(options: argparse.Namespace, given: Sequence[str]) -> int:
    if options.rounds < 1 or min(options.k) < 1 or (options.max_queries is not None and options.max_queries < 1):
        raise ValueError("--rounds, --k and --max-queries are at least 1")
    hashes = commit_sides.hashes(options.base)
    topics = {path.name: chosen_topics(path, options.max_queries) for path in options.queries}
    if len(topics) < len(options.queries):
        raise ValueError("--queries: two files have the same name, which their tables would share")
    tasks = [Task(*task) for task in itertools.product(dict.fromkeys(options.reorder), topics, dict.fromkeys(options.k))]
    measured = Measured({name: len(found) for name, found in topics.items()})
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="commits-")))
        work = options.work or temporary / "work"
        counts = _write_arrays(Collection(options.vectors, work, options.vocabulary), temporary)
        roots = {"base": stack.enter_context(commit_sides.worktree(hashes[0], temporary / "worktree")),
                 "new": commit_sides.CHECKOUT}
        for order in dict.fromkeys(options.reorder):
            measured.built[order] = _build(roots, order, temporary, work)
        for number in range(options.rounds):
            say(f"round {number + 1} of {options.rounds}")
            with _sides(roots, work, measured, topics) as sides:
                if number == 0 and _print_differences(sides, tasks, topics):
                    return 1
                _time(sides, tasks, number, measured)
        for label, root in roots.items() if options.cold else ():
            say(f"{label}: compiling kernels ...")
            query = topics[tasks[0].queries][0][1]
            measured.cold.append(commit_sides.first_answer(label, root, _index(work, label, tasks[0].order), query,
                                                           tasks[0].k, _empty_cache(temporary, label)))
    text = report(measured, hashes, f"{options.vectors.name}: {counts}", machine.command(MODULE, given))
    print(text, end="")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(text, encoding="utf-8")
    return 0


def _write_arrays(collection: Collection, folder: Path) -> str:
    """Writes the arrays in formats that numpy and json read; returns a description of the collection's size."""
    collection.prepare()
    arrays = collection.arrays
    for name, values in (("ptr", arrays.ptr), ("terms", arrays.terms), ("impacts", arrays.impacts)):
        np.save(folder / f"{name}.npy", values)
    for name, texts in (("docids", arrays.docids), ("vocabulary", arrays.vocabulary)):
        (folder / f"{name}.json").write_text(json.dumps(list(texts)), encoding="utf-8")
    return f"{len(arrays.docids):,} documents, {len(arrays.terms):,} postings"


def _index(work: Path, label: str, order: str) -> Path:
    return work / f"{label}-{order}.bmp"


def _empty_cache(temporary: Path, label: str) -> Path:
    return temporary / f"kernels-{label}"


def _build(roots: Mapping[str, Path], order: str, arrays: Path, work: Path) -> list[dict[str, float]]:
    found = []
    for label, root in roots.items():
        say(f"{label}: building an index, order {order} ...")
        with Side(label, root) as side:
            side.ask("build", str(arrays), str(arrays / f"warm-up-{label}.bmp"), order, WARM_UP_ROWS)
            found.append(side.ask("build", str(arrays), str(_index(work, label, order)), order))
    return found


def _print_differences(sides: Sequence[Side], tasks: Sequence[Task], topics: Mapping[str, Topics]) -> bool:
    """Tells whether any answers differ, and prints the first differences of each task."""
    any_found = False
    for task in tasks:
        say(f"{task}: comparing answers ...")
        asked = topics[task.queries]
        found = commit_sides.compare(sides, task, len(asked))
        for number, text in list(found.items())[:MOST_DIFFERENCES]:
            print(f"commits: error: {task}: query {asked[number][0]}: {text}", file=sys.stderr)
        if found:
            print(f"commits: error: {task}: {len(found)} of {len(asked)} answers differ", file=sys.stderr)
            any_found = True
    return any_found


@contextmanager
def _sides(roots: Mapping[str, Path], work: Path, measured: Measured, topics: Mapping[str, Topics]) -> Iterator[list[Side]]:
    """Processes of both sides, new ones every round: where memory happens to lie moves all times of a process by some 5 %."""
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(label, root)) for label, root in roots.items()]
        for side in sides:
            for order in measured.built:
                side.ask("open", order, str(_index(work, side.label, order)))
            for name, found in topics.items():
                side.ask("add_queries", name, [query for _, query in found])
        yield sides


def _time(sides: Sequence[Side], tasks: Sequence[Task], number: int, measured: Measured) -> None:
    for task in tasks:
        size = measured.sizes[task.queries]
        for side in sides:                                                       # read what the queries touch
            side.ask("times", *task, 0, size)
        measured.times.setdefault(task, []).append(commit_sides.timed(sides, task, size, number))


def report(measured: Measured, hashes: tuple[str, str], collection: str, command: str) -> str:
    """Returns the measurements as Markdown."""
    rounds = max((len(times) for times in measured.times.values()), default=0)
    versions = {name: version for name, version in machine.versions().items() if name in PACKAGES}
    lines = [f"# {hashes[1]} against {hashes[0]}", "",
             f"{collection}; rounds: {rounds}; {datetime.date.today().isoformat()}.", "",
             circumstances(machine.machine(), versions), "", f"    {command}", "",
             f"The base is {hashes[0]}. Ratios below 1 say that {hashes[1]} takes less. All answers are the same. "
             "Every index was built once.", "",
             "## Index", "", "| order | | base | new | new / base |", "|---|---|---|---|---|"]
    for order, built in measured.built.items():
        for name, clock in (("build, processor s", "processor"), ("build, wall s", "wall")):
            lines.append(f"| {order} | {name} | {_compared([found[clock] for found in built], '.2f')} |")
        sizes = [found["bytes"] / max(1, found["postings"]) for found in built]
        lines.append(f"| {order} | bytes per posting | {_compared(sizes, '.3f')} |")
    for name, size in measured.sizes.items():
        lines += ["", f"## {name}, {size:,} queries", "", "| order | k | time, us | mean, base | new | new / base | rounds | "
                  "p99, base | new | new / base |", "|---|---|---|---|---|---|---|---|---|---|"]
        for task, times in measured.times.items():
            if task.queries == name:
                lines += [f"| {task.order} | {task.k} | {clock} | {_figures(np.array(times)[:, :, at] * 1e6)} |"
                          for at, clock in enumerate(CLOCKS)]
    lines += ["", "A query's time is its median of all rounds, each in new processes: of its thread on the processor, and by "
              "the wall clock. Mean and p99 are over queries. Every round by itself has a ratio of means, too: *rounds* says "
              "from which to which."]
    if measured.cold:
        lines += ["", "## First answer of a new process that compiles its kernels, s", "", "| time | base | new | new / base |",
                  "|---|---|---|---|"]
        lines += [f"| {clock} | {_compared(pair, '.2f')} |" for clock, pair in zip(CLOCKS, zip(*measured.cold, strict=True),
                                                                              strict=True)]
    return "\n".join([*lines, ""])


def _figures(times: NDArray[np.float64]) -> str:
    """Cells of times[rounds, sides, queries]."""
    typical, means = np.median(times, axis=0), times.mean(axis=2)
    ratios = means[:, 1] / means[:, 0]
    return (f"{_compared(typical.mean(axis=1).tolist(), '.1f')} | {ratios.min():.3f} to {ratios.max():.3f} | "
            f"{_compared(np.percentile(typical, 99, axis=1).tolist(), '.1f')}")


def _compared(pair: Sequence[float], form: str) -> str:
    """Returns the cells of a figure of both sides, and of their ratio."""
    return f"{pair[0]:{form}} | {pair[1]:{form}} | {pair[1] / pair[0] if pair[0] else 1:.3f}"


if __name__ == "__main__":
    interrupts.install()        # so that SIGTERM, too, removes the worktree
    sys.exit(main())
