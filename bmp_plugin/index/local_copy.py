"""Local copies of indexes at URLs, because indexes are searched memory-mapped; cached by the checksum of their manifests."""
from __future__ import annotations

import hashlib
import json
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import platformdirs

from .._internal.atomic_write import atomic_file, remove_abandoned
from .._internal.interprocess_lock import interprocess_lock
from ..errors import BmpError, DamagedIndexError, InputWarning, MissingDependencyError
from .layout import ARRAYS, FORMAT
from .manifest import LARGEST_SHARDED, MANIFEST, SEAL, check_seal, parse_manifest
from .remote_folder import RemoteFolder, is_url
from .store import staging, verify_checksums


def cache_folder() -> Path:
    """Returns the folder of the copies, which a user may empty while no search is running."""
    return platformdirs.user_cache_path("bmp-plugin") / "copies"


def local_copy(location: str | Path, identity: str | None = None) -> Path:
    """Returns ``location`` if it is a path; else the folder of a local copy, which is made on first use.

    The manifest at the URL is read every time, a few kilobytes, and the copy with the same manifest is used. If the URL cannot
    be reached, the last copy from there is used, with a warning. Concurrent processes copy once. A copy is written
    atomically, after its checksums were verified. Nothing is read but the files of the index's layout at the URL.

    Parameters
    ----------
    location : str or Path
        Path or URL (``hf://datasets/user/passages``, ``s3://bucket/passages.bmp``) of an index, or of a sharded index, whose
        shards stay there.
    identity : str, optional
        The SHA-256 that its manifest must have, by which a copy is found without reading anything from the URL.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
    BmpError
        If the index cannot be read, is damaged, or is another one.
    MissingDependencyError
        If fsspec, or what it needs for the URL, is not installed.
    """
    if not is_url(location):
        return Path(location)
    if identity is not None and (cache_folder() / identity).is_dir():
        return cache_folder() / identity
    remote = RemoteFolder(str(location))
    try:
        data = remote.read(MANIFEST, LARGEST_SHARDED)
    except MissingDependencyError:
        raise
    except BmpError as error:
        last = _last_copy(remote.url) if identity is None else None
        if last is None:
            raise
        made = time.strftime("%d %B %Y", time.localtime(last.stat().st_mtime))
        warnings.warn(f"{error}; the copy of {made} is used", InputWarning, stacklevel=2)
        return last
    while True:
        manifest = _checked(data, remote.url)
        found = hashlib.sha256(data).hexdigest()
        if identity is not None and found != identity:
            raise BmpError(f"{location}: is not the index that it was when the sharded index was created; create that again")
        target = cache_folder() / found
        try:
            if target.is_dir():
                with suppress(OSError):         # the folder may belong to another user
                    remove_abandoned(target)    # left by a process that was killed after the copy was complete
            else:
                cache_folder().mkdir(parents=True, exist_ok=True)
                with interprocess_lock(target):
                    if not target.is_dir():
                        _copy(remote, data, manifest, target)
            break
        except (BmpError, FileNotFoundError):
            before, data = data, remote.read(MANIFEST, LARGEST_SHARDED)
            if data == before:
                raise                           # else it was replaced meanwhile
    _remember(remote.url, target)
    return target


def _checked(data: bytes, url: str) -> dict[str, Any]:
    """Returns the manifest of an index of this version, or of a sharded one, which lists no names but the layout's."""
    path = f"{url}/{MANIFEST}"
    try:
        manifest: dict[str, Any] = json.loads(data)
        if not manifest["format"].startswith(FORMAT) or not set(manifest["arrays"]) <= set(ARRAYS):      # they become paths
            raise ValueError("arrays")
        seal = manifest.get(SEAL)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise BmpError(f"{path}: does not describe a block-max index") from error
    check_seal(path, data, seal)
    return parse_manifest(data, url) if manifest["format"] == FORMAT else manifest


def _copy(remote: RemoteFolder, data: bytes, manifest: dict[str, Any], target: Path) -> None:
    with staging(target) as folder:
        for name in manifest["arrays"]:
            try:
                remote.fetch(f"{name}.bin", folder)
            except FileNotFoundError as error:
                raise BmpError(f"{remote.url}/{name}.bin: is missing; push the index again") from error
        try:
            verify_checksums(folder, manifest)
        except DamagedIndexError as error:
            raise DamagedIndexError(str(error).replace(str(folder), remote.url)) from error
        (folder / MANIFEST).write_bytes(data)


def _record(url: str) -> Path:
    """Returns the file that remembers which copy was the last from a URL."""
    return cache_folder() / f"{hashlib.sha256(url.encode()).hexdigest()}.location"


def _last_copy(url: str) -> Path | None:
    try:
        copy = cache_folder() / _record(url).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    return copy if (copy / MANIFEST).is_file() else None


def _remember(url: str, copy: Path) -> None:
    if _last_copy(url) != copy:
        with atomic_file(_record(url)) as file:
            file.write_text(copy.name, encoding="ascii")
