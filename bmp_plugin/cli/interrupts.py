"""Ctrl-C and SIGTERM: an exception, so that what is half written is removed, and a note in case it gets lost.

It does get lost when the signal arrives while numba's compiler calls back into Python; long loops ask again, and what
Python would say of the lost exception is not said.
"""
from __future__ import annotations

import signal
import sys
import threading
from typing import Any, NoReturn

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
    sys.unraisablehook = _say_unless_lost


def _receive(number: int, _: object) -> NoReturn:
    _received.append(number)
    check()
    raise AssertionError


def _say_unless_lost(lost: Any) -> None:
    if not (_received and isinstance(lost.exc_value, KeyboardInterrupt | SystemExit)):
        sys.__unraisablehook__(lost)


def check() -> None:
    """Raise what a signal raised, if one has come: KeyboardInterrupt, or SystemExit for SIGTERM."""
    if _received:
        raise KeyboardInterrupt if _received[0] == signal.SIGINT else SystemExit(TERMINATED)
