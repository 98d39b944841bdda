"""Local copies of indexes in object stores, cached by their identity, because indexes are searched memory-mapped."""
from __future__ import annotations

import errno
import hashlib
import json
from pathlib import Path
from typing import Any

import platformdirs

from .._internal.interprocess_lock import interprocess_lock
from ..errors import BmpError, MissingDependencyError
from ..index.layout import ARRAYS
from ..index.manifest import LARGEST_SHARDED, MANIFEST
from ..index.store import staging, verify_checksums

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def is_url(location: str) -> bool:
    """Tells whether a location is a URL for fsspec rather than a path."""
    return "://" in location


def cache_folder() -> Path:
    """Returns the folder of the copies, which a user may empty while no search is running."""
    return platformdirs.user_cache_path("bmp-plugin") / "shards"


def local_copy(location: str, identity: str | None = None) -> Path:
    """Returns ``location`` if it is a path; else the folder of a local copy, which is made on first use.

    Concurrent processes copy once. A copy is written atomically, after its checksums were verified.

    Parameters
    ----------
    location : str
        Path or URL (``s3://bucket/passages/shard-000.bmp``) of an index, or of a sharded index, whose shards stay there.
    identity : str, optional
        The SHA-256 that its manifest must have.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
    BmpError
        If the index cannot be read, or is another one.
    MissingDependencyError
        If fsspec is not installed.
    """
    if not is_url(location):
        return Path(location)
    if identity is not None and (cache_folder() / identity).is_dir():
        return cache_folder() / identity
    try:
        import fsspec
    except ImportError as error:
        raise MissingDependencyError(f"{location}: reading URLs needs fsspec: pip install 'bmp-plugin[ray]'") from error
    try:
        files, root = fsspec.url_to_fs(location.rstrip("/"))
        text = files.cat_file(f"{root}/{MANIFEST}", 0, LARGEST_SHARDED + 1)
    except ImportError as error:
        raise MissingDependencyError(f"{location}: {error}") from error
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{location}: there is no such index") from error
    except Exception as error:                     # every store has its own errors
        raise _unreadable(location, error) from error
    if len(text) > LARGEST_SHARDED:
        raise BmpError(f"{location}/{MANIFEST}: is larger than {LARGEST_SHARDED:,} bytes, too large for a manifest")
    found = hashlib.sha256(text).hexdigest()
    if identity is not None and found != identity:
        raise BmpError(f"{location}: is not the index that it was when the sharded index was created; create that again")
    target = cache_folder() / found
    with interprocess_lock(target):
        if not target.is_dir():
            _copy(files, root, text, target, location)
    return target


def _copy(files: Any, root: str, text: bytes, target: Path, location: str) -> None:
    try:
        manifest = json.loads(text)
        if not set(manifest["arrays"]) <= set(ARRAYS):         # a name could lead out of the folder
            raise ValueError("array")
        names = [f"{name}.bin" for name in manifest["arrays"]]
    except (ValueError, TypeError, KeyError) as error:
        raise BmpError(f"{location}/{MANIFEST}: does not describe a block-max index") from error
    with staging(target) as folder:
        try:
            files.get([f"{root}/{name}" for name in names], [str(folder / name) for name in names])
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise                               # the disk is full here, not in the store
            raise _unreadable(location, error) from error
        verify_checksums(folder, manifest)
        (folder / MANIFEST).write_bytes(text)


def _unreadable(location: str, error: Exception) -> BmpError:
    return BmpError(f"{location}: cannot be read ({type(error).__name__}: {' '.join(str(error).split())})")
