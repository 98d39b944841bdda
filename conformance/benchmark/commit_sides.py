"""The two sides that :mod:`..commits` compares: their checkouts and processes, and the requests to both."""
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

CHECKOUT = Path(__file__).resolve().parents[2]
QUERIES_AT_ONCE = 100           # queries that one side answers before the other answers them


class Task(NamedTuple):
    """A set of queries to search for at one k, in the indexes of one document order."""

    order: str
    queries: str
    k: int

    def __str__(self) -> str:
        return f"{self.queries}, order {self.order}, k = {self.k}"


class Side:
    """A process that imports the package from a checkout; see :class:`.commit_worker.Worker`.

    Parameters
    ----------
    label : str
        The name of the side in messages.
    root : Path
        The checkout.
    environment : mapping
        Additional environment variables of the process.
    """

    def __init__(self, label: str, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self.label = label
        # -P keeps the script's folder out of the modules' path; in its own session, the process does not receive Ctrl-C
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
        """Calls a method of the worker, and returns its result.

        Raises
        ------
        BmpError
            If the method raised, or the process died.
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
        """Kills the process; may be called twice."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(ConnectionError):     # a request that it did not read
                pipe.close()


def git(*arguments: str | Path) -> str:
    """Runs git in the checkout, and returns its output; raises ``BmpError`` with git's last line if it fails."""
    done = subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BmpError(f"git {arguments[0]}: {(done.stderr.strip() or 'failed').splitlines()[-1]}")
    return done.stdout.strip()


def hashes(base: str) -> tuple[str, str]:
    """Returns the hashes of the base and of the checkout, with ``-dirty`` if there are uncommitted changes or new files.

    Raises
    ------
    BmpError
        If this is not a git checkout, or has no such commit.
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
    """Checks out a commit in ``folder`` for the duration of the block."""
    try:
        git("worktree", "add", "--detach", folder, commit)
        yield folder
    finally:
        if folder.exists():
            git("worktree", "remove", "--force", "--force", folder)        # twice: even an incomplete one


def differences(base: Sequence[Answer], new: Sequence[Answer]) -> dict[int, str]:
    """Returns the first difference of two sides' answers to each query, by its index; equal answers are omitted."""
    found = {}
    for number, (a, b) in enumerate(zip(base, new, strict=True)):
        if a != b:
            rank, hits = next((rank, hits) for rank, hits in enumerate(itertools.zip_longest(a, b), 1) if hits[0] != hits[1])
            one, other = (f"{hit[0]} with {hit[1]!r}" if hit else "nothing" for hit in hits)
            found[number] = f"rank {rank} has {one} at the base, {other} now"
    return found


def compare(sides: Sequence[Side], task: Task, size: int) -> dict[int, str]:
    """Returns the differences of the sides' answers to a set of ``size`` queries; this also warms up both sides."""
    found = {}
    for lo, hi in _blocks(size):
        answers = [side.ask("answers", *task, lo, hi) for side in sides]
        found.update({lo + number: text for number, text in differences(*answers).items()})
    return found


def timed(sides: Sequence[Side], task: Task, size: int, number: int) -> NDArray[np.float64]:
    """Times one round: float64[sides, 2, queries], seconds of processor and wall-clock time."""
    times = np.empty((len(sides), 2, size))
    for block, (lo, hi) in enumerate(_blocks(size)):
        for at in (0, 1) if (number + block) % 2 == 0 else (1, 0):           # the sides alternate in being first
            times[at, :, lo:hi] = sides[at].ask("times", *task, lo, hi)
    return times


def first_answer(label: str, root: Path, index: Path, query: Mapping[str, int], k: int, cache: Path) -> tuple[float, float]:
    """Times the first answer of a new process that caches its kernels in ``cache``: processor and wall-clock seconds."""
    started = time.perf_counter()
    with Side(label, root, {"NUMBA_CACHE_DIR": str(cache)}) as side:
        used: float = side.ask("first", str(index), query, k)
        return used, time.perf_counter() - started


def _blocks(size: int) -> Iterator[tuple[int, int]]:
    return ((lo, min(lo + QUERIES_AT_ONCE, size)) for lo in range(0, size, QUERIES_AT_ONCE))
