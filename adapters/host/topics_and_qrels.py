"""Topics and qrels by name: a file, an ir_datasets id, or one of Pyserini's names.

Nothing is downloaded unless that is allowed; otherwise an error tells what a name would download.
"""
from __future__ import annotations

import contextlib
import gzip
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmp_plugin.errors import BmpError, MissingDependencyError, SourceError
from bmp_plugin.trec.evaluation import read_qrels
from bmp_plugin.trec.topics import read_topics

from .pyserini_import import import_pyserini

IR_DATASETS = "ir_datasets:"
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")


@dataclass(frozen=True)
class Topics:
    """Topics in the order in which they are run.

    Attributes
    ----------
    name : str
        File name without its folder, or the name given.
    queries : list of (str, query)
        Query id, and the input of a searcher's query encoder: a text, or the vector itself.
    encoded : bool
        Whether the queries are vectors.
    """

    name: str
    queries: list[tuple[str, Any]]
    encoded: bool


@contextlib.contextmanager
def downloads(allowed: bool) -> Iterator[None]:
    """Forbids ir_datasets and the Hugging Face hub to download anything within the block, unless ``allowed``.

    Raises
    ------
    BmpError
        If ir_datasets would download something; it names what.
    """
    if allowed:
        yield
        return
    saved = {name: os.environ.get(name) for name in _OFFLINE}
    os.environ.update(dict.fromkeys(_OFFLINE, "1"))                  # the hub's client reads them when it is imported
    with contextlib.ExitStack() as stack:
        if "huggingface_hub.constants" in sys.modules:
            stack.enter_context(_replaced(sys.modules["huggingface_hub.constants"], "HF_HUB_OFFLINE", True))
        with contextlib.suppress(ImportError):
            from ir_datasets.util.download import Download, GoogleDriveDownload, RequestsDownload

            stack.enter_context(_replaced(Download, "path", _path_here(Download.path)))
            for kind in (GoogleDriveDownload, RequestsDownload):
                stack.enter_context(_replaced(kind, "stream", _refuse_download))
        try:
            yield
        finally:
            for name, value in saved.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


