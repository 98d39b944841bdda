"""Signal handlers that Ray must leave alone: the JVM of this process lives on them."""
from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
LARGEST_SIGACTION = 1024          # bytes; glibc's struct has 152


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Put back, at the end, the handlers of faults that there were at the beginning.

    Ray installs its own when it connects, and the system's when it leaves. The JVM, which Pyserini starts, reads null
    pointers and safepoints by faults that it handles: without its handlers, this process dies at the next of them.
    """
    if os.name != "posix":
        yield
        return
    system = ctypes.CDLL(None)
    kept = {getattr(signal, name): ctypes.create_string_buffer(LARGEST_SIGACTION) for name in FAULTS}
    for number, action in kept.items():
        system.sigaction(int(number), None, action)
    try:
        yield
    finally:
        for number, action in kept.items():
            system.sigaction(int(number), action, None)
