"""Proving an index once on every machine: what is proved, when, and how that is remembered.

Kernels check no bounds, so all that they read must have been proved to be what the layout says. There are three looks at an
index, each of which names the file that is wrong:

- *opening* it, every time, in milliseconds: the manifest's seal, types and ranges (:mod:`.manifest`); every file's kind
  and size (:mod:`.store`); the tables of terms and of posting lists, whose pointers must stay in their arrays, whose ends
  must ascend (:func:`.check.check_tables`);
- the *first use* of its content on this machine: the checksum of every file, which finds damage, and then every posting,
  every start and offset, every document's rank and name, which finds what was made to look whole
  (:func:`.check.check_content`). About a second and a half a gigabyte; afterwards it is known and costs nothing;
- ``bmp-plugin verify``: the same whatever is known, which also finds what a disk forgot since.

An index that was proved is known by its files: their device, inode, size, and times of modification and of change to the
nanosecond. Nobody but the system sets the latter, so a file that is written to, replaced or copied is proved again; one that
is moved is not. What a process builds itself is known from the start: its checksums were made from the bytes as they were
written. An empty file for every known index lies in the user's cache folder, out of a stranger's reach.

``BMP_PLUGIN_VERIFY`` in the environment is ``once`` (the default); ``always``: at first use in every process; or ``never``,
for folders that nobody else writes to and machines that forget what they knew, such as containers.
"""
from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import platformdirs

from .manifest import MANIFEST

ENVIRONMENT = "BMP_PLUGIN_VERIFY"
CHOICES = ("once", "always", "never")
CHECK_VERSION = 2              # to be raised when more is proved, so that what was proved before is proved again
MOST_KNOWN = 1024         # of which the older half is forgotten
TICK = 0.1                # seconds; two changes of a file in so short a time may leave it with the same times


def known_folder() -> Path:
    """Where it is remembered what was proved: a folder that may be emptied at any time."""
    return platformdirs.user_cache_path("bmp-plugin") / "proved"


class Identity:
    """The files of an index as they are found on this machine.

    Parameters
    ----------
    folder : Path
    names : iterable of str
        The arrays; the manifest is taken with them.
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
        except OSError:                          # what is not there is nothing that could be known
            return
        self._file = known_folder() / digest.hexdigest()[:32]

    def same_files(self, later: Identity) -> bool:
        """Whether nothing of the index was replaced or written to until ``later`` was taken."""
        return self._file == later._file

    def still_valid(self, later: Identity) -> Identity:
        """This one if it is that later, when the files were opened; else one that is never known."""
        if not self.same_files(later):
            self._file = None
        return self

    @property
    def is_known(self) -> bool:
        """Whether it was proved here and has not changed since."""
        return self._file is not None and self._file.exists()

    def remember(self) -> None:
        """Note that it is proved. Where that cannot be noted, it is proved again next time."""
        if self._file is not None:
            with suppress(OSError):
                self._file.parent.mkdir(parents=True, exist_ok=True)
                self._file.touch()
                _forget_some(self._file.parent)

    def remember_proved(self) -> None:
        """The same after a proof, unless the files are so young that they could change and keep their times."""
        if time.time() - self._changed > TICK:
            self.remember()

    def forget(self) -> None:
        """Note that it is not sound."""
        if self._file is not None:
            with suppress(OSError):
                self._file.unlink()


def ensure(identity: Identity, prove: Callable[[], None]) -> None:
    """Call ``prove``, which raises, unless that is known or not wanted.

    Errors: those of ``prove``; ``ValueError`` for a choice in the environment that there is not.
    """
    choice = os.environ.get(ENVIRONMENT, "once")
    if choice not in CHOICES:
        raise ValueError(f"{ENVIRONMENT}={choice!r} is not one of {', '.join(CHOICES)}")
    if choice == "never" or (choice == "once" and identity.is_known):
        return
    prove_now(identity, prove)


def prove_now(identity: Identity, prove: Callable[[], None]) -> None:
    """Call ``prove``, whatever is known, and remember that it did not raise."""
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
