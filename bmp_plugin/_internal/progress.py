"""Progress bars by tqdm, without the lock that it shares among processes and without its monitor thread."""
from __future__ import annotations

import os
import threading

import tqdm as library


class tqdm(library.tqdm):  # type: ignore[misc, type-arg, unused-ignore]    # which may have types or not
    """A progress bar whose lock belongs to one process, and which starts no thread.

    The original takes a lock that forked processes share, even where it shows nothing: a process that is killed holds it
    forever.
    """

    monitor_interval = 0


def _own_lock() -> None:
    tqdm.set_lock(threading.RLock())


_own_lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_own_lock)
