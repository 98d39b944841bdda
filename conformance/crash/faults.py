"""Faults at a chosen file-system call of a child process, injected by an audit hook, without hooks in the tested code.

A process is forked for every case, since an audit hook cannot be removed. The calls that count change something below a
folder: opening files for writing, making folders, renaming, removing, locking, and syncing. A sync is only recorded,
because nothing here cuts the power, and disks are slow at it.
"""
from __future__ import annotations

import errno
import os
import select
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KINDS = ("kill", "full", "error", "interrupt")
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_NEEDS_ROOM = ("open", "os.mkdir", "fsync")
_CHANGES = ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.chmod")


@dataclass(frozen=True)
class Fault:
    """A fault at call number ``at`` (from 0) below a folder.

    Attributes
    ----------
    kind : {"kill", "full", "error", "interrupt"}
        SIGKILL; no space left from then on; EIO once; Ctrl-C.
    at : int
    """

    kind: str
    at: int


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit status, negative for a signal; its exception, if any; the number of its calls."""

    status: int
    raised: str
    calls: int


@dataclass(frozen=True)
class Sync:
    """A call that matters for a power failure: "sync" of an inode, or a "rename"."""

    call: str
    inode: int = 0


class _Auditor:
    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.calls = 0
        self.syncs: list[Sync] = []
        self._folder = str(folder)
        self._fault = fault
        os.fsync = self._synced  # type: ignore[assignment]    # takes file descriptors
        sys.addaudithook(self._audit)

    def _synced(self, file: int) -> None:
        self._audit("fsync", (file,))
        self.syncs.append(Sync("sync", os.fstat(file).st_ino))

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._counts(event, arguments):
            return
        if event in ("os.rename", "ctypes.dlsym"):
            self.syncs.append(Sync("rename"))
        number, self.calls = self.calls, self.calls + 1
        fault = self._fault
        if fault is None:
            return
        if fault.kind == "full" and number >= fault.at and event in _NEEDS_ROOM:
            raise _error(errno.ENOSPC, event, arguments)
        if number == fault.at:
            if fault.kind == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if fault.kind == "error":
                raise _error(errno.EIO, event, arguments)
            if fault.kind == "interrupt":
                raise KeyboardInterrupt

    def _counts(self, event: str, arguments: tuple[Any, ...]) -> bool:
        if event == "open":
            return bool((arguments[2] or 0) & _WRITING) and self._is_inside(arguments[0])
        if event in _CHANGES:
            at_folder = event in ("os.remove", "os.rmdir") and arguments[1] != -1
            return at_folder or self._is_inside(arguments[0])
        return event in ("fsync", "fcntl.flock") or (event == "ctypes.dlsym" and arguments[1] in ("renameat2", "renamex_np"))

    def _is_inside(self, path: Any) -> bool:
        return isinstance(path, str | bytes | os.PathLike) and os.fsdecode(path).startswith(self._folder)


def _error(number: int, event: str, arguments: tuple[Any, ...]) -> OSError:
    """Returns an error like the system's: that of a call with a path names it."""
    path = () if event in ("fsync", "fcntl.flock", "ctypes.dlsym") else (os.fsdecode(arguments[0]),)
    return OSError(number, os.strerror(number), *path)


class Child:
    """Runs ``act`` in a forked process with a ``fault``; ``wait`` for it, or end it by ``kill``."""

    def __init__(self, act: Callable[[], object], folder: Path, fault: Fault | None = None) -> None:
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reader)
            _run(act, folder, fault, writer)
        os.close(writer)

    def kill(self, after: float) -> None:
        """Kills the process after that many seconds, unless it has ended."""
        select.select([self._reader], [], [], after)
        os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> Ended:
        """Waits for the process, and returns how it ended."""
        received = bytearray()
        while part := os.read(self._reader, 65536):
            received += part
        os.close(self._reader)
        _, status = os.waitpid(self._pid, 0)
        calls, _, raised = received.decode().partition("\n")
        return Ended(os.waitstatus_to_exitcode(status), raised, int(calls or 0))


def _run(act: Callable[[], object], folder: Path, fault: Fault | None, writer: int) -> None:
    """Runs in the child; does not return."""
    status, raised = 0, ""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    auditor = _Auditor(folder, fault)
    try:
        act()
    except BaseException as error:
        status, raised = 1, f"{type(error).__name__}: {error}"
    os.write(writer, f"{auditor.calls}\n{raised}".encode())
    os._exit(status)


def syncs_of(act: Callable[[], object], folder: Path) -> list[Sync]:
    """Returns the syncs and renames of ``act``, run in a forked process."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        auditor = _Auditor(folder, None)
        try:
            act()
            os.write(writer, "\n".join(f"{sync.call} {sync.inode}" for sync in auditor.syncs).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="ascii") as file:
        found = [line.split() for line in file]
    os.waitpid(pid, 0)
    return [Sync(call, int(inode)) for call, inode in found]
