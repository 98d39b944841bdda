"""A load test of one index: every answer is compared with the one given without load; memory and handles are monitored.

    python -m bmp_plugin.conformance.load passages.bmp --queries topics.tsv --minutes 30 --threads 8 --processes 2

Requests of all kinds are first answered one at a time. Then processes, forked after the index was opened, repeat them in
random order: in threads that share a searcher, through asyncio, and in processes forked while threads search; every other
process opens the index anew. Exit status: 0 if all answers were the same and memory, file handles and threads stayed flat
after the first third of the time; 1 if not; 2 unusable input.
"""
from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import multiprocessing.connection
import os
import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bmp_plugin import BmpSearcher, ShardedSearcher
from bmp_plugin._internal.background_compile import require_compiled_search
from bmp_plugin.errors import BmpError
from bmp_plugin.sharded.sharded_index import ShardedIndex, open_either
from bmp_plugin.trec.topics import read_topics

from .benchmark.memory import memory_bytes
from .benchmark.workload import Request, Searcher, Workload

CONCURRENT = 8                  # requests that are awaited together
FORK_PATIENCE = 120.0
GROWTH, SLACK = 1.05, 16 << 20  # of memory, from one third of the time to the next: factor, and bytes on top


@dataclass
class Report:
    """What a process has done so far, and the resources that it uses now."""

    pid: int
    seconds: float
    answers: dict[str, int]
    wrong: list[str]
    memory: dict[str, int]
    handles: int
    threads: int


@dataclass
class LoadedProcess:
    """One process under load, whose threads send requests until ``stop`` is set."""

    workload: Workload
    expected: dict[Request, bytes]
    seed: int
    fork_seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _check(self, request: Request, how: str, ask: Callable[[Request], bytes] | None = None) -> None:
        try:
            same = (ask or self.workload.answer)(request) == self.expected[request]
            reason = "" if same else f"another answer to {request}"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}, to {request}"
        with self.lock:
            self.answers[f"{how} {request.kind}"] += 1
            if reason:
                self.wrong.append(f"{how}: {reason}")

    def in_thread(self, number: int) -> None:
        """Sends one request after the other."""
        chance, requests = random.Random(f"{self.seed} {number}"), list(self.expected)
        while not self.stop.is_set():
            self._check(chance.choice(requests), "thread")

    def in_asyncio(self) -> None:
        """Awaits several requests at a time, answered by the threads of an executor."""
        chance, requests = random.Random(f"{self.seed} asyncio"), list(self.expected)

        async def ask(pool: ThreadPoolExecutor) -> None:
            loop = asyncio.get_running_loop()
            while not self.stop.is_set():
                chosen = chance.choices(requests, k=CONCURRENT)
                await asyncio.gather(*(loop.run_in_executor(pool, self._check, request, "asyncio") for request in chosen))

        with ThreadPoolExecutor(2) as pool:
            asyncio.run(ask(pool))

    def in_forks(self) -> None:
        """Forks again and again while the other threads search; each child sends one request."""
        chance, requests = random.Random(f"{self.seed} fork"), list(self.expected)
        while not self.stop.wait(self.fork_seconds):
            self._check(chance.choice(requests), "fork", self._forked)

    def _forked(self, request: Request) -> bytes:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, self.workload.answer(request))
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as pipe:
            if not multiprocessing.connection.wait([reader], FORK_PATIENCE):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise TimeoutError(f"a forked process has not answered in {FORK_PATIENCE:g} s")
            found = pipe.read()
        os.waitpid(pid, 0)
        return found


def work(workload: Workload, expected: dict[Request, bytes], options: argparse.Namespace, seed: int, seconds: float,
         interval: float, report: Callable[[Report], None]) -> None:
    """Sends requests for that many seconds, in threads, through asyncio and from forks, and reports now and then."""
    mine = LoadedProcess(workload, expected, seed, options.fork_seconds)
    started = time.monotonic()
    targets: list[Callable[[], None]] = [mine.in_asyncio, mine.in_forks]
    targets += [partial(mine.in_thread, number) for number in range(max(1, options.threads - 2))]
    running = [threading.Thread(target=target, daemon=True) for target in targets]
    for thread in running:
        thread.start()
    try:
        while (left := started + seconds - time.monotonic()) > 0:
            time.sleep(min(left, interval))
            with mine.lock:
                report(Report(os.getpid(), time.monotonic() - started, dict(mine.answers), mine.wrong[:5], memory_bytes(),
                              handles(), len(os.listdir("/proc/self/task"))))
    finally:
        mine.stop.set()
        for thread in running:
            thread.join(FORK_PATIENCE + 10)
    report(Report(os.getpid(), time.monotonic() - started, dict(mine.answers), mine.wrong[:5], memory_bytes(), handles(), 0))


