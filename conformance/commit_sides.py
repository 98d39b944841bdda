"""The two sides that :mod:`.commits` compares: their checkouts and processes, and what is asked of both in turns."""
from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bmp_plugin.errors import BmpError

from . import commit_worker
from .commit_worker import Answer

CHECKOUT = Path(__file__).resolve().parents[1]
BLOCK = 100                     # queries that a side is asked before it is the other's turn


class Task(NamedTuple):
    """A set of queries, asked of the indexes in some order of documents, at some k."""

    order: str
    queries: str
    k: int

    def __str__(self) -> str:
        return f"{self.queries}, order {self.order}, k = {self.k}"


class Side:
    """A process that takes the package from a checkout; see :class:`.commit_worker.Worker`.

    Parameters
    ----------
    label : str
        What errors call it.
    root : Path
        The checkout.
    environment : mapping
        Variables to be set for the process.
    """

    def __init__(self, label: str, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self.label = label
        # -P keeps the script's folder out of the modules' path; in a session of its own, the process gets no Ctrl-C
        self._process = subprocess.Popen([sys.executable, "-P", commit_worker.__file__], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, start_new_session=True,
                                         env={**os.environ, **(environment or {})})
        try:
            self.ask("load", str(root))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of the worker returns.

        Errors: BmpError if it raised, or if the process died.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps([method, arguments]).encode() + b"\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except ConnectionError:
            line = b""
        if not line:
            raise BmpError(f"{self.label}: its process ended with status {self._process.wait()}")
        reply = json.loads(line)
        if "error" in reply:
            raise BmpError(f"{self.label}: {reply['error']}")
        return reply["value"]

    def close(self) -> None:
        """End the process, whatever it is at; may be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(ConnectionError):     # of a request that it did not take any more
                pipe.close()


def git(*arguments: str | Path) -> str:
    """What git says in the checkout. Errors: BmpError with git's last line."""
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BmpError(f"git {arguments[0]}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    return done.stdout.strip()


def hashes(base: str) -> tuple[str, str]:
    """The base's hash and the checkout's, which ends in ``-dirty`` where there are uncommitted changes or new files.

    Errors: BmpError if this is no checkout of git, or has no such commit.
    """
    try:
        top = Path(git("rev-parse", "--show-toplevel")).resolve()
    except (BmpError, FileNotFoundError):
        top = None
    if top != CHECKOUT:
        raise BmpError("bmp_plugin is not imported from a git checkout: clone the repository, and pip install -e it")
    try:
        found = git("rev-parse", "--verify", "--quiet", "--short", f"{base}^{{commit}}")
    except BmpError:
        raise BmpError(f"--base {base}: there is no such commit in this repository") from None
    return found, git("rev-parse", "--short", "HEAD") + ("-dirty" if git("status", "--porcelain") else "")


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    """A commit, checked out in ``folder`` within the block."""
    try:
        git("worktree", "add", "--detach", folder, commit)
        yield folder
    finally:
        if folder.exists():
            git("worktree", "remove", "--force", "--force", folder)        # twice: also one that was left half made


def differences(base: Sequence[Answer], new: Sequence[Answer]) -> dict[int, str]:
    """Where two sides' answers to the same queries part, by the number of the query; equal ones are left out."""
    found = {}
    for number, (a, b) in enumerate(zip(base, new, strict=True)):
        if a != b:
            rank, hits = next((rank, hits) for rank, hits in enumerate(itertools.zip_longest(a, b), 1) if hits[0] != hits[1])
            one, other = (f"{hit[0]} with {hit[1]!r}" if hit else "nothing" for hit in hits)
            found[number] = f"rank {rank} has {one} at the base, {other} now"
    return found


def compare(sides: Sequence[Side], task: Task, size: int) -> dict[int, str]:
    """The differences of the sides' answers to a set of ``size`` queries; both have compiled and read all afterwards."""
    found = {}
    for lo, hi in _blocks(size):
        answers = [side.ask("answers", *task, lo, hi) for side in sides]
        found.update({lo + number: text for number, text in differences(*answers).items()})
    return found


def timed(sides: Sequence[Side], task: Task, size: int, number: int) -> NDArray[np.float64]:
    """One round: seconds float64[sides, 2, queries], on the processor and by the wall clock."""
    times = np.empty((len(sides), 2, size))
    for block, (lo, hi) in enumerate(_blocks(size)):
        for at in (0, 1) if (number + block) % 2 == 0 else (1, 0):           # neither is always the second
            times[at, :, lo:hi] = sides[at].ask("times", *task, lo, hi)
    return times


def first_answer(label: str, root: Path, index: Path, query: Mapping[str, int], k: int, cache: Path) -> tuple[float, float]:
    """Seconds to the first answer of a new process, on the processor and by the wall clock, with kernels kept in ``cache``."""
    started = time.perf_counter()
    with Side(label, root, {"NUMBA_CACHE_DIR": str(cache)}) as side:
        used: float = side.ask("first", str(index), query, k)
        return used, time.perf_counter() - started


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    return ((lo, min(lo + BLOCK, size)) for lo in range(0, size, BLOCK))
