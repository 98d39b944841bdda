"""Detection of a source's format from its content, so that no flag is needed."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from bmp_plugin.compressed import damage_named, open_maybe_gzip
from bmp_plugin.errors import SourceError

from .source import PostingSource

if TYPE_CHECKING:
    from bmp_plugin.quantize import Quantization

    from .pruning import Pruning
    from .vectors import Document

EXPECTED = "a Lucene index directory, a CIFF file, or a file or folder of JSON vectors"


@contextmanager
def given_source(source: str | Path | PostingSource | Iterable[Document], field: str = "contents", progress: bool = False,
                 quantize: int | Quantization | None = None, prune: Pruning | None = None, *, threads: int = 1,
                 temp_dir: str | Path | None = None) -> Iterator[PostingSource]:
    """Opens what a build was given as a source of postings, and closes it afterwards unless the caller opened it.

    Parameters
    ----------
    source : str, Path, PostingSource or iterable
        A path for :func:`open_source`, an open source, or an iterable of documents.
    field, progress, quantize, threads, temp_dir
        See :func:`open_source`.
    prune : Pruning, optional
        Static pruning of the source.

    Raises
    ------
    ValueError
        If ``quantize`` is given for an open source, whose impacts are integers already.
    """
    opened: Any
    if isinstance(source, str | Path):
        opened = open_source(source, field, progress, quantize, threads=threads, temp_dir=temp_dir)
    elif hasattr(source, "batches"):
        if quantize is not None:
            raise ValueError("quantize: set it when you create the source, whose impacts are integers already")
        opened = source
    else:
        from .vectors import VectorSource

        opened = VectorSource(source, quantize=quantize, temp_dir=temp_dir, progress=progress)
    try:
        if prune:
            from .pruning import PrunedSource

            yield cast(PostingSource, PrunedSource(opened, prune, temp_dir))
        else:
            yield opened
    finally:
        if opened is not source:
            opened.close()


def open_source(path: str | Path, field: str = "contents", progress: bool = False,
                quantize: int | Quantization | None = None, *, threads: int = 1,
                temp_dir: str | Path | None = None) -> PostingSource:
    """Opens a source of postings.

    Parameters
    ----------
    path : str or Path
        Lucene index directory; CIFF file; file or folder of JSON vectors. CIFF and JSON may be gzipped.
    field : str
        Field of a Lucene index; the other formats have only one.
    progress : bool
        Show a progress bar where opening reads the whole source (JSON vectors).
    quantize : int or Quantization, optional
        Number of bits of the impacts to which the float weights of JSON vectors are quantized.
    threads : int
        Number of processes that read, where reading is parallel (JSON vectors).
    temp_dir : str or Path, optional
        Folder of unnamed temporary files; the system's by default.

    Returns
    -------
    PostingSource

    Raises
    ------
    FileNotFoundError
        If the path does not exist.
    SourceError
        If the format is not recognized, or the source is damaged.
    MissingDependencyError
        If reading the format needs a package that is not installed.
    """
    path = Path(path)
    if quantize is not None:
        return _quantized(path, quantize, progress, temp_dir)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder: give {EXPECTED}")
    if path.is_dir():
        if _is_lucene_directory(path):
            from .lucene import LuceneSource

            return LuceneSource(path, field=field)
        if any(path.glob("segments_*")):
            raise SourceError(f"{path}: looks like a Lucene index but is not a readable one: check that it is complete")
        if (path / "manifest.json").is_file():
            raise SourceError(f"{path}: already a block-max index: search it, or give {EXPECTED}")
        return _json_vectors(path, progress, threads, temp_dir)
    with damage_named(path), open_maybe_gzip(path) as file:
        head = file.read(4096)
    if head.lstrip()[:1] in (b"{", b"["):
        return _json_vectors(path, progress, threads, temp_dir)
    from .ciff import CiffSource, begins_like_ciff

    if begins_like_ciff(head):
        return CiffSource(path)
    raise SourceError(f"{path}: {'an empty file' if not head else 'not recognized'}: give {EXPECTED}")


def _quantized(path: Path, quantize: int | Quantization, progress: bool, temp_dir: str | Path | None) -> PostingSource:
    from .json_stream import begins_like_json, json_files
    from .vectors import VectorSource, json_documents

    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file or folder: give JSON vectors")
    files = [] if path.is_dir() and _is_lucene_directory(path) else json_files(path)
    if not files or not begins_like_json(files[0]):
        raise SourceError(f"{path}: not JSON vectors, and only their weights can be quantized: omit quantize")
    return VectorSource(json_documents(path), quantize=quantize, origin=str(path.resolve()), temp_dir=temp_dir,
                        progress=progress)


def _json_vectors(path: Path, progress: bool, threads: int, temp_dir: str | Path | None) -> PostingSource:
    from .json_vectors import JsonVectorSource

    # cast: its info is a read-only property, computed when the files are read, which the protocol's type does not allow
    return cast(PostingSource, JsonVectorSource(path, progress=progress, threads=threads, temp_dir=temp_dir))


def _is_lucene_directory(path: Path) -> bool:
    from .lucene import is_lucene_directory

    return is_lucene_directory(path)
