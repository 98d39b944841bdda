"""The demo: index, search and evaluate a small real collection, and compare with Lucene where it is installed.

Cranfield (1,400 abstracts, 225 queries) is shipped with the package as SPLADE vectors, without text.
"""
from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import MissingDependencyError
from ..report.headline import verdict_on_runs
from ..trec.topics import Query, read_topics

if TYPE_CHECKING:
    from .timed_engines import Engine

DIFFERENT = 1

NEXT_WITHOUT_LUCENE = """\
Next, with vectors of your own:
  bmp-plugin index --input vectors/ --output passages.bmp
  bmp-plugin search --index passages.bmp --topics topics.tsv --output run.txt
To compare with Lucene, install Pyserini, and a JDK 21 or newer, and run the demo again:
  pip install "bmp-plugin[pyserini]"
"""

NEXT = """\
To swap it in, on the command line or by one line of a script, and to prove it on your data:
  python -m bmp_plugin.search.lucene --index INDEX --topics TOPICS --impact --output run.txt
  from bmp_plugin.adapters.pyserini import BmpImpactSearcher as LuceneImpactSearcher
  bmp-plugin conform --index INDEX --topics TOPICS --output report/
Documentation: docs/ and examples/ in the sources, bmp-plugin COMMAND --help"""


@dataclass
class Collection:
    """The files of the shipped collection."""

    docs: Path
    topics: list[tuple[str, Query]]
    qrels: Path


@contextlib.contextmanager
def shipped_collection() -> Iterator[Collection]:
    """Provides Cranfield as files, however the package is installed."""
    data = resources.files("bmp_plugin.demo")
    with (
        resources.as_file(data / "cranfield_docs.jsonl.gz") as docs,
        resources.as_file(data / "cranfield_queries.jsonl.gz") as queries,
        resources.as_file(data / "cranfield_qrels.txt") as qrels,
    ):
        yield Collection(docs, read_topics(queries), qrels)


def run_demo(output: str | Path | None = None, *, hits: int = 1000) -> int:
    """Runs the demo and prints its results.

    Parameters
    ----------
    output : str or Path, optional
        Folder of indexes and runs; by default a temporary folder, removed at the end.
    hits : int
        Number of hits per query.

    Returns
    -------
    int
        The exit status: 0, or 1 if Lucene was available and its run file differs.
    """
    from .lucene_engines import lucene_engines
    from .timed_engines import latencies, print_table, search_is_compiled

    with contextlib.ExitStack() as stack:
        if output is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bmp-plugin-demo-")))
        else:
            folder = Path(output)
            folder.mkdir(exist_ok=True)
        collection = stack.enter_context(shipped_collection())
        is_timed = search_is_compiled()
        engines = [_block_max_engine(folder, collection, hits)]
        engines[0].write_run()
        try:
            engines += stack.enter_context(lucene_engines(folder, collection.docs, collection.topics, hits))
        except MissingDependencyError as error:
            print(f"skipped the comparison with Lucene: {error}")
        for engine in engines[1:]:
            engine.write_run()
        milliseconds = latencies(engines) if is_timed else []
        print_table(engines, milliseconds, collection.qrels)
        if output is not None:
            print(f"indexes and runs are in {folder}\n")
        if len(engines) == 1:
            print(NEXT_WITHOUT_LUCENE, NEXT, sep="")
            return 0
        print(NEXT, end="\n\n")
        return print_verdict(engines, milliseconds)


def _block_max_engine(folder: Path, collection: Collection, hits: int) -> Engine:
    """Builds the index of the JSON vectors, and returns its searcher."""
    from .. import BmpIndex, BmpSearcher
    from .timed_engines import Engine

    started = time.perf_counter()
    index = BmpIndex.build(collection.docs, folder / "cranfield.bmp", progress=False)
    seconds = time.perf_counter() - started
    print(
        f"Cranfield: {index.num_docs:,} documents, {index.num_postings:,} postings, {len(collection.topics)} queries;"
        f" block-max index of {index.size_bytes / 1e6:.1f} MB from JSON vectors in {seconds:.1f} s",
        flush=True,
    )
    searcher = BmpSearcher(index)
    return Engine("bmp (BmpSearcher)", lambda query: searcher.search(query, hits), dict(collection.topics),
                  folder / "run.bmp.txt")


def print_verdict(engines: Sequence[Engine], milliseconds: Sequence[float]) -> int:
    """Compares the run files with Lucene's, byte for byte, and prints the result in a sentence; returns the exit status.

    Parameters
    ----------
    engines : sequence of Engine
        ``BmpSearcher``, Lucene, and the drop-in, which takes the same queries as Lucene, so that their latencies are compared.
    milliseconds : sequence of float
        Their latencies; empty if they were not measured.
    """
    first, lucene, drop_in = engines
    same = [engine.has_run_of(lucene) for engine in (first, drop_in)]
    print(verdict_on_runs(sum(same), len(same), [milliseconds[1] / milliseconds[2]] if milliseconds else []))
    return 0 if all(same) else DIFFERENT
