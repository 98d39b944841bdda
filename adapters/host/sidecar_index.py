"""The sidecar index: the block-max index next to a Lucene index, reused while it is up to date, else built there once."""
from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from bmp_plugin import BmpError, BmpIndex
from bmp_plugin._internal.atomic_write import remove_abandoned
from bmp_plugin._internal.interprocess_lock import interprocess_lock
from bmp_plugin.errors import BuildError, SourceError
from bmp_plugin.sharded.sharded_index import ShardedIndex

from ..sources.lucene_source import LuceneSource, fingerprint

FIELD = "contents"                  # the only field that Pyserini's impact searcher searches
_MANIFEST = "manifest.json"


def is_bmp_directory(path: str | os.PathLike[str]) -> bool:
    """Tells whether ``path`` is a block-max index rather than a Lucene one."""
    return (Path(path) / _MANIFEST).is_file()


def sidecar_path(lucene_dir: str | os.PathLike[str]) -> Path:
    """Returns the path of the sidecar index of ``lucene_dir``: ``<lucene_dir>.bmp``."""
    directory = Path(lucene_dir).resolve()
    return directory.with_name(directory.name + ".bmp")


def cache_path(lucene_dir: str | os.PathLike[str]) -> Path:
    """Returns the path in the user's cache folder that is used if the folder of ``lucene_dir`` is not writable."""
    import platformdirs

    directory = Path(lucene_dir).resolve()
    key = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("bmp-plugin")) / "indexes" / f"{directory.name}-{key}.bmp"


@cache
def temporary_path(lucene_dir: Path, process: int) -> Path:
    """Returns a path in a new temporary folder, which is removed when ``process``, this one, ends."""
    folder = Path(tempfile.mkdtemp(prefix="bmp-plugin-"))

    def remove() -> None:
        if os.getpid() == process:              # not one that was forked from it
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder / (lucene_dir.name + ".bmp")


def index_of(lucene_dir: str | os.PathLike[str], *, bmp_dir: str | os.PathLike[str] | None = None, threads: int = 1,
             progress: bool = True) -> BmpIndex:
    """Opens the block-max index of a Lucene index, and builds it first if there is none or it is out of date.

    Concurrent processes build it once. An index that is replaced keeps its block size and document order.

    Parameters
    ----------
    lucene_dir : path
        Lucene index directory.
    bmp_dir : path, optional
        Path of the block-max index; by default :func:`sidecar_path`, or :func:`cache_path` where that is not writable, or
        :func:`temporary_path` where neither is, which a notice on standard error tells.
    threads : int
        Number of threads for building.
    progress : bool
        Whether building shows a progress bar on standard error.

    Returns
    -------
    BmpIndex

    Raises
    ------
    FileNotFoundError, bmp_plugin.BmpError
        If the Lucene index cannot be read, or the block-max index cannot be written.
    """
    wanted = fingerprint(lucene_dir)
    sidecar, cached = sidecar_path(lucene_dir), cache_path(lucene_dir)
    candidates = [Path(bmp_dir)] if bmp_dir is not None else [sidecar, cached]
    for path in candidates:
        index = _up_to_date(path, wanted)
        if index is not None:
            with suppress(OSError):             # the folder may belong to another user
                remove_abandoned(path)          # left by a process that was killed after it replaced the index
            return index
    if bmp_dir is not None:
        target = Path(bmp_dir)
    else:
        target = next((path for path in candidates if _is_writable(path.parent)), None) or _temporary(lucene_dir, candidates)
    try:
        with interprocess_lock(target):
            index = _up_to_date(target, fingerprint(lucene_dir))     # another process may have built it meanwhile
            return index if index is not None else _build(Path(lucene_dir), target, threads, progress)
    except OSError as error:
        if error.filename != str(target):
            raise                               # reading failed, not writing
        raise BuildError(f"{target}: cannot be written ({error.strerror}); set bmp_dir (--bmp-dir) to another path") from error


def _temporary(lucene_dir: str | os.PathLike[str], refused: list[Path]) -> Path:
    target = temporary_path(Path(lucene_dir).resolve(), os.getpid())
    if not target.exists():
        print(f"bmp-plugin: neither {refused[0].parent} nor {refused[1].parent} can be written, so the block-max index is built"
              f" at {target}, and removed in the end: set bmp_dir (--bmp-dir) to a path to keep it", file=sys.stderr)
    return target


def _build(lucene_dir: Path, target: Path, threads: int, progress: bool) -> BmpIndex:
    settings = {}
    try:
        stale = BmpIndex.open(target).manifest
        settings = {"reorder": stale["reorder"], "block_size": stale["block_size"]}
    except (BmpError, FileNotFoundError, KeyError):
        pass                        # there is none, or its layout is of another version
    if progress:
        print(f"Building the block-max index of {lucene_dir} at {target}...", file=sys.stderr)
    with LuceneSource(lucene_dir, FIELD) as source:
        return BmpIndex.build(source, target, threads=threads, progress=progress, **settings)


def _up_to_date(target: Path, wanted: str) -> BmpIndex | None:
    """Returns the index at ``target`` if it was built from the Lucene commit with the fingerprint ``wanted``, else None.

    Raises
    ------
    BuildError
        If ``target`` must not be replaced: it is no index, or an index of another kind of source or another field.
    """
    if not target.exists():
        return None
    if not is_bmp_directory(target):
        raise BuildError(f"{target}: is not a block-max index, so it is not replaced: remove it, or name another place "
                         "with bmp_dir (--bmp-dir)")
    try:
        index = BmpIndex.open(target)
    except BmpError:
        return None                 # damaged, or of another version: will be rebuilt
    source = index.manifest["source"]
    if source["kind"] != "lucene" or source["details"].get("field") != FIELD or "pruning" in source["details"]:
        raise BuildError(f"{target}: was not built from all of the field '{FIELD}' of a Lucene index: "
                         "remove it, or set bmp_dir (--bmp-dir) to another path")
    if source["fingerprint"] != wanted:
        return None
    try:
        _ = index.arrays            # validated on first use
    except BmpError:
        return None                 # damaged
    return index


def lucene_directory_of(index: BmpIndex | ShardedIndex, directory: Path | None = None) -> Path:
    """Returns the Lucene index that a block-max index was built from, for operations that only Lucene offers.

    Parameters
    ----------
    index : BmpIndex or ShardedIndex
    directory : path, optional
        Current path of the Lucene index; by default the path at the time of the build.

    Returns
    -------
    Path

    Raises
    ------
    SourceError
        If the index was not built from Lucene, or the Lucene index is gone or has changed.
    """
    source = index.manifest["source"]
    if source["kind"] != "lucene":
        raise SourceError(f"{index.path}: was built from {source['kind']}, and this needs a Lucene index")
    directory = directory or Path(source["path"])
    try:
        unchanged = fingerprint(directory) == source["fingerprint"]
    except (FileNotFoundError, SourceError) as error:
        raise SourceError(f"{index.path}: this needs its Lucene index, which is gone ({error})") from error
    if not unchanged:
        raise SourceError(f"{index.path}: this needs its Lucene index {directory}, which has changed since: open "
                          "a new searcher on that directory, which builds the block-max index anew")
    return directory


def _is_writable(folder: Path) -> bool:
    """Tells by trying whether ``folder`` is writable, and makes it: permissions do not reveal read-only mounts."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):        # unnamed, so nothing is left behind whatever happens
            return True
    except OSError:
        return False
