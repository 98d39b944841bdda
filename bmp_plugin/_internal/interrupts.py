"""Ctrl-C and SIGTERM as exceptions, so that partial output is removed, and a record of the signal in case one gets lost.

An exception gets lost when the signal arrives while numba's compiler calls back into Python. Long loops therefore check
the record, and Python's message about the lost exception is suppressed.
"""
from __future__ import annotations

import signal
import sys
import threading
from typing import Any, NoReturn

TERMINATED = 143
_received: list[int] = []


def install() -> None:
    """Handles both signals from now on; only the main thread can install handlers."""
    _received.clear()
    if threading.current_thread() is not threading.main_thread():
        return
    signal.signal(signal.SIGINT, _receive)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _receive)
    sys.unraisablehook = _report_unless_lost


def _receive(number: int, _: object) -> NoReturn:
    _received.append(number)
    check()
    raise AssertionError


def _report_unless_lost(lost: Any) -> None:
    if not (_received and isinstance(lost.exc_value, KeyboardInterrupt | SystemExit)):
        sys.__unraisablehook__(lost)


def check() -> None:
    """Raises the exception of a signal that has arrived: KeyboardInterrupt, or SystemExit for SIGTERM."""
    if _received:
        raise KeyboardInterrupt if _received[0] == signal.SIGINT else SystemExit(TERMINATED)
