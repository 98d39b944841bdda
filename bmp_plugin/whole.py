"""Files and folders that appear whole: written beside their place, under a hidden name, and moved there in one step.

Until then what stood there serves, whatever happens: an exception, a killed process, a full disk, a power failure. All is on
the disk before the step, and the step itself when the block has ended. Who writes holds a lock on what is written, which the
system gives back when the process ends, however it ends: so the next that writes the same output knows what a killed one
left behind, and removes it.
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
from typing import Any

TEMPORARY = ".building-"
_OLD = "old"
_UNABLE = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)      # of a file system that lacks an operation
_TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)


def whole_file(output: Path) -> contextlib.AbstractContextManager[Path]:
    """An empty file beside ``output``, for the block to write, which then takes its place; a link there stays a link.

    It has the permissions of what it replaces. Missing folders are made. Errors: ``OSError`` naming ``output``.
    """
    return _whole(output, Path(os.path.realpath(output)), _make_file, _put_file)


def whole_folder(output: Path) -> contextlib.AbstractContextManager[Path]:
    """An empty folder beside ``output``, for the block to fill, which then takes its place.

    Missing folders are made. Errors: ``OSError`` naming ``output``.
    """
    return _whole(output, output, Path.mkdir, _put_folder)


def scratch_folder(folder: Path) -> contextlib.AbstractContextManager[Path]:
    """An empty folder in ``folder``, removed at the end of the block, or by the next call if the process is killed."""
    return _beside(folder / "scratch", Path.mkdir)


@contextlib.contextmanager
def _whole(output: Path, place: Path, make: Callable[[Path], None], put: Callable[[Path, Path], None]) -> Iterator[Path]:
    with naming(output):
        place.parent.mkdir(parents=True, exist_ok=True)
        held = contextlib.ExitStack()
        path = held.enter_context(_beside(place, make))
    with held:
        yield path
        with naming(output):
            put(path, place)
            _sync_folder(place.parent)


@contextlib.contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an ``OSError`` of the block name ``path``, which a user knows, and not what was written beside it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from error


@contextlib.contextmanager
def _beside(output: Path, make: Callable[[Path], None]) -> Iterator[Path]:
    """A new file or folder beside ``output``, held, and removed at the end if it is still there."""
    remove_abandoned(output)
    path, lock = _make_held(output, make)
    try:
        yield path
    finally:
        _remove(path, output)
        if lock is not None:
            os.close(lock)


def _make_held(output: Path, make: Callable[[Path], None]) -> tuple[Path, int | None]:
    while True:
        path = output.with_name(f".{output.name}{TEMPORARY}{secrets.token_hex(6)}")
        make(path)
        with contextlib.suppress(BlockingIOError):
            lock = _hold(path)
            if os.path.lexists(path):
                return path, lock
            if lock is not None:
                os.close(lock)
        # another process has just taken it for abandoned


def _make_file(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))


def _hold(path: Path) -> int | None:
    """A lock on a file or folder, which ends with this process: a file descriptor, or None if it is gone or cannot be locked.

    Errors: ``BlockingIOError`` if somebody holds it.
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
    """Remove what processes that were killed while they wrote the same output have left."""
    prefix = f".{output.name}{TEMPORARY}"
    for path in [path for path in output.parent.iterdir() if path.name.startswith(prefix)]:
        with contextlib.suppress(BlockingIOError):
            lock = _hold(path)
            if lock is not None:
                if not os.path.lexists(output) and (path / _OLD).exists():
                    os.rename(path / _OLD, output)
                _remove(path, output)
                os.close(lock)


def _remove(path: Path, output: Path) -> None:
    """Remove what is beside ``output``, but for the last index that there is."""
    if path.is_dir() and not path.is_symlink():
        if os.path.lexists(output) or not (path / _OLD).exists():
            shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def _put_file(path: Path, place: Path) -> None:
    if place.exists():
        shutil.copymode(place, path)
    _sync(path)
    os.replace(path, place)


def _put_folder(folder: Path, output: Path) -> None:
    """Let ``folder`` be ``output``. At every moment one of both stands there, where the system can exchange names."""
    for file in folder.iterdir():
        if file.is_file():                      # folders in it were written by this, too
            _sync(file)
    _sync_folder(folder)
    try:
        os.rename(folder, output)
    except OSError as error:
        if error.errno not in _TAKEN:
            raise
        if _exchange(folder, output):
            return
        with _beside(output, Path.mkdir) as aside:
            os.rename(output, aside / _OLD)     # killed here, the next that writes this output puts it back
            try:
                os.rename(folder, output)
            except OSError:
                os.rename(aside / _OLD, output)
                raise


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step: Linux 3.15 and macOS can, on most file systems. False if this one cannot."""
    import ctypes  # which costs more than the rest, and only replacing needs it

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
    if failed and (number := ctypes.get_errno()) not in _UNABLE:
        raise OSError(number, os.strerror(number), str(other))
    return not failed


def _sync(file: Path) -> None:
    """Have the content of a file on the disk."""
    opened = os.open(file, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _sync_folder(folder: Path) -> None:
    """Have the names in a folder on the disk, where the system can do that."""
    if os.name == "posix":
        try:
            _sync(folder)
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
