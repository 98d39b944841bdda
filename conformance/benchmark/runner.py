"""The benchmark's course: builds missing indexes, compares all answers, then times the engines, interleaved, in rounds.

Every engine has its own process, and only one is active at a time; within a round, their order is random.
"""
from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.errors import BmpError, MissingDependencyError

from .agreement import Agreement
from .bandwidth import gain_of_threads
from .collection import Collection
from .engine_processes import EngineProcess, run_once
from .engines import ENGINES, Configuration, Query

MEASURES = ("latency", "kernel", "batch", "start")
BATCH_THREADS = (1, 2)


@dataclass
class Plan:
    """What to measure: engines (the first is the reference), queries, cut-offs, rounds.

    Attributes
    ----------
    measures : of :data:`MEASURES`
        latency: one query per call; kernel: the engines' innermost timers; batch: all queries in one call; start: the first
        query of a new process. Kernel and batch are measured at default settings only.
    one_at_a_time : bool
        End an engine's process after each step, if memory cannot hold all of them at once.
    """

    configurations: Sequence[Configuration]
    queries: Sequence[Query]
    ks: Sequence[int]
    rounds: int
    measures: Sequence[str] = MEASURES
    one_at_a_time: bool = False


@dataclass
class Row:
    """The measurements of a configuration: times float64[queries] in seconds by k, one array per round, and the rest.

    ``processor`` is processor seconds per query, of all threads, by k and round. ``serving`` is the memory of its process
    after it has answered all queries at every k; ``gains`` is the speed-up of two threads on this machine that share nothing,
    measured in every round next to what two threads do.
    """

    configuration: Configuration
    index_bytes: int
    build: dict[str, float] | None
    starts: list[dict[str, float]] = field(default_factory=list)
    serving: dict[str, int] = field(default_factory=dict)
    times: dict[int, list[NDArray[np.float64]]] = field(default_factory=dict)
    processor: dict[int, list[float]] = field(default_factory=dict)
    agreement: dict[int, dict[str, float]] = field(default_factory=dict)
    kernel: dict[int, list[float]] = field(default_factory=dict)
    throughput: dict[int, dict[int, list[float]]] = field(default_factory=dict)
    gains: list[float] = field(default_factory=list)


def say(text: str) -> None:
    """Prints a line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def available(configurations: Sequence[Configuration]) -> list[Configuration]:
    """Returns the configurations whose engines are installed; for others, prints what to install.

    Raises
    ------
    BmpError
        If none is installed.
    """
    missing: dict[str, str] = {}
    for name in dict.fromkeys(configuration.engine for configuration in configurations):
        try:
            ENGINES[name].require()
        except MissingDependencyError as error:
            missing[name] = str(error)
            say(f"skipped {name}: {error}")
    found = [configuration for configuration in configurations if configuration.engine not in missing]
    if not found:
        raise BmpError("none of the engines is installed")
    return found


def build(collection: Collection, name: str) -> dict[str, float] | None:
    """Builds an engine's index unless it exists, after those that it needs.

    Returns
    -------
    dict or None
        Time and memory of the build; None if they are unknown.
    """
    for needed in ENGINES[name].needs:
        build(collection, needed)
    note = collection.work / f"{name}.build.json"
    log = collection.work / f"{name}.log"
    if not ENGINES[name].index(collection.work).exists():
        say(f"{collection.name}: building {name} ...")
        note.write_text(json.dumps(run_once(log, "build", name, collection)) + "\n")
    return json.loads(note.read_text()) if note.exists() else None


def measure(collection: Collection, plan: Plan, agreement: Agreement) -> list[Row]:
    """Runs the plan on indexes that are built; see the module's docstring."""
    run = _Run(collection, plan, agreement)
    try:
        run.starts()
        run.answers()
        for number in range(plan.rounds):
            say(f"{collection.name}: round {number + 1} of {plan.rounds}")
            run.round(number)
    finally:
        run.close()
    return list(run.rows.values())