def _path_here(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps ir_datasets' ``Download.path`` so that it refuses to download a missing file before it tries any mirror."""
    from ir_datasets.util.download import LocalDownload

    def path(download: Any, force: bool = True) -> Any:
        known = download._path or download._cache_path
        if force and not (known and os.path.exists(known)) and not any(isinstance(m, LocalDownload) for m in download.mirrors):
            _refuse_download(download.mirrors[0])
        return original(download, force)

    return path


def _refuse_download(download: Any) -> Any:
    raise BmpError(f"{getattr(download, 'url', download)} would be downloaded: allow that with --download, or give a file")


def open_topics(name: str, download: bool = False) -> Topics:
    """Reads the topics of a file, of ``ir_datasets:ID`` or of one of Pyserini's names.

    Parameters
    ----------
    name : str
        A file is JSONL with vectors (see :func:`bmp_plugin.trec.topics.read_topics`), or any format that Pyserini reads.
    download : bool
        Whether ir_datasets and Pyserini may download.

    Returns
    -------
    Topics

    Raises
    ------
    FileNotFoundError
        If there is no such file or name.
    BmpError
        If the topics cannot be read, are empty, or would have to be downloaded while ``download`` is False.
    """
    if name.startswith(IR_DATASETS):
        found = [(query.query_id, _text(name, query)) for query in _dataset(name, "queries", download).queries_iter()]
        return Topics(name, _not_empty(name, found), False)
    path = Path(name)
    if path.exists():
        if _holds_vectors(path):
            return Topics(path.name, list(read_topics(path)), True)
        return Topics(path.name, _not_empty(name, _pyserini_queries(name)), False)
    _check_pyserini_name(name, "topics", "--topics", download)
    return Topics(name, _not_empty(name, _pyserini_queries(name)), False)


def open_qrels(name: str, download: bool = False) -> list[Any]:
    """Reads the qrels of a TREC file, of ``ir_datasets:ID`` or of one of Pyserini's names, as ``ir_measures.Qrel``.

    Parameters and exceptions are those of :func:`open_topics`.
    """
    if name.startswith(IR_DATASETS):
        import ir_measures

        found = [ir_measures.Qrel(qrel.query_id, qrel.doc_id, qrel.relevance)
                 for qrel in _dataset(name, "qrels", download).qrels_iter()]
        return _not_empty(name, found)
    if Path(name).exists():
        return read_qrels(name)
    _check_pyserini_name(name, "qrels", "--qrels", download)
    from pyserini.search import get_qrels_file

    return read_qrels(get_qrels_file(name))


def _not_empty(name: str, found: list[Any]) -> list[Any]:
    if not found:
        raise SourceError(f"{name}: is empty")
    return found


def _dataset(name: str, part: str, download: bool) -> Any:
    """Loads a dataset with ``part`` on disk, so that iterating it downloads nothing more."""
    try:
        import ir_datasets
    except ImportError:
        raise MissingDependencyError("ir_datasets is not installed: pip install ir-datasets") from None
    identifier = name.removeprefix(IR_DATASETS)
    with downloads(download):
        try:
            dataset = ir_datasets.load(identifier)
            if not getattr(dataset, f"has_{part}")():
                raise SourceError(f"{name}: has no {part}")
            for _ in getattr(dataset, f"{part}_iter")():
                break
        except KeyError:
            raise SourceError(f"{name}: ir_datasets has no such id") from None
    return dataset


def _text(name: str, query: Any) -> str:
    try:
        return str(query.default_text())
    except (AttributeError, NotImplementedError):
        raise SourceError(f"{name}: its queries are not texts") from None


def _holds_vectors(path: Path) -> bool:
    if path.is_dir():
        raise SourceError(f"{path}: a folder where a file is expected")
    opened: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as lines:
            first = json.loads(next(line for line in lines if line.strip()))
    except (StopIteration, ValueError, OSError, EOFError):
        return False
    return isinstance(first, Mapping) and "vector" in first


def _pyserini_queries(name: str) -> list[tuple[str, Any]]:
    """Returns the queries that ``python -m pyserini.search.lucene --topics`` would run, in its order."""
    import_pyserini()
    from pyserini.query_iterator import TopicsFormat, get_query_iterator

    try:
        return [(str(qid), text) for qid, text in get_query_iterator(name, TopicsFormat.DEFAULT)]
    except FileNotFoundError:
        raise
    except Exception as error:
        text = (str(error).splitlines() or [type(error).__name__])[0]
        raise SourceError(f"{name}: Pyserini cannot read it as topics ({text})") from None


def _check_pyserini_name(name: str, part: str, argument: str, download: bool) -> None:
    """Checks that a name is one of Pyserini's, and that its file exists or may be downloaded.

    Raises
    ------
    FileNotFoundError
        If Pyserini does not know the name.
    BmpError
        If its file would have to be downloaded while ``download`` is False.
    """
    if os.sep in name or importlib.util.find_spec("pyserini") is None:
        raise FileNotFoundError(f"{argument} {name}: no such file")
    import_pyserini()
    from pyserini.search import _base

    known = getattr(_base, f"{part}_mapping").get(name)
    if known is None:
        raise FileNotFoundError(f"{argument} {name}: neither a file, nor {IR_DATASETS}ID, nor one of Pyserini's names")
    path = _base.JPath.of(known.path)
    cached = _base.JTopicReader.getNewTopicsAbsPath(path) if part == "topics" else \
        _base.JRelevanceJudgments.getNewQrelAbsPath(path)
    if not download and not os.path.exists(cached.toString()):
        raise BmpError(f"{argument} {name}: Pyserini would download {known.path}: allow that with --download, or give a file")
