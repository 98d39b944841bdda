"""Ctrl-C and SIGTERM: an exception, so that what is half written is removed, and a note in case it gets lost.

It does get lost when the signal arrives while numba's compiler calls back into Python; long loops ask again.
"""
from __future__ import annotations

import signal
import threading
from typing import NoReturn

TERMINATED = 143
_received: list[int] = []


def install() -> None:
    """Handle both signals from now on; only a main thread can."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGINT, _receive)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _receive)


def _receive(number: int, _: object) -> NoReturn:
    _received.append(number)
    check()
    raise AssertionError


def check() -> None:
    """Raise what a signal raised, if one has come: KeyboardInterrupt, or SystemExit for SIGTERM."""
    if _received:
        raise KeyboardInterrupt if _received[0] == signal.SIGINT else SystemExit(TERMINATED)
