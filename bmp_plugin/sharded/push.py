"""Uploads an index, sharded or not, to a URL, from which others open it."""
from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from ..errors import BuildError
from ..index.block_max_index import BmpIndex
from ..index.layout import ARRAYS, FORMAT
from ..index.manifest import LARGEST_SHARDED, MANIFEST
from ..index.remote_folder import RemoteFolder, is_url
from .sharded_index import ShardedIndex, is_below, open_either, open_shard
from .sharded_manifest import TABLES

_BESIDE = {"README.md", "LICENSE"}           # and hidden files, which a new repository has


def push_index(location: str | Path, url: str, *, progress: bool = True) -> BmpIndex | ShardedIndex:
    """Uploads an index, proved sound first, to a URL that fsspec writes to; a sharded index with its shards.

    The manifest is uploaded last, and that of an index that is replaced is removed first, so that nobody opens a mixture of
    both. An index that is there already, with the same manifest, is not uploaded again. Other files remain.

    Parameters
    ----------
    location : path or URL
        The index.
    url : str
        Its new place, such as ``hf://datasets/user/passages``; a repository or bucket has to exist.
    progress : bool
        Whether to show a progress bar for each file that takes a while, if standard error is a terminal.

    Returns
    -------
    BmpIndex or ShardedIndex
        The index that was uploaded.

    Raises
    ------
    FileNotFoundError
    ValueError
        If ``url`` is not a URL, or a web server's.
    BuildError
        If there is something else at the URL, or the shards are not in the folder of the sharded index.
    BmpError
        If the index cannot be read, is damaged, or the URL cannot be written to.
    """
    if not is_url(url):
        raise ValueError(f"{url}: is not a URL, such as hf://datasets/user/name or s3://bucket/name; copy the index there")
    remote = RemoteFolder(url, progress)
    if remote.is_web:
        raise ValueError(f"{url}: a web server takes no files: push to where it serves them from, or to hf:// or s3://")
    index = open_either(location)
    uploads = [_Upload(*parts) for parts in _parts(index, remote)]
    for upload in uploads:
        upload.check_replaceable()
    whole = uploads[-1]
    if not whole.is_there:
        whole.withdraw()
        for upload in uploads:
            upload.run()
    return index


def _parts(index: BmpIndex | ShardedIndex, remote: RemoteFolder) -> Iterator[tuple[Path, RemoteFolder, set[str]]]:
    """Proves an index, and yields each shard and then the whole: folder, destination, names in it beside the manifest."""
    _ = index.arrays                            # proved on first use
    if isinstance(index, BmpIndex):
        yield index.path, remote, {f"{name}.bin" for name in ARRAYS}
        return
    for shard in index.shards:
        if not is_below(shard.path):
            raise BuildError(f"{index.path}: {shard.name} is elsewhere, at {shard.path}: push indexes whose shards are in "
                             "their folder, as `bmp-plugin index --shards N` builds them")
        part = open_shard(shard, index.location(shard))
        yield from _parts(part, RemoteFolder(f"{remote.url}/{shard.path}", remote.progress))
    yield index.path, remote, {f"{name}.bin" for name in TABLES} | {shard.path.partition("/")[0] for shard in index.shards}


class _Upload:
    """The upload of one index without its shards.

    Parameters
    ----------
    folder : Path
    remote : RemoteFolder
    names : set of str
        What is in the folder beside the manifest: files of arrays, and folders of shards.
    """

    def __init__(self, folder: Path, remote: RemoteFolder, names: set[str]) -> None:
        self._folder, self._remote, self._names = folder, remote, names
        self._manifest = (folder / MANIFEST).read_bytes()
        self._before: bytes | None = None
        with contextlib.suppress(FileNotFoundError):
            self._before = remote.read(MANIFEST, LARGEST_SHARDED)

    @property
    def is_there(self) -> bool:
        """Tells whether this index was uploaded before, all of it, since its manifest is the last file."""
        return self._before == self._manifest

    def check_replaceable(self) -> None:
        """Raises ``BuildError`` unless there is nothing at the URL, an index, or what an interrupted upload left there."""
        if self._before is not None:
            replaceable = FORMAT.encode() in self._before
        else:
            replaceable = all(name.startswith(".") for name in self._remote.names() - self._names - _BESIDE)
        if not replaceable:
            raise BuildError(f"{self._remote.url}: exists and is not a block-max index, so it is not replaced; choose another "
                             "URL")

    def withdraw(self) -> None:
        """Removes the manifest that is at the URL, so that nobody opens an index that is being replaced."""
        if self._before is not None:
            self._remote.remove(MANIFEST)
            self._before = None

    def run(self) -> None:
        """Uploads the files, the manifest last."""
        if self.is_there:
            return
        self.withdraw()
        self._remote.make()
        for name in sorted(self._names):
            if (self._folder / name).is_file():
                self._remote.store(self._folder / name)
        self._remote.store(self._folder / MANIFEST)
