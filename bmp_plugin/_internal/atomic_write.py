"""Atomic writes of files and folders: each is written under a hidden name next to its path, then renamed over it.

Until that rename the previous content stays in place, whatever happens: an exception, a killed process, a full disk, a
power failure. The content is synced to disk before the rename, and the rename itself by the end of the block. The writer
holds a lock on what it writes. The operating system releases that lock when the process ends, however it ends, so the next
writer of the same output recognizes what a killed process left behind, and removes it.
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
from typing import Any, NamedTuple

TEMPORARY = ".building-"
_OLD = "old"
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)      # the file system lacks the operation
_OCCUPIED = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def atomic_file(output: Path) -> contextlib.AbstractContextManager[Path]:
    """Opens an atomic write of a file: the block fills an empty temporary file, which then replaces ``output``.

    The new file has the permissions of the one that it replaces, and a symbolic link stays a link. Missing folders are made.

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
    return _atomic(output, Path(os.path.realpath(output)), _make_file, _replace_file)


def atomic_folder(output: Path) -> contextlib.AbstractContextManager[Path]:
    """Opens an atomic write of a folder: the block fills an empty temporary folder, which then replaces ``output``.

    Missing folders are made.

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
    with errors_name(output):
        target.parent.mkdir(parents=True, exist_ok=True)
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
    """Makes a locked temporary file or folder next to ``output``, removed at the end if it is still there."""
    remove_abandoned(output)
    path, lock = _temporary_name(output), None
    try:
        while not (made := _make_locked(path, make)):
            path = _temporary_name(output)
        lock = made.lock
        yield path
    finally:                                    # also if a signal arrives as soon as the file is there
        _remove(path, output)
        if lock is not None:
            os.close(lock)


def _temporary_name(output: Path) -> Path:
    return output.with_name(f".{output.name}{TEMPORARY}{secrets.token_hex(6)}")


class _Made(NamedTuple):
    lock: int | None                            # a file descriptor; None where there are no locks


def _make_locked(path: Path, make: Callable[[Path], None]) -> _Made | None:
    """Makes a file or folder and locks it; returns None if another process has just removed it as abandoned."""
    make(path)
    with contextlib.suppress(BlockingIOError):
        lock = _try_lock(path)
        if os.path.lexists(path):
            return _Made(lock)
        if lock is not None:
            os.close(lock)
    return None


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _try_lock(path: Path) -> int | None:
    """Tries to lock a file or folder until this process ends.

    Returns
    -------
    int or None
        A file descriptor; None if the file is gone or cannot be locked.

    Raises
    ------
    BlockingIOError
        If another process holds the lock.
    """
    try:
        import fcntl

        opened = os.open(path, os.O_RDONLY)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(opened)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return opened


def remove_abandoned(output: Path) -> None:
    """Removes the temporary files of processes that were killed while they wrote the same output."""
    prefix = f".{output.name}{TEMPORARY}"
    for path in [path for path in output.parent.iterdir() if path.name.startswith(prefix)]:
        with contextlib.suppress(BlockingIOError):
            lock = _try_lock(path)
            if lock is not None:
                if not os.path.lexists(output) and (path / _OLD).exists():
                    os.rename(path / _OLD, output)
                _remove(path, output)
                os.close(lock)


def _remove(path: Path, output: Path) -> None:
    """Removes a temporary file or folder, unless it holds the only copy of ``output``."""
    if path.is_dir() and not path.is_symlink():
        if os.path.lexists(output) or not (path / _OLD).exists():
            shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


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
    _sync_folder(folder)
    try:
        os.rename(folder, output)
    except OSError as error:
        if error.errno not in _OCCUPIED:
            raise
        if _exchange(folder, output):
            return
        with _temporary(output, Path.mkdir) as aside:
            os.rename(output, aside / _OLD)     # if killed here, the next writer of this output puts it back
            try:
                os.rename(folder, output)
            except OSError:
                os.rename(aside / _OLD, output)
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
