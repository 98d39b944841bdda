"""One index under load for as long as you like: every answer compared with the one given alone, memory and handles watched.

    python -m bmp_plugin.conformance.load passages.bmp --queries topics.tsv --minutes 30 --threads 8 --processes 2

Questions of all kinds are asked once, alone. Then processes, forked after the index was opened, ask them again in random
order: in threads that share a searcher, through asyncio, and in processes forked while threads search; every other process
opens the index anew. Exit status: 0 if all answers were the same and memory, file handles and threads stayed flat after the
first third of the time; 1 if not; 2 unusable input.
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
from bmp_plugin.errors import BmpError
from bmp_plugin.sharded.index import ShardedIndex, open_either
from bmp_plugin.topics import read_topics

from .asking import Asker, Question, Searcher
from .memory import memory_bytes

AT_ONCE = 8                     # questions that are awaited together
FORK_PATIENCE = 120.0
GROWTH, SLACK = 1.05, 16 << 20  # of the memory, by which it may differ from one third of the time to the next


@dataclass
class Report:
    """What a process has done so far, and what it takes now."""

    pid: int
    seconds: float
    answers: dict[str, int]
    wrong: list[str]
    memory: dict[str, int]
    handles: int
    threads: int


@dataclass
class Work:
    """One process under load: threads that ask until ``stop``."""

    asker: Asker
    expected: dict[Question, bytes]
    seed: int
    fork_seconds: float
    stop: threading.Event = field(default_factory=threading.Event)
    answers: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def _check(self, question: Question, how: str, ask: Callable[[Question], bytes] | None = None) -> None:
        try:
            same = (ask or self.asker.answer)(question) == self.expected[question]
            reason = "" if same else f"another answer to {question}"
        except Exception as error:
            reason = f"{type(error).__name__}: {error}, to {question}"
        with self.lock:
            self.answers[f"{how} {question.kind}"] += 1
            if reason:
                self.wrong.append(f"{how}: {reason}")

    def in_thread(self, number: int) -> None:
        """Ask one question after the other."""
        chance, questions = random.Random(f"{self.seed} {number}"), list(self.expected)
        while not self.stop.is_set():
            self._check(chance.choice(questions), "thread")

    def in_asyncio(self) -> None:
        """Await several at a time, answered by the threads of an executor."""
        chance, questions = random.Random(f"{self.seed} asyncio"), list(self.expected)

        async def ask(pool: ThreadPoolExecutor) -> None:
            loop = asyncio.get_running_loop()
            while not self.stop.is_set():
                chosen = chance.choices(questions, k=AT_ONCE)
                await asyncio.gather(*(loop.run_in_executor(pool, self._check, question, "asyncio") for question in chosen))

        with ThreadPoolExecutor(2) as pool:
            asyncio.run(ask(pool))

    def in_forks(self) -> None:
        """Fork again and again while the other threads search; the child asks one question."""
        chance, questions = random.Random(f"{self.seed} fork"), list(self.expected)
        while not self.stop.wait(self.fork_seconds):
            self._check(chance.choice(questions), "fork", self._forked)

    def _forked(self, question: Question) -> bytes:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(writer, self.asker.answer(question))
            os._exit(0)
        os.close(writer)
        with open(reader, "rb") as said:
            if not multiprocessing.connection.wait([reader], FORK_PATIENCE):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise TimeoutError(f"a forked process has not answered in {FORK_PATIENCE:g} s")
            found = said.read()
        os.waitpid(pid, 0)
        return found


def work(asker: Asker, expected: dict[Question, bytes], options: argparse.Namespace, seed: int, seconds: float,
         interval: float, report: Callable[[Report], None]) -> None:
    """Ask for so many seconds in so many threads, asyncio's and the forking one included; report now and then."""
    mine = Work(asker, expected, seed, options.fork_seconds)
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
    """File handles that this process has open."""
    return len(os.listdir("/proc/self/fd"))


def growth(reports: Sequence[Report]) -> list[str]:
    """What grew in one process from the second third of its time to the last; the first third is for warming up."""
    while_asked = [report for report in reports if report.threads]
    end = while_asked[-1].seconds if while_asked else 0
    second, last = ([report for report in while_asked if lo * end < report.seconds <= hi * end]
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
    """A searcher of an index, sharded or not."""
    index = open_either(path)
    return ShardedSearcher(index) if isinstance(index, ShardedIndex) else BmpSearcher(index)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """All of it; returns how much went wrong."""
    topics = read_topics(options.queries)
    chosen = random.Random(options.seed).sample(topics, min(options.sample, len(topics)))
    searcher = open_searcher(options.index)
    asker = Asker(searcher, [query for _, query in chosen])
    expected = {question: asker.answer(question) for question in asker.questions()}
    say(f"{len(expected):,} questions about {len(chosen):,} queries answered alone; {options.processes} processes of"
        f" {options.threads} threads for {options.minutes:g} minutes")
    context = multiprocessing.get_context("fork")           # after the index was opened
    seconds = 60 * options.minutes
    interval = min(options.interval, seconds / 9)
    reports: dict[int, list[Report]] = {}
    readers: list[multiprocessing.connection.Connection] = []
    processes = []

    def child(number: int, connection: multiprocessing.connection.Connection) -> None:
        if number % 2:
            asker.searcher = open_searcher(options.index)
        work(asker, expected, options, options.seed + number, seconds, interval, connection.send)

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
    say(f"{len(wrong)} things went wrong" if wrong else "the same answers throughout; memory, handles and threads flat")
    return len(wrong)


def _line(report: Report) -> str:
    memory = ", ".join(f"{name.removesuffix('_bytes')} {size / 2**20:.1f} MiB" for name, size in report.memory.items())
    return (f"{report.seconds:7.1f} s  process {report.pid}: {sum(report.answers.values()):,} answers,"
            f" {len(report.wrong)} wrong, {memory}, {report.handles} handles, {report.threads} threads")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.load", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("index", help="block-max index, sharded or not")
    parser.add_argument("--queries", type=Path, required=True, metavar="TOPICS",
                        help="TSV or JSONL, as `bmp-plugin search` takes")
    parser.add_argument("--minutes", type=float, default=30, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=8, help="threads of each process (default: %(default)s)")
    parser.add_argument("--processes", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--sample", type=int, default=200, metavar="N", help="queries to ask about (default: %(default)s)")
    parser.add_argument("--interval", type=float, default=30, metavar="SECONDS", help="between reports (default: %(default)s)")
    parser.add_argument("--fork-seconds", type=float, default=10, metavar="SECONDS",
                        help="between two forks of a process whose threads search (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args(arguments)
    if not Path("/proc/self/fd").is_dir():
        print("load: error: this system has no /proc, from which memory and handles are read: run it on Linux", file=sys.stderr)
        return 2
    try:
        return 1 if run(options, lambda text: print(text, flush=True)) else 0
    except (BmpError, ValueError, OSError) as error:
        print(f"load: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
