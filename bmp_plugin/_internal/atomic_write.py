"""Atomic writes of files and folders: each is written in a hidden folder next to its path, then renamed to it.

Until that rename the previous content stays in place, whatever happens: an exception, a killed process, a full disk, a
power failure. The content is synced to disk before the rename, and the rename itself by the end of the block. The writer
holds a lock on the hidden folder. The operating system releases that lock when the process ends, however it ends, so the
next writer of the same output recognizes what a killed process left behind, and removes it.
"""
from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filelock import BaseFileLock

TEMPORARY = ".building-"
_NEW, _OLD, _LOCK = "new", "old", "lock"                        # in the hidden folder
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.ENOLCK)        # the file system lacks the operation
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def atomic_file(output: Path) -> contextlib.AbstractContextManager[Path]:
    """Opens an atomic write of a file: the block fills an empty temporary file, which then replaces ``output``.

    The new file has the permissions of the one that it replaces, and a symbolic link stays a link.

    Parameters
    ----------
    output : Path

    Returns
    -------
    context manager of Path
        The temporary file.

    Raises
    ------
    OSError
        It names ``output``.
    """
    return _atomic(output, Path(os.path.realpath(output)), Path.touch, _replace_file)


def atomic_folder(output: Path) -> contextlib.AbstractContextManager[Path]:
    """Opens an atomic write of a folder: the block fills an empty temporary folder, which then replaces ``output``.

    Parameters
    ----------
    output : Path

    Returns
    -------
    context manager of Path
        The temporary folder.

    Raises
    ------
    OSError
        It names ``output``.
    """
    return _atomic(output, output, Path.mkdir, _replace_folder)


def scratch_folder(folder: Path) -> contextlib.AbstractContextManager[Path]:
    """Makes an empty folder in ``folder``, removed at the end of the block, or by the next call if the process is killed."""
    return _temporary(folder / "scratch", Path.mkdir)


@contextlib.contextmanager
def _atomic(output: Path, target: Path, make: Callable[[Path], None], replace: Callable[[Path, Path], None]) -> Iterator[Path]:
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, f"there is no folder {target.parent}", str(output))
    with errors_name(output):
        stack = contextlib.ExitStack()
        path = stack.enter_context(_temporary(target, make))
    with stack:
        yield path
        with errors_name(output):
            replace(path, target)
            _sync_folder(target.parent)


@contextlib.contextmanager
def errors_name(path: str | Path) -> Iterator[None]:
    """Makes an ``OSError`` of the block name ``path``, which the user knows, instead of a temporary file."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextlib.contextmanager
def _temporary(output: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """Makes a temporary file or folder in a locked hidden folder next to ``output``, which is removed at the end."""
    remove_abandoned(output)
    while True:
        hidden = output.with_name(f".{output.name}{TEMPORARY}{secrets.token_hex(6)}")
        lock = _lock_in(hidden)
        try:
            hidden.mkdir()
            if not _lock_new(lock):             # another process has just taken the folder for abandoned
                continue
            make(hidden / _NEW)
            yield hidden / _NEW
            return
        finally:                                # also if a signal arrives as soon as the folder is there
            _remove(hidden, output, lock)


def _lock_in(hidden: Path) -> BaseFileLock:
    from filelock import FileLock  # slow to import, and only writers need it

    return FileLock(hidden / _LOCK, thread_local=False)


def _lock_new(lock: BaseFileLock) -> bool:
    """Locks a new hidden folder until this process ends; returns False if another process locked or removed it first.

    Where the file system has no locks, the folder remains without one, and nobody removes it but its writer.
    """
    try:
        lock.acquire(timeout=0)
    except TimeoutError:
        return False
    except (OSError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno not in _UNSUPPORTED:
            raise
        return True
    return os.path.lexists(lock.lock_file)


def remove_abandoned(output: Path) -> None:
    """Removes the hidden folders of processes that were killed while they wrote the same output."""
    prefix = f".{output.name}{TEMPORARY}"
    for hidden in [path for path in output.parent.iterdir() if path.name.startswith(prefix)]:
        lock = _lock_in(hidden)
        with contextlib.suppress(OSError, NotImplementedError):         # it is locked by its writer, or cannot be
            lock.acquire(timeout=0)
        if lock.is_locked:
            if not os.path.lexists(output) and (hidden / _OLD).exists():
                os.rename(hidden / _OLD, output)
            _remove(hidden, output, lock)


def _remove(hidden: Path, output: Path, lock: BaseFileLock) -> None:
    """Unlocks and removes a hidden folder, unless it holds the only copy of ``output``."""
    with contextlib.suppress(OSError):          # first, because Windows removes no open file
        lock.release()
    if os.path.lexists(output) or not (hidden / _OLD).exists():
        shutil.rmtree(hidden, ignore_errors=True)


def _replace_file(path: Path, target: Path) -> None:
    if target.exists():
        shutil.copymode(target, path)
    _sync(path)
    os.replace(path, target)


def _replace_folder(folder: Path, output: Path) -> None:
    """Replaces ``output`` by ``folder``; one of them is in place at every moment, where the system can exchange names."""
    for file in folder.iterdir():
        if file.is_file():                      # subfolders were written, and synced, by this function too
            _sync(file)
        elif TEMPORARY in file.name:            # that of a subfolder, which could not be removed
            shutil.rmtree(file)
    _sync_folder(folder)
    try:
        os.rename(folder, output)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        if _exchange(folder, output):
            return
        old = folder.with_name(_OLD)
        os.rename(output, old)                  # if killed here, the next writer of this output puts it back
        try:
            os.rename(folder, output)
        except OSError:
            os.rename(old, output)
            raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchanges two names atomically (Linux 3.15 and macOS, on most file systems); returns False if this one cannot."""
    import ctypes  # slow to import, and only a replacement needs it

    if os.name != "posix":
        return False
    system: Any = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    if sys.platform == "linux" and hasattr(system, "renameat2"):
        here, exchange = -100, 2                # AT_FDCWD, RENAME_EXCHANGE
        failed = system.renameat2(here, names[0], here, names[1], exchange)
    elif sys.platform == "darwin" and hasattr(system, "renamex_np"):
        failed = system.renamex_np(*names, 2)   # RENAME_SWAP
    else:
        return False
    if failed and (number := ctypes.get_errno()) not in _UNSUPPORTED:
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def _sync(file: Path) -> None:
    """Syncs the content of a file to disk."""
    opened = os.open(file, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sync_folder(folder: Path) -> None:
    """Syncs the names in a folder to disk, where the system supports that."""
    if os.name == "posix":
        try:
            _sync(folder)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
