"""Proves an index sound, once on every machine, and remembers that it did.

Kernels check no bounds, so everything that they read must have been proved to be what the layout says. An index is checked at
three times, and every error names the file:

- Whenever it is *opened*, in milliseconds: the manifest's seal, types and ranges (:mod:`..manifest`); every file's kind and
  size (:mod:`..store`); the tables of terms and of posting lists, whose pointers must stay in their arrays and whose ends must
  ascend (:func:`.check_arrays.check_tables`).
- Before the *first use* of its content on this machine: the checksum of every file, which detects damage, and then every
  posting, every start, and every document's rank and docid, which detects malicious files with correct checksums
  (:func:`.check_arrays.check_content`). This takes about 1.5 s per gigabyte; the result is remembered, so that it costs
  nothing later.
- By ``bmp-plugin verify``: the same checks, whatever is remembered, so that later disk corruption is detected too.

A proved index is identified by its files: their device, inode, size, and times of modification and of change in nanoseconds.
Only the system sets the latter, so a file that is written to, replaced or copied is proved again; a moved one is not. An index
that this machine builds is remembered at once, because its checksums were computed from the bytes that were written. An empty
file for every remembered index is in the user's cache folder, which other users cannot write to.

The environment variable ``BMP_PLUGIN_VERIFY`` is ``once`` (the default), ``always``, which proves an index at its first use in
every process, or ``never``, for folders that nobody else writes to and machines that do not keep the cache, such as containers.
"""
from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import platformdirs

from ..manifest import MANIFEST

ENVIRONMENT = "BMP_PLUGIN_VERIFY"
CHOICES = ("once", "always", "never")
CHECK_VERSION = 2         # increased when more is checked, so that every index is proved again
MOST_KNOWN = 1024         # remembered indexes, of which the older half is then forgotten
TICK = 0.1                # seconds; two changes of a file within this time may leave it with the same times


def known_folder() -> Path:
    """Return the folder that remembers the proved indexes; it may be emptied at any time."""
    return platformdirs.user_cache_path("bmp-plugin") / "proved"


class Identity:
    """The identity of an index's files on this machine at one time; no identity if a file is missing.

    Parameters
    ----------
    folder : Path
    names : iterable of str
        The arrays; the manifest is included.
    """

    def __init__(self, folder: Path, names: Iterable[str]) -> None:
        digest = hashlib.sha256(str(CHECK_VERSION).encode())
        self._changed = 0.0
        self._file: Path | None = None
        try:
            for name in (MANIFEST, *(f"{name}.bin" for name in sorted(names))):
                found = (folder / name).stat()
                digest.update(f"{name} {found.st_dev} {found.st_ino} {found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}\n"
                              .encode())
                self._changed = max(self._changed, found.st_mtime, found.st_ctime)
        except OSError:
            return
        self._file = known_folder() / digest.hexdigest()[:32]

    def same_files(self, later: Identity) -> bool:
        """Tell whether no file was replaced or written to between this identity and a later one."""
        return self._file == later._file

    def still_valid(self, later: Identity) -> Identity:
        """Return this identity, unknown for good unless ``later``, taken after the files were opened, is the same."""
        if not self.same_files(later):
            self._file = None
        return self

    @property
    def is_known(self) -> bool:
        """Tell whether the index was proved on this machine, and has not changed since."""
        return self._file is not None and self._file.exists()

    def remember(self) -> None:
        """Remember that the index is proved; if that cannot be written, it is proved again next time."""
        if self._file is not None:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.touch()
                _forget_some(self._file.parent)

    def remember_proved(self) -> None:
        """Remember a proof, unless the files are so young that they could change and keep their times."""
        if time.time() - self._changed > TICK:
            self.remember()

    def forget(self) -> None:
        """Forget the index, because it may not be sound."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()


def ensure(identity: Identity, prove: Callable[[], None]) -> None:
    """Call ``prove``, unless the index is known or the environment says ``never``.

    Raises
    ------
    ValueError
        If ``BMP_PLUGIN_VERIFY`` is none of its values; ``prove`` may raise more.
    """
    choice = os.environ.get(ENVIRONMENT, "once")
    if choice not in CHOICES:
        raise ValueError(f"{ENVIRONMENT}={choice!r} is not one of {', '.join(CHOICES)}")
    if choice == "never" or (choice == "once" and identity.is_known):
        return
    prove_now(identity, prove)


def prove_now(identity: Identity, prove: Callable[[], None]) -> None:
    """Call ``prove``, even if the index is known, and remember it if that does not raise."""
    identity.forget()
    prove()
    identity.remember_proved()


def _forget_some(folder: Path) -> None:
    with os.scandir(folder) as entries:
        known = [entry for entry in entries if entry.is_file(follow_symlinks=False)]
    if len(known) > MOST_KNOWN:
        for entry in sorted(known, key=lambda entry: entry.stat().st_mtime)[:MOST_KNOWN // 2]:
            with suppress(OSError):
                os.unlink(entry.path)
