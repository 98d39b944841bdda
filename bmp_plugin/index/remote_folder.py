"""A folder at a URL, whose files are read and written through fsspec: ``hf://``, ``s3://``, ``https://`` and others."""
from __future__ import annotations

import contextlib
import errno
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .._internal.progress import tqdm
from ..errors import BmpError, MissingDependencyError

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_WEB = ("http", "https")
_EXTRAS = {"http": "remote", "https": "remote", "hf": "remote", "s3": "s3", "s3a": "s3"}     # of the package, by scheme
_WEB_PATIENCE = 60.0                         # seconds without a byte; aiohttp would end any download after 5 minutes


def is_url(location: object) -> bool:
    """Tells whether a location is a URL for fsspec rather than a path."""
    return isinstance(location, str) and "://" in location


class RemoteFolder:
    """A folder at a URL. Nothing is read or written but the names that are given, and nothing is read from a cache.

    Parameters
    ----------
    url : str
    progress : bool
        Whether to show a progress bar for each file that takes a while, if standard error is a terminal.

    Raises
    ------
    MissingDependencyError
        If fsspec, or what it needs for the URL, is not installed.
    BmpError
        If fsspec does not know the scheme.
    """

    def __init__(self, url: str, progress: bool = True) -> None:
        self.url = url.rstrip("/")
        self.progress = progress
        with self._explained("read"):
            import fsspec

            options: dict[str, Any] = {}
            if self.is_web:
                import aiohttp

                options["timeout"] = aiohttp.ClientTimeout(total=None, sock_connect=_WEB_PATIENCE, sock_read=_WEB_PATIENCE)
            self._files, self._root = fsspec.url_to_fs(self.url, **options)
            self._files.invalidate_cache()

    @property
    def is_web(self) -> bool:
        """Tells whether the URL is a web server's, which takes no files."""
        return self._scheme in _WEB

    @property
    def _scheme(self) -> str:
        return self.url.partition("://")[0].lower()

    def fetch(self, name: str, folder: Path) -> None:
        """Downloads a file to a folder.

        Raises
        ------
        FileNotFoundError
        BmpError
            If the file cannot be read.
        OSError
            If there is no room for it.
        """
        with self._explained("read"), self._bar(name) as bar:
            self._files.get_file(f"{self._root}/{name}", str(folder / name), callback=bar)

    def read(self, name: str, largest: int) -> bytes:
        """Returns the content of a small file.

        Raises
        ------
        FileNotFoundError
        BmpError
            If the file cannot be read, or has more than ``largest`` bytes.
        """
        with tempfile.TemporaryDirectory(prefix="bmp-plugin-", ignore_cleanup_errors=True) as folder:
            self.fetch(name, Path(folder))
            file = Path(folder, name)
            if not file.is_file() or file.stat().st_size > largest:
                raise BmpError(f"{self.url}/{name}: is not a file of at most {largest:,} bytes")
            return file.read_bytes()

    def store(self, file: Path) -> None:
        """Uploads a file under its name; raises ``BmpError`` if it cannot be written."""
        with self._explained("written"), self._bar(file.name) as bar:
            self._files.put_file(str(file), f"{self._root}/{file.name}", callback=bar)

    def make(self) -> None:
        """Makes the folder where the file system has folders, but not the one around it."""
        with self._explained("written"), contextlib.suppress(FileExistsError):
            self._files.mkdir(self._root, create_parents=False)

    def remove(self, name: str) -> None:
        """Removes a file; raises ``BmpError`` if that is impossible."""
        with self._explained("written"):
            self._files.rm_file(f"{self._root}/{name}")

    def names(self) -> set[str]:
        """Returns the names in the folder, none if there is no such folder."""
        with self._explained("read"):
            try:
                return {path.rstrip("/").rpartition("/")[2] for path in self._files.ls(self._root, detail=False)}
            except FileNotFoundError:
                return set()

    @contextlib.contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Raises one-line errors that name the URL instead of those of the file system, every one of which has its own."""
        try:
            yield
        except ImportError as error:
            extra = _EXTRAS.get(self._scheme, "remote" if error.name == "fsspec" else None)
            raise MissingDependencyError(f"{self.url}: {error}" + (f": pip install 'bmp-plugin[{extra}]'" if extra else "")
                                         ) from error
        except Exception as error:
            if isinstance(error, FileNotFoundError) and what == "read":
                raise FileNotFoundError(f"{self.url}: there is no such index") from error
            if isinstance(error, OSError) and error.errno in _NO_ROOM:
                raise                           # the disk is full here, not in the store
            reason = " ".join(str(error).split())
            raise BmpError(f"{self.url}: cannot be {what} ({type(error).__name__}{reason and f': {reason}'})") from error

    def _bar(self, name: str) -> Any:
        from fsspec.callbacks import TqdmCallback

        return TqdmCallback({"desc": name, "unit": "B", "unit_scale": True, "delay": 1, "leave": False,
                             "disable": None if self.progress else True, "file": sys.stderr}, tqdm_cls=tqdm)
