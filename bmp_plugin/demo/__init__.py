"""The demo: index, search and evaluate a small real collection, and compare with Lucene where it is installed.

Cranfield (1,400 abstracts, 225 queries) is shipped with the package as SPLADE vectors, without text.
"""
from __future__ import annotations

import contextlib
import filecmp
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from ..errors import BuildError, MissingDependencyError
from ..trec.evaluation import MEASURES, averages, evaluate, read_qrels
from ..trec.run_file import RunWriter, read_run
from ..trec.topics import Query, read_topics

DIFFERENT = 1


@dataclass
class Measured:
    """A run, its mean time per query in milliseconds (reading the hits included) and its measures."""

    engine: str
    run: Path
    milliseconds: float
    measures: dict[str, float]


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
    with contextlib.ExitStack() as stack:
        if output is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bmp-plugin-demo-")))
        else:
            folder = Path(output)
            folder.mkdir(exist_ok=True)
        collection = stack.enter_context(shipped_collection())
        measured = [_block_max(folder, collection, hits)]
        try:
            measured += _with_lucene(folder, collection, hits)
        except MissingDependencyError as error:
            print(f"skipped the comparison with Lucene: {error}")
        _print_table(measured)
        same = _print_identity(measured)
        if output is not None:
            print(f"indexes and runs are in {folder}")
        return 0 if same else DIFFERENT


def _block_max(folder: Path, collection: Collection, hits: int) -> Measured:
    from .. import BmpIndex, BmpSearcher

    started = time.perf_counter()
    index = BmpIndex.build(collection.docs, folder / "cranfield.bmp", progress=False)
    seconds = time.perf_counter() - started
    print(
        f"Cranfield: {index.num_docs:,} documents, {index.num_postings:,} postings, {len(collection.topics)} queries;"
        f" block-max index of {index.size_bytes / 1e6:.1f} MB from JSON vectors in {seconds:.1f} s",
        flush=True,
    )
    with BmpSearcher(index) as searcher:
        return _measure(
            "bmp (BmpSearcher)",
            folder / "run.bmp.txt",
            collection,
            dict(collection.topics),
            lambda query: searcher.search(query, hits),
        )


def _measure(
    engine: str, path: Path, collection: Collection, queries: dict[str, Any], search: Callable[[Any], list[Any]]
) -> Measured:
    """Writes the run, which warms up, then times searching and reading docids and scores; evaluates the run."""
    with RunWriter(path) as writer:
        for qid, query in queries.items():
            writer.write(qid, search(query))
    started = time.perf_counter()
    for query in queries.values():
        for hit in search(query):
            _ = hit.docid, hit.score
    milliseconds = 1000 * (time.perf_counter() - started) / len(queries)
    values = evaluate({engine: read_run(path)}, read_qrels(collection.qrels))[engine]
    return Measured(engine, path, milliseconds, averages(values))


def _with_lucene(folder: Path, collection: Collection, hits: int) -> list[Measured]:
    """Searches the same vectors in Lucene, with Pyserini's class and with its drop-in.

    Raises
    ------
    MissingDependencyError
        If Pyserini or a JDK is not installed.
    """
    from bmp_plugin.adapters.host.pyserini_import import import_pyserini

    with _quiet_stderr(folder / "lucene.log"):
        import_pyserini()
        lucene_index = _index_with_lucene(folder, collection.docs)
        from pyserini.search.lucene import LuceneImpactSearcher

        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        # pre-tokenized queries, as Pyserini takes them: each token is repeated by its weight
        texts = {
            qid: " ".join(token for token, weight in query.items() for _ in range(int(weight)))
            for qid, query in collection.topics
        }
        lucene = LuceneImpactSearcher(str(lucene_index), None)
        ours = BmpImpactSearcher(str(lucene_index), None, progress=False)
        return [
            _measure("Lucene (LuceneImpactSearcher)", folder / "run.lucene.txt", collection, texts,
                     lambda text: lucene.search(text, hits)),
            _measure("bmp (BmpImpactSearcher)", folder / "run.drop-in.txt", collection, texts,
                     lambda text: ours.search(text, hits)),
        ]


def _index_with_lucene(folder: Path, docs: Path) -> Path:
    """Indexes the vectors with Pyserini's command, in a separate process; returns the index directory."""
    import subprocess

    from bmp_plugin.adapters.java.jdk import find_jdk

    vectors, index, log = folder / "cranfield-vectors", folder / "cranfield-lucene", folder / "lucene-indexing.log"
    for old in (vectors, index):
        if old.is_dir():
            shutil.rmtree(old)
    vectors.mkdir()
    shutil.copy(docs, vectors)
    print("indexing the same vectors with Lucene ...", flush=True)
    command = [
        sys.executable, "-m", "pyserini.index.lucene", "--collection", "JsonVectorCollection", "--input", str(vectors),
        "--index", str(index), "--generator", "DefaultLuceneDocumentGenerator", "--threads", "1", "--impact",
        "--pretokenized",
    ]  # fmt: skip
    environment = {**os.environ, "JAVA_HOME": str(find_jdk())}
    with open(log, "wb") as output:
        status = subprocess.run(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
    if status.returncode or not any(index.glob("segments_*")):
        last = (log.read_text(errors="replace").strip().splitlines() or ["no output"])[-1]
        raise BuildError(f"Pyserini could not index the vectors ({last}): use --output and see {log.name} there")
    return index


@contextlib.contextmanager
def _quiet_stderr(log: Path) -> Iterator[None]:
    """Redirects standard error, the JVM's included, to a file: Lucene's warnings do not concern the demo."""
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(log, "wb") as file:
            os.dup2(file.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(saved, 2)
        os.close(saved)


def _print_table(measured: list[Measured]) -> None:
    print()
    print(f"{'engine':<31}{'ms/query':>11}" + "".join(f"{name:>9}" for name in MEASURES))
    for row in measured:
        values = "".join(f"{row.measures[name]:>9.4f}" for name in MEASURES)
        print(f"{row.engine:<31}{row.milliseconds:>11.2f}{values}")
    print("(one thread, warm, docids and scores of all hits read)")
    print()


def _print_identity(measured: list[Measured]) -> bool:
    """Compares every run file with the first, byte for byte, and prints the result; returns whether all are equal."""
    first, *others = measured
    same = True
    for other in others:
        equal = filecmp.cmp(first.run, other.run, shallow=False)
        same &= equal
        print(
            f"{first.run.name} and {other.run.name}: "
            + (f"byte-identical ({first.run.stat().st_size:,} bytes)" if equal else "DIFFERENT")
        )
    return same
