"""An interprocess lock on building a file or folder: the first process builds it, the others wait and find it built."""
from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from .atomic_write import errors_name


@contextlib.contextmanager
def interprocess_lock(target: Path) -> Iterator[None]:
    """Holds the lock on building ``target``; a notice is printed if it has to be waited for.

    The operating system locks an empty file next to ``target``, which stays there.

    Parameters
    ----------
    target : Path

    Raises
    ------
    OSError
        It names ``target``.
    """
    with errors_name(target):
        lock = FileLock(target.with_name(f".{target.name}.lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"Waiting for another process, which is building {target}...", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        with errors_name(target):
            lock.release()
