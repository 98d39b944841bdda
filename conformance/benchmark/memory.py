"""Memory of a process: anonymous, which is its own, and resident, which includes mapped pages of files."""
from __future__ import annotations

import sys
import threading
from pathlib import Path
from types import TracebackType

SECONDS = 0.02
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def memory_bytes(pid: int | str = "self") -> dict[str, int]:
    """Returns a process's ``resident_bytes`` and ``anonymous_bytes``; an empty dict where the system does not report them."""
    found = {"resident_bytes": _status(pid, "VmRSS"), "anonymous_bytes": _status(pid, "RssAnon")}
    return {name: value for name, value in found.items() if value is not None}


def peak_bytes() -> int:
    """Returns the peak resident memory of this process; unlike getrusage's, it does not start with that of the parent."""
    found = _status("self", "VmHWM")
    return found if found is not None else _peak_of("RUSAGE_SELF")


def children_peak_bytes() -> int:
    """Returns the peak resident memory of a child process that has ended; 0 where the system does not report it."""
    return _peak_of("RUSAGE_CHILDREN")


def _peak_of(processes: str) -> int:
    try:
        import resource
    except ImportError:                 # not on Windows
        return 0
    return resource.getrusage(getattr(resource, processes)).ru_maxrss * _RSS_UNIT


class AnonymousPeak:
    """Samples the anonymous memory of this process and its children, 50 times per second, within the block.

    Attributes
    ----------
    bytes : int
        The largest sum; 0 where the system does not report it.
    """

    def __init__(self) -> None:
        self.bytes = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> AnonymousPeak:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SECONDS):
            self.bytes = max(self.bytes, sum(memory_bytes(pid).get("anonymous_bytes", 0) for pid in _with_children("self")))


def _with_children(pid: int | str) -> list[int | str]:
    found: list[int | str] = [pid]
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            for child in listed.read_text().split():
                found += _with_children(int(child))
        except OSError:                 # it has ended
            continue
    return found


def _status(pid: int | str, name: str) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/status").read_text().split(f"{name}:")[1].split()[0]) * 1024
    except (OSError, IndexError):
        return None
