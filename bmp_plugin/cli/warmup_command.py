"""``bmp-plugin warmup``: compiles all kernels in advance instead of at first use."""
from __future__ import annotations

import argparse
import importlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._internal import interrupts
from ..errors import MissingDependencyError
from .arguments import add_command, add_quiet, say, shows_progress

if TYPE_CHECKING:
    from .. import BmpIndex

ORDERS = ("none", "bp", "leading")
WITH_KERNELS = (
    "bmp_plugin.searcher.bmp_searcher",
    "bmp_plugin.index.reorder.recursive_bisection",
    "bmp_plugin.index.reorder.leading_terms",
    "bmp_plugin.adapters.sources.pruning",
    "bmp_plugin.adapters.sources.json_vector_source",
    "bmp_plugin.adapters.sources.ciff_decoding",
    "bmp_plugin.adapters.export.ciff_writing",
)
"""Modules that import others with kernels, which are counted before they are compiled."""

NUM_DOCS = 5000
"""Enough documents for reordering to split parts with all threads together, and then with each thread alone."""


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands,
        "warmup",
        "compile and cache all kernels, so that no other command has to wait for it",
        "NUMBA_CACHE_DIR=/srv/kernels bmp-plugin warmup",
        "They are cached in the user's cache folder, or below NUMBA_CACHE_DIR if that is set: once for every version"
        " of bmp-plugin, numba and Python, and for every kind of processor.",
    )
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Builds and searches tiny indexes; returns the exit status."""
    from .._internal import kernels
    from .._internal.background_compile import ENVIRONMENT, wait_for_compiling
    from ..searcher.compiled_search import compile_in_background

    folder = kernels.cache_folder()
    _check_writable(folder)
    kernels.PATIENCE = threading.TIMEOUT_MAX                # nobody has to be told what this command does
    os.environ[ENVIRONMENT] = "wait"
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="bmp-plugin-") as temporary, _kernel_bar(not shows_progress(args)):
        indexes = []
        for source in _sources(Path(temporary)):
            if source.suffix == ".jsonl":
                _parse(source)
            for reorder in ORDERS:
                interrupts.check()
                indexes.append(_build(source, Path(temporary) / f"{source.suffix[1:]}-{reorder}", reorder))
                compile_in_background(indexes[0].path)     # the search is a third of the work, and one kernel
        _convert(indexes[0])
        wait_for_compiling()
        for index in indexes:
            interrupts.check()
            _search(index)
    say(args, f"{folder}: has all kernels, {time.perf_counter() - started:.1f} s")
    return 0


@contextmanager
def _kernel_bar(disabled: bool) -> Iterator[None]:
    """Shows a bar that counts the kernels that are compiled."""
    from numba.core import event

    from .._internal.kernels import count_kernels
    from .._internal.progress import tqdm

    for module in WITH_KERNELS:
        with suppress(MissingDependencyError):
            importlib.import_module(module)
    with tqdm(total=count_kernels()[1], desc="compiling", unit="kernel", disable=disabled) as bar:
        class Count(event.Listener):
            def on_start(self, event: Any) -> None:
                pass

            def on_end(self, event: Any) -> None:
                bar.update(count_kernels()[0] - bar.n)

        with event.install_listener("numba:compile", Count()):
            yield
        bar.update(bar.total - bar.n)            # those that were in the cache, as parts of others


def _check_writable(folder: Path) -> None:
    """Raises ``BmpError`` if the folder cannot be written to."""
    from ..errors import BmpError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise BmpError(f"{folder}: kernels cannot be cached there ({error.strerror}): set NUMBA_CACHE_DIR to a folder that"
                       " can be written") from error


def _sources(folder: Path) -> Iterator[Path]:
    """Yields one small collection in every format that kernels decode. It has lists with block maxima, sparse lists, and
    overflow lists of three digits."""
    postings = {
        f"{share}.{largest}": {doc: 1 + doc * largest // NUM_DOCS for doc in range(0, NUM_DOCS, share)}
        for share in (1, 20, 100, 500)
        for largest in (2**8 - 2, 2**16 - 2, 2**24)
    } | {"overflow": {doc: 300 if doc % 100 == 0 else 7 for doc in range(0, NUM_DOCS, 10)}}
    path = folder / "vectors.jsonl"
    path.write_text("".join(
        json.dumps({"id": str(doc), "vector": {term: docs[doc] for term, docs in postings.items() if doc in docs}}) + "\n"
        for doc in range(NUM_DOCS)
    ))
    yield path
    try:
        from bmp_plugin.adapters.sources.ciff_messages import messages

        types = messages()
    except MissingDependencyError:
        return
    path = folder / "lists.ciff"
    written = [types.Header(version=1, num_postings_lists=len(postings), num_docs=NUM_DOCS)]
    for term, docs in sorted(postings.items()):
        gaps = [doc - before for before, doc in zip([0, *docs], docs, strict=False)]
        written.append(types.PostingsList(term=term, df=len(docs), postings=[
            types.Posting(docid=gap, tf=impact) for gap, impact in zip(gaps, docs.values(), strict=True)]))
    written += [types.DocRecord(docid=doc, collection_docid=str(doc)) for doc in range(NUM_DOCS)]
    path.write_bytes(b"".join(map(_delimited, written)))
    yield path


def _delimited(message: Any) -> bytes:
    data: bytes = message.SerializeToString()
    length, prefix = len(data), bytearray()
    while length > 127:
        prefix.append(length & 127 | 128)
        length >>= 7
    return bytes([*prefix, length]) + data


def _build(source: Path, output: Path, reorder: str) -> BmpIndex:
    """Builds and verifies an index, and one of fewer postings."""
    from bmp_plugin.adapters.sources.pruning import Pruning

    from .. import BmpIndex

    BmpIndex.build(source, output, prune=Pruning(document_share=0.5, term_share=0.5), progress=False)
    index = BmpIndex.build(source, output, reorder=reorder, progress=False)
    index.verify()
    return index


def _parse(source: Path) -> None:
    """Parses JSON vectors in the way of large collections."""
    from bmp_plugin.adapters.sources.json_stream import Lines
    from bmp_plugin.adapters.sources.regular_documents import parse_mostly_regular

    parse_mostly_regular(Lines(source, 1, source.read_bytes()))


def _convert(index: BmpIndex) -> None:
    """Exports an index in every format."""
    from bmp_plugin.adapters.export.ciff_writing import write_ciff

    with suppress(MissingDependencyError):
        write_ciff(index, index.path.with_suffix(".ciff"), progress=False)


def _search(index: BmpIndex) -> None:
    """Searches in every way that compiles kernels."""
    from .. import BmpSearcher

    with BmpSearcher(index) as searcher:
        terms = index.terms()
        searcher.search(dict.fromkeys(terms, 3))
        searcher.search(dict.fromkeys(terms, 3), k=1000, alpha=0.9, beta=0.5, budget=2)
        searcher.search({terms[0]: 2**31 - 1})                   # scored exhaustively
        searcher.search({terms[0]: 1, terms[1]: 0}, k=NUM_DOCS)
        searcher.score({terms[0]: 1}, ["0"])
        searcher.explain({terms[0]: 1}, "0")
