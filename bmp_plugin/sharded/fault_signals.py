"""Protection of the JVM's signal handlers in this process from Ray."""
from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
LARGEST_SIGACTION = 1024          # bytes; glibc's struct sigaction has 152


@contextmanager
def kept_handlers() -> Iterator[None]:
    """Restores the handlers of fault signals at the end of the block.

    Ray installs its own handlers when it connects, and the default ones when it disconnects. The JVM that Pyserini starts
    implements null checks and safepoints by faults that it handles: without its handlers, the process dies at the next one.
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
