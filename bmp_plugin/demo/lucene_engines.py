"""Lucene beside Block-Max Pruning: indexes the demo's vectors by Pyserini, and searches them with its class and the drop-in."""
from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import BuildError
from ..trec.topics import Query
from .timed_engines import Engine


@contextlib.contextmanager
def lucene_engines(folder: Path, docs: Path, topics: Sequence[tuple[str, Query]], hits: int) -> Iterator[list[Engine]]:
    """Provides Pyserini's searcher and its drop-in, on an index that Lucene makes of the vectors in ``docs``.

    What Lucene and its JVM print in the meantime goes to a file in ``folder``: its warnings do not concern the demo.

    Raises
    ------
    MissingDependencyError
        If Pyserini or a JDK is not installed.
    BuildError
        If Pyserini cannot index the vectors.
    """
    from bmp_plugin.adapters.host.pyserini_import import import_pyserini

    with _stderr_to(folder / "lucene.log"):
        import_pyserini()
        index = str(index_with_lucene(folder, docs))
        from pyserini.search.lucene import LuceneImpactSearcher

        from bmp_plugin.adapters.pyserini import BmpImpactSearcher

        # pre-tokenized queries, as Pyserini takes them: each token is repeated by its weight
        texts = {qid: " ".join(token for token, weight in query.items() for _ in range(int(weight))) for qid, query in topics}
        lucene = LuceneImpactSearcher(index, None)
        ours = BmpImpactSearcher(index, None, progress=False)
        yield [
            Engine("Lucene (LuceneImpactSearcher)", lambda text: lucene.search(text, hits), texts, folder / "run.lucene.txt"),
            Engine("bmp (BmpImpactSearcher)", lambda text: ours.search(text, hits), texts, folder / "run.drop-in.txt"),
        ]


def index_with_lucene(folder: Path, docs: Path) -> Path:
    """Indexes the vectors with Pyserini's command, in a separate process; returns the index directory."""
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
def _stderr_to(log: Path) -> Iterator[None]:
    """Redirects standard error, the JVM's included, to a file."""
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
