"""Making what several processes want at once: the first makes it, the others wait their turn and find it made."""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from .whole import naming


@contextlib.contextmanager
def turn(target: Path) -> Iterator[None]:
    """Hold the lock on making ``target``, after waiting for it, which is said.

    The lock is the system's, on an empty file beside ``target`` that stays; missing folders are made. Errors: ``OSError``
    naming ``target``.
    """
    with naming(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Waiting for another process, which is making {target}...", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        with naming(target):
            lock.release()