class _Run:
    def __init__(self, collection: Collection, plan: Plan, agreement: Agreement) -> None:
        self._collection, self._plan, self._agreement = collection, plan, agreement
        self._processes: dict[str, EngineProcess] = {}
        self.rows = {configuration: Row(configuration, ENGINES[configuration.engine].size_bytes(collection.work),
                                     build(collection, configuration.engine)) for configuration in plan.configurations}
        self._names = list(dict.fromkeys(configuration.engine for configuration in plan.configurations))

    def starts(self) -> None:
        """Starts every engine's process, once more than there are rounds if starts are measured; the last process stays."""
        for _ in range(self._plan.rounds + 1 if "start" in self._plan.measures else 0):
            for name in self._names:
                self.close(name)
                self._process(name)
                self._step_ends(name)

    def answers(self) -> None:
        """Collects all answers, and compares them with the reference's."""
        for name in self._names:                           # the first engine's answers are the reference
            for configuration in self._of(name):
                for k in self._plan.ks:
                    answers = self._process(name).ask("answers", dict(configuration.settings), k)
                    self.rows[configuration].agreement[k] = self._agreement.compare(answers, k)
            memory = self._process(name).ask("memory")
            for configuration in self._of(name):
                self.rows[configuration].serving = memory
            self._step_ends(name)

    def round(self, number: int) -> None:
        """Runs one round of everything that is timed."""
        order = np.random.default_rng(number).permutation(len(self._names))
        names = [self._names[i] for i in order]
        known: dict[str, Callable[[Row, int], None]] = {"latency": self._latency, "batch": self._batch}
        tasks = [task for measure, task in known.items() if measure in self._plan.measures]
        for name, task, k in self._steps(names, tasks):
            for configuration in self._of(name):
                task(self.rows[configuration], k)
        if "kernel" in self._plan.measures:
            for name in names:
                self._kernel(name)

    def _steps(self, names: list[str], tasks: list[Callable[[Row, int], None]]) -> Iterator[tuple[str, Any, int]]:
        """Yields the steps of a round: engines change as often as possible, or as rarely if each change starts a process."""
        if not self._plan.one_at_a_time:
            yield from ((name, task, k) for task in tasks for k in self._plan.ks for name in names)
            return
        for name in names:
            yield from ((name, task, k) for task in tasks for k in self._plan.ks)
            self._step_ends(name)

    def _latency(self, row: Row, k: int) -> None:
        if "threads" in dict(row.configuration.settings):
            row.gains.append(gain_of_threads(max(BATCH_THREADS)))
        times, processor = self._process(row.configuration.engine).ask("latency", dict(row.configuration.settings), k)
        row.times.setdefault(k, []).append(times)
        row.processor.setdefault(k, []).append(processor)

    def _batch(self, row: Row, k: int) -> None:
        if row.configuration.settings:
            return
        if k == self._plan.ks[0]:
            row.gains.append(gain_of_threads(max(BATCH_THREADS)))
        for threads in BATCH_THREADS:
            rate = self._process(row.configuration.engine).ask("throughput", dict(row.configuration.settings), k, threads)
            if rate is not None:
                row.throughput.setdefault(k, {}).setdefault(threads, []).append(rate)

    def _kernel(self, name: str) -> None:
        row = self.rows.get(Configuration(name))
        if row is None or not ENGINES[name].has_kernel_timer:
            return
        log = self._collection.work / f"{name}.log"
        for k, seconds in run_once(log, "kernel", name, self._collection.work, self._plan.queries, self._plan.ks).items():
            if seconds is not None:
                row.kernel.setdefault(k, []).append(seconds)

    def _of(self, name: str) -> list[Configuration]:
        return [configuration for configuration in self.rows if configuration.engine == name]

    def _process(self, name: str) -> EngineProcess:
        if name not in self._processes:
            mine = self._of(name)
            process = EngineProcess(self._collection.work / f"{name}.log", "serve", name, self._collection.work,
                                    self._plan.queries, self._plan.ks[0], dict(mine[0].settings))
            self._processes[name] = process
            for configuration in mine:
                self.rows[configuration].starts.append(process.first)
        return self._processes[name]

    def _step_ends(self, name: str) -> None:
        if self._plan.one_at_a_time:
            self.close(name)

    def close(self, name: str | None = None) -> None:
        """Ends an engine's process, or all."""
        for each in [name] if name is not None else list(self._processes):
            process = self._processes.pop(each, None)
            if process is not None:
                process.close()
