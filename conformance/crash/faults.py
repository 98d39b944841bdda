"""Faults at a chosen file-system call of a child process. What is tested has no hook: Python reports its calls to auditors.

A process is forked for every case, since an auditor stays for good. Counted are the calls that change something below a
folder: files opened for writing, folders made, names changed or removed, locks taken, and content forced to the disk. The
last is only noted, as nobody pulls the plug here, and disks are slow at it.
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
    """What happens at call number ``at`` (from 0) below ``folder``.

    kind : "kill" (SIGKILL), "full" (from then on nothing more can be written), "error" (EIO once), "interrupt" (Ctrl-C).
    """

    kind: str
    at: int


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit status, negative for a signal; what it raised, if anything; how many calls it made."""

    status: int
    raised: str
    calls: int


@dataclass(frozen=True)
class Sync:
    """One call that matters for a power failure: "sync" of an inode, or a "rename"."""

    call: str
    inode: int = 0


class _Auditor:
    def __init__(self, folder: Path, fault: Fault | None) -> None:
        self.calls = 0
        self.syncs: list[Sync] = []
        self._folder = str(folder)
        self._fault = fault
        os.fsync = self._synced  # type: ignore[assignment]    # files are given by number here
        sys.addaudithook(self._heard)

    def _synced(self, file: int) -> None:
        self._heard("fsync", (file,))
        self.syncs.append(Sync("sync", os.fstat(file).st_ino))

    def _heard(self, event: str, arguments: tuple[Any, ...]) -> None:
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
    """As the system's own: a call that is given a path names it."""
    path = () if event in ("fsync", "fcntl.flock", "ctypes.dlsym") else (os.fsdecode(arguments[0]),)
    return OSError(number, os.strerror(number), *path)


class Child:
    """``act`` in a forked process, which meets ``fault``; ``wait`` for it, or end it by ``kill``."""

    def __init__(self, act: Callable[[], object], folder: Path, fault: Fault | None = None) -> None:
        self._reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._reader)
            _run(act, folder, fault, writer)
        os.close(writer)

    def kill(self, after: float) -> None:
        """Kill it in so many seconds, unless it has ended by then."""
        select.select([self._reader], [], [], after)
        os.kill(self._pid, signal.SIGKILL)

    def wait(self) -> Ended:
        said = bytearray()
        while part := os.read(self._reader, 65536):
            said += part
        os.close(self._reader)
        _, status = os.waitpid(self._pid, 0)
        calls, _, raised = said.decode().partition("\n")
        return Ended(os.waitstatus_to_exitcode(status), raised, int(calls or 0))


def _run(act: Callable[[], object], folder: Path, fault: Fault | None, writer: int) -> None:
    """In the child; does not return."""
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
    """What ``act`` forces to the disk, and when it changes names, in a forked process."""
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
    with open(reader, encoding="ascii") as said:
        found = [line.split() for line in said]
    os.waitpid(pid, 0)
    return [Sync(call, int(inode)) for call, inode in found]
