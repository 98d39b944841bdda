"""Progress bars by tqdm, without what tqdm shares among processes and starts behind them."""
from __future__ import annotations

import os
import threading

import tqdm as library


class tqdm(library.tqdm):  # type: ignore[misc, type-arg, unused-ignore]    # it may have types or not
    """tqdm, also where it shows nothing, takes a lock that forked processes share: one that is killed keeps it for good.

    These have a lock of each process's own, and no thread that watches them.
    """

    monitor_interval = 0


def _own_lock() -> None:
    tqdm.set_lock(threading.RLock())


_own_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own_lock)
