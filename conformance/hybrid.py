"""Evaluation of fusion with a dense run: ``python -m bmp_plugin.conformance.hybrid``.

The dense run comes from latent semantic indexing (Deerwester et al., 1990) of the sparse vectors, because a neural encoder
would have to be downloaded: cosines in a low-dimensional space, with every document scored. It is a weaker retriever than
one would fuse with in practice, but a different one.
"""
from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bmp_plugin.adapters.sources.json_stream import json_files, json_objects
from bmp_plugin.adapters.sources.matrix_source import MatrixSource
from bmp_plugin.index.block_max_index import BmpIndex
from bmp_plugin.searcher.bmp_searcher import BmpSearcher
from bmp_plugin.trec.evaluation import averages, evaluate, read_qrels
from bmp_plugin.trec.fusion import Fused, fuse_runs
from bmp_plugin.trec.run_file import RunWriter, read_run
from bmp_plugin.trec.topics import Query, read_topics

DIMENSIONS = 128
WEIGHTS = (0.2, 0.4, 0.5, 0.6, 0.8)
RRF_K = 60


class Corpus(NamedTuple):
    """A collection in memory: a SciPy CSR matrix of impacts, a docid per row, a term per column."""

    matrix: object
    docids: list[str]
    terms: list[str]


def read_corpus(vectors: Path) -> Corpus:
    """Reads JSON vectors, a file or a folder."""
    from scipy.sparse import csr_matrix

    numbers: dict[str, int] = {}
    docids, ends, columns, weights = [], [0], [], []
    for file in json_files(vectors):
        for _, document in json_objects(file):
            docids.append(str(document["id"]))
            columns += [numbers.setdefault(token, len(numbers)) for token in document["vector"]]
            weights += document["vector"].values()
            ends.append(len(columns))
    return Corpus(csr_matrix((weights, columns, ends), shape=(len(docids), len(numbers))), docids, list(numbers))


def dense_run(corpus: Corpus, topics: Sequence[tuple[str, Query]], output: Path, k: int,
              dimensions: int = DIMENSIONS) -> None:
    """Writes the run of cosines between queries and documents in the space of the largest singular vectors."""
    from scipy.sparse import csr_matrix, diags
    from scipy.sparse.linalg import svds

    matrix = csr_matrix(corpus.matrix, dtype=np.float64)
    idf = np.log(matrix.shape[0] / np.maximum(1, matrix.getnnz(axis=0)))
    left, values, right = svds(matrix @ diags(idf), k=min(dimensions, min(matrix.shape) - 1),
                               v0=np.ones(min(matrix.shape)), solver="arpack")
    documents = left * values
    documents /= np.maximum(np.linalg.norm(documents, axis=1, keepdims=True), 1e-12)
    column = {term: number for number, term in enumerate(corpus.terms)}
    with RunWriter(output, "trec", "lsi") as writer:
        for qid, query in topics:
            known = [token for token in query if token in column]
            at = [column[token] for token in known]
            vector = right[:, at] @ (idf[at] * np.array([query[token] for token in known], np.float64))
            cosines = documents @ (vector / max(float(np.linalg.norm(vector)), 1e-12))
            best = np.lexsort((np.arange(len(cosines)), -cosines))[:k]
            writer.write(qid, [Fused(corpus.docids[i], float(cosines[i])) for i in best.tolist()])


def sparse_run(corpus: Corpus, topics: Sequence[tuple[str, Query]], index: Path, output: Path, k: int) -> None:
    """Builds the block-max index and writes its run."""
    searcher = BmpSearcher(BmpIndex.build(MatrixSource(corpus.matrix, corpus.docids, corpus.terms), index, progress=False))
    answers = searcher.batch_search([query for _, query in topics], [qid for qid, _ in topics], k)
    with RunWriter(output) as writer:
        for qid, hits in answers.items():
            writer.write(qid, hits)


def reciprocal_rank(paths: Sequence[Path], k: int) -> Mapping[str, list[Fused]]:
    """Computes reciprocal rank fusion (Cormack et al., 2009), for comparison."""
    sums: dict[str, dict[str, float]] = {}
    for path in paths:
        run = read_run(path)
        for qid in run.answers:
            of_query = sums.setdefault(qid, {})
            for rank, (docid, _) in enumerate(run.ranking(qid), 1):
                of_query[docid] = of_query.get(docid, 0.0) + 1 / (RRF_K + rank)
    return {qid: [Fused(docid, scores[docid]) for docid in sorted(scores, key=lambda d: (-scores[d], d.encode()))][:k]
            for qid, scores in sums.items()}


def table(folder: Path, qrels: Path, k: int) -> list[str]:
    """Returns the lines of a Markdown table: each run alone, and the fusions."""
    paths = [folder / "sparse.txt", folder / "dense.txt"]
    fused: dict[str, Mapping[str, list[Fused]]] = {f"reciprocal rank, k = {RRF_K}": reciprocal_rank(paths, k)}
    for name, minima in (("min-max", [None, None]), ("theoretical minimum", [0.0, -1.0])):
        for weight in WEIGHTS:
            fused[f"convex, {name}, dense weight {weight}"] = fuse_runs(paths, [1 - weight, weight], minima, k)
    runs = {"sparse": read_run(paths[0]), "dense (LSI)": read_run(paths[1])}
    for number, (name, answers) in enumerate(fused.items()):
        with RunWriter(folder / f"fused{number}.txt", "trec", "fused") as writer:
            for qid, hits in answers.items():
                writer.write(qid, hits)
        runs[name] = read_run(folder / f"fused{number}.txt")
    measured = {name: averages(values) for name, values in evaluate(runs, read_qrels(qrels)).items()}
    names = list(next(iter(measured.values())))
    lines = [f"| run | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
    return lines + [f"| {name} | {' | '.join(f'{values[x]:.4f}' for x in names)} |" for name, values in measured.items()]


def main(argv: Sequence[str] | None = None) -> int:
    """Writes both runs, fuses them, and prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bmp_plugin.conformance.hybrid", description=__doc__,
                                     formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--vectors", type=Path, required=True, help="JSON vectors, a file or a folder")
    parser.add_argument("--queries", type=Path, required=True, help="topics, as for bmp-plugin search")
    parser.add_argument("--qrels", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder for index and runs")
    parser.add_argument("--hits", type=int, default=1000)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    args = parser.parse_args(argv)
    args.work.mkdir(parents=True, exist_ok=True)
    corpus, topics = read_corpus(args.vectors), read_topics(args.queries)
    sparse_run(corpus, topics, args.work / "sparse.bmp", args.work / "sparse.txt", args.hits)
    dense_run(corpus, topics, args.work / "dense.txt", args.hits, args.dimensions)
    print("\n".join(table(args.work, args.qrels, args.hits)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
