"""Runs many cases, one after the other, in a process that is monitored: a case that it does not survive has failed."""
from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from bmp_plugin.errors import BmpError

from .damage_worker import Verdict, serve
from .specimens import KINDS, build

PATIENCE = 30.0              # processor seconds for a case
LONGEST = 600.0              # wall-clock seconds for a case, on a busy machine
STARTING = 3600.0            # wall-clock seconds for a process to start, which may compile kernels
_context = multiprocessing.get_context("spawn")


@dataclass
class Outcome:
    """The outcome of the cases: counts by verdict, and the failed cases by number."""

    seed: int
    cases: int = 0
    seconds: float = 0.0
    sorts: Counter[str] = field(default_factory=Counter)
    failures: dict[int, Verdict] = field(default_factory=dict)

    def __str__(self) -> str:
        sorts = ", ".join(f"{count:,} {sort}" for sort, count in sorted(self.sorts.items()))
        return f"seed {self.seed}: {self.cases:,} cases in {self.seconds:.0f} s: {sorts}; {len(self.failures):,} failed"


class Watched:
    """The process that runs cases, restarted when it is gone."""

    def __init__(self, specimens: Path, scratch: Path, seed: int) -> None:
        self._arguments = specimens, scratch, seed
        self._process: multiprocessing.process.BaseProcess | None = None
        self._connection: Connection | None = None

    def try_case(self, number: int) -> Verdict:
        """Returns the verdict of a case, even if the process died or did not answer; raises BmpError if it cannot start."""
        if self._connection is None:
            self._start()
        assert self._connection is not None
        self._connection.send(number)
        done = ""
        verdict: Verdict | None = None
        try:
            started, began = time.monotonic(), self._processor_seconds()
            while verdict is None:
                if not self._connection.poll(1.0):
                    if self._processor_seconds() - began > PATIENCE or time.monotonic() - started > LONGEST:
                        self.close()
                        return Verdict(done, "hung", "hangs: no answer")
                    continue
                message = self._connection.recv()
                done, verdict = (message, None) if isinstance(message, str) else (message.done, message)
            return verdict
        except (EOFError, ConnectionError):
            return Verdict(done, "crashed", f"crashes: the process ended {self._ended()}")

    def close(self) -> None:
        """Ends the process; may be called twice."""
        if self._connection is not None:
            self._connection.close()             # the process ends then, if it can
            self._connection = None
        if self._process is not None:
            self._process.join(1)
            self._process.kill()
            self._process.join()
            self._process = None

    def _start(self) -> None:
        self._connection, theirs = _context.Pipe()
        self._process = _context.Process(target=serve, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            failed = self._connection.recv() if self._connection.poll(STARTING) else "no answer"
        except EOFError:
            failed = f"ended {self._ended()}"
        if failed:
            self.close()
            raise BmpError(f"the process that tries cases fails on sound indexes: {failed}")

    def _processor_seconds(self) -> float:
        assert self._process is not None
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:                          # it has ended: no need to wait
            return 0.0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _ended(self) -> str:
        assert self._process is not None
        self._process.join(10)
        code = self._process.exitcode
        self.close()
        return f"by {signal.Signals(-code).name}" if code is not None and code < 0 else f"with status {code}"


def run(seed: int, numbers: Iterable[int], on_failure: Callable[[int, Verdict], None]) -> Outcome:
    """Runs the cases with these numbers; raises :class:`BmpError` if sound indexes fail."""
    outcome, started = Outcome(seed), time.monotonic()
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    with tempfile.TemporaryDirectory(prefix="bmp-damage-") as temporary:
        specimens = Path(temporary) / "specimens"
        for part, own_seed in (("mine", 1), ("other", 2)):
            (specimens / part).mkdir(parents=True)
            for kind in KINDS:
                build(kind, specimens / part, own_seed)
        watched = Watched(specimens, Path(temporary) / "scratch", seed)
        try:
            for number in numbers:
                verdict = watched.try_case(number)
                outcome.cases += 1
                outcome.sorts[verdict.outcome] += 1
                if verdict.wrong:
                    outcome.failures[number] = verdict
                    on_failure(number, verdict)
        finally:
            watched.close()
    outcome.seconds = time.monotonic() - started
    return outcome
