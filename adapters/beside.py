"""The block-max index that belongs to a Lucene index: found beside it and reused, or built there once and kept."""
from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from bmp_plugin import BmpError, BmpIndex
from bmp_plugin.adapters.lucene import LuceneSource, fingerprint
from bmp_plugin.atomic_write import remove_abandoned
from bmp_plugin.errors import BuildError, SourceError
from bmp_plugin.interprocess_lock import interprocess_lock
from bmp_plugin.sharded.index import ShardedIndex

FIELD = "contents"                  # the only field that Pyserini's impact searcher searches
_MANIFEST = "manifest.json"


def is_bmp_directory(path: str | os.PathLike[str]) -> bool:
    """Whether ``path`` is a block-max index rather than a Lucene one."""
    return (Path(path) / _MANIFEST).is_file()


def path_beside(lucene_dir: str | os.PathLike[str]) -> Path:
    """Where the block-max index of ``lucene_dir`` belongs: ``<lucene_dir>.bmp``."""
    directory = Path(lucene_dir).resolve()
    return directory.with_name(directory.name + ".bmp")


def path_in_cache(lucene_dir: str | os.PathLike[str]) -> Path:
    """Where it is kept if nothing can be written beside ``lucene_dir``: a cache folder of the user's."""
    import platformdirs

    directory = Path(lucene_dir).resolve()
    key = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("bmp-plugin")) / "indexes" / f"{directory.name}-{key}.bmp"


def index_of(lucene_dir: str | os.PathLike[str], *, bmp_dir: str | os.PathLike[str] | None = None, threads: int = 1,
             progress: bool = True) -> BmpIndex:
    """Open the block-max index of a Lucene index, after building it if there is none or it is out of date.

    Two processes that come at once build it once. An index that is replaced keeps its block size and document order.

    Parameters
    ----------
    lucene_dir : path
        Lucene index directory.
    bmp_dir : path, optional
        Where the block-max index is kept; by default :func:`path_beside`, else :func:`path_in_cache`.
    threads : int
        Processor threads for building.
    progress : bool
        Whether building shows a progress bar on standard error.

    Raises
    ------
    FileNotFoundError, bmp_plugin.BmpError
        If the Lucene index cannot be read, or the block-max index cannot be written.
    """
    wanted = fingerprint(lucene_dir)
    beside, cached = path_beside(lucene_dir), path_in_cache(lucene_dir)
    places = [Path(bmp_dir)] if bmp_dir is not None else [beside, cached]
    for place in places:
        index = _fresh(place, wanted)
        if index is not None:
            with suppress(OSError):             # of a folder that others own
                remove_abandoned(place)         # of who was killed with the new index in its place already
            return index
    target = places[0] if bmp_dir is not None or _is_writable(beside.parent) else cached
    try:
        with interprocess_lock(target):
            index = _fresh(target, fingerprint(lucene_dir))     # perhaps another process has just built it
            return index if index is not None else _build(Path(lucene_dir), target, threads, progress)
    except OSError as error:
        if error.filename != str(target):
            raise                               # of what is read
        raise BuildError(f"{target}: cannot be written ({error.strerror}); name another place with bmp_dir") from error


def _build(lucene_dir: Path, target: Path, threads: int, progress: bool) -> BmpIndex:
    settings = {}
    try:
        stale = BmpIndex.open(target).manifest
        settings = {"reorder": stale["reorder"], "block_size": stale["block_size"]}
    except (BmpError, FileNotFoundError, KeyError):
        pass                        # nothing there, or of a layout that this version does not read
    if progress:
        print(f"Building the block-max index of {lucene_dir} at {target}...", file=sys.stderr)
    with LuceneSource(lucene_dir, FIELD) as source:
        return BmpIndex.build(source, target, threads=threads, progress=progress, **settings)


def _fresh(target: Path, wanted: str) -> BmpIndex | None:
    """The index at ``target`` if it was built from the Lucene commit of that fingerprint.

    Raises
    ------
    BuildError
        If ``target`` holds what somebody else wants kept: an index of another kind of source or another field.
    """
    if not target.exists():
        return None
    if not is_bmp_directory(target):
        raise BuildError(f"{target}: is not a block-max index, so it is not replaced: remove it, or name another place "
                         "with bmp_dir")
    try:
        index = BmpIndex.open(target)
    except BmpError:
        return None                 # damaged, or of another version: built anew
    source = index.manifest["source"]
    if source["kind"] != "lucene" or source["details"].get("field") != FIELD or "pruning" in source["details"]:
        raise BuildError(f"{target}: was built from something else than all of the field '{FIELD}' of a Lucene index: "
                         "remove it, or name another place with bmp_dir")
    if source["fingerprint"] != wanted:
        return None
    try:
        _ = index.arrays            # proved at their first use
    except BmpError:
        return None                 # damaged
    return index


def lucene_directory_of(index: BmpIndex | ShardedIndex, directory: Path | None = None) -> Path:
    """The Lucene index that a block-max index was built from, for what only Lucene can answer.

    Parameters
    ----------
    index : BmpIndex or ShardedIndex
    directory : path, optional
        Where the Lucene index is now; by default where it was.

    Raises
    ------
    SourceError
        If it was not built from Lucene, or that index is gone or has changed.
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
    """Whether something can be made in ``folder``; tried, because permissions do not tell of read-only mounts."""
    try:
        with tempfile.TemporaryFile(dir=folder):        # which has no name, so that nothing stays of it whatever happens
            return True
    except OSError:
        return False