def handles() -> int:
    """Returns the number of file handles that this process has open."""
    return len(os.listdir("/proc/self/fd"))


def growth(reports: Sequence[Report]) -> list[str]:
    """Returns what grew in one process from the second third of its time to the last; the first third is for warming up."""
    under_load = [report for report in reports if report.threads]
    end = under_load[-1].seconds if under_load else 0
    second, last = ([report for report in under_load if lo * end < report.seconds <= hi * end]
                    for lo, hi in ((1 / 3, 2 / 3), (2 / 3, 1)))
    if not second or not last:
        return ["too short to tell"]
    found = []
    for name in last[0].memory:
        before, after = (max(report.memory[name] for report in part) for part in (second, last))
        if after > before * GROWTH + SLACK:
            found.append(f"{name} grew from {before / 2**20:.0f} to {after / 2**20:.0f} MiB")
    for name in ("handles", "threads"):
        before, after = (max(getattr(report, name) for report in part) for part in (second, last))
        if after > before + 4:                # a batch's threads and a fork's pipe come and go
            found.append(f"{name} grew from {before} to {after}")
    return found


def open_searcher(path: str) -> Searcher:
    """Opens a searcher on an index, sharded or not."""
    index = open_either(path)
    return ShardedSearcher(index) if isinstance(index, ShardedIndex) else BmpSearcher(index)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Runs the load test; returns the number of failures."""
    topics = read_topics(options.queries)
    chosen = random.Random(options.seed).sample(topics, min(options.sample, len(topics)))
    searcher = open_searcher(options.index)
    workload = Workload(searcher, [query for _, query in chosen])
    expected = {request: workload.answer(request) for request in workload.requests()}
    say(f"{len(expected):,} requests for {len(chosen):,} queries answered without load; {options.processes} processes of"
        f" {options.threads} threads for {options.minutes:g} minutes")
    context = multiprocessing.get_context("fork")           # after the index was opened
    seconds = 60 * options.minutes
    interval = min(options.interval, seconds / 9)
    reports: dict[int, list[Report]] = {}
    readers: list[multiprocessing.connection.Connection] = []
    processes = []

    def child(number: int, connection: multiprocessing.connection.Connection) -> None:
        if number % 2:
            workload.searcher = open_searcher(options.index)
        work(workload, expected, options, options.seed + number, seconds, interval, connection.send)

    for number in range(options.processes):
        reader, writer = context.Pipe(False)
        processes.append(context.Process(target=child, args=(number, writer)))
        processes[-1].start()
        writer.close()
        readers.append(reader)
    while readers:
        for ready in multiprocessing.connection.wait(readers):
            assert isinstance(ready, multiprocessing.connection.Connection)
            try:
                report: Report = ready.recv()
            except EOFError:
                readers.remove(ready)
                continue
            reports.setdefault(report.pid, []).append(report)
            say(_line(report))
    wrong = []
    for process in processes:
        process.join()
        if process.exitcode:
            wrong.append(f"process {process.pid} ended with status {process.exitcode}")
    for pid, mine in reports.items():
        wrong += [f"process {pid}: {reason}" for reason in [*mine[-1].wrong, *growth(mine)]]
    total = Counter[str]()
    for mine in reports.values():
        total.update(mine[-1].answers)
    say(f"{sum(total.values()):,} answers: {', '.join(f'{n:,} {kind}' for kind, n in sorted(total.items()))}")
    for reason in wrong:
        say(f"WRONG: {reason}")
    say(f"{len(wrong)} failures" if wrong else "the same answers throughout; memory, handles and threads flat")
    return len(wrong)


def _line(report: Report) -> str:
    memory = ", ".join(f"{name.removesuffix('_bytes')} {size / 2**20:.1f} MiB" for name, size in report.memory.items())
    return (f"{report.seconds:7.1f} s  process {report.pid}: {sum(report.answers.values()):,} answers,"
            f" {len(report.wrong)} wrong, {memory}, {report.handles} handles, {report.threads} threads")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.load", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", help="block-max index, sharded or not")
    parser.add_argument("--queries", type=Path, required=True, metavar="TOPICS",
                        help="TSV or JSONL, as `bmp-plugin search` takes")
    parser.add_argument("--minutes", type=float, default=30, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=8, help="threads of each process (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--sample", type=int, default=200, metavar="N", help="number of queries (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=30, metavar="SECONDS", help="between reports (default: %(default)s)")
    parser.add_argument("--fork-seconds", type=float, default=10, metavar="SECONDS",
                        help="between two forks of a process whose threads search (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/fd").is_dir():
        print("load: error: this system has no /proc, from which memory and handles are read: run it on Linux", file=sys.stderr)
        return 2
    try:
        require_compiled_search()
        return 1 if run(options, lambda text: print(text, flush=True)) else 0
    except (BmpError, ValueError, OSError) as error:
        print(f"load: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
