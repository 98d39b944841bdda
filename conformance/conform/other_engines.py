"""The report's second table: the agreement of every engine with Pyserini's rankings, and the reasons for differences.

Other engines get the postings of the Lucene index and Pyserini's query vectors, each in a separate process.
"""
from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from bmp_plugin.errors import BmpError, MissingDependencyError
from bmp_plugin.trec.rank_differences import Difference, Kind, differences
from bmp_plugin.trec.rank_similarity import overlap, rank_biased_overlap
from bmp_plugin.trec.run_file import Run

from ..benchmark import runner
from ..benchmark.collection import Collection
from ..benchmark.engine_processes import EngineProcess
from ..benchmark.engines import ENGINES, Configuration, configurations

DEFAULT = ("exhaustive", "rust-8", "pisa", "seismic:query_cut=10,heap_factor=0.7")
FEW_POSTINGS = 2_000_000
"""Largest index for which all of :data:`DEFAULT` run by default: it takes seconds."""

Rankings = Mapping[str, Sequence[str]]                                # query id to docids
Score = Callable[[Mapping[str, Any], Sequence[str]], Any]             # exact scores of documents, nan for unknown ones


class Agreement:
    """Counts how an engine's rankings agree with Pyserini's.

    Parameters
    ----------
    hosts : dict of int to Run
        Pyserini's run for each k.
    vectors : dict
        Query vectors by query id.
    score : callable
        Computes exact scores, which distinguish tied documents from a wrong order.
    """

    def __init__(self, hosts: Mapping[int, Run], vectors: Mapping[str, Mapping[str, Any]], score: Score) -> None:
        self._hosts, self._vectors, self._score = hosts, vectors, score

    def count(self, rankings: Rankings, k: int) -> dict[str, Any]:
        """Counts queries with Pyserini's ranking and kinds of first differences; averages overlap and rank-biased overlap."""
        same, kinds, shared, similar = 0, dict[Kind, int](), 0.0, 0.0
        for qid, vector in self._vectors.items():
            run = self._hosts[k]
            hosts = [docid for docid, _ in run.ranking(qid)] if qid in run.answers else []
            theirs = list(rankings.get(qid, []))
            shared += overlap(hosts, theirs, k)
            similar += rank_biased_overlap(hosts, theirs)
            if hosts == theirs:
                same += 1
                continue
            found = self._first(qid, vector, hosts, theirs)
            kinds[found.kind] = kinds.get(found.kind, 0) + 1
        total = max(1, len(self._vectors))
        return {"queries": len(self._vectors), "same_ranking": same, "kinds": kinds, "overlap": shared / total,
                "rank_biased_overlap": similar / total}

    def _first(self, qid: str, vector: Mapping[str, Any], hosts: list[str], theirs: list[str]) -> Difference:
        a, b = ([(docid, repr(float(score))) for docid, score in zip(docids, self._score(vector, docids), strict=True)]
                for docids in (hosts, theirs))
        found = list(differences(qid, a, b))
        return next((one for one in found if not one.harmless), found[0])


def of_run(label: str, runs: Mapping[int, Run], agreement: Agreement, why: str = "") -> dict[str, Any]:
    """Returns the row of an engine whose runs exist."""
    found = {}
    for k, run in runs.items():
        found[str(k)] = agreement.count({qid: [docid for docid, _ in run.ranking(qid)] for qid in run.answers}, k)
    return {"engine": label, "version": "", "state": "ran", "why": why, "k": found}


def of_others(names: Sequence[str], index: Path, queries: Mapping[str, Mapping[str, int]], ks: Sequence[int],
              agreement: Agreement) -> list[dict[str, Any]]:
    """Returns a row for each engine, including those that are not installed or fail.

    Parameters
    ----------
    names : sequence of str
        Engines, as on the command line.
    index : Path
        The Lucene index.
    queries : mapping
        Integer weights of the tokens that Pyserini searches for, by query id.
    ks : sequence of int
    agreement : Agreement

    Raises
    ------
    ValueError
        If a name is unknown.
    """
    rows, asked = [], []
    for configuration in configurations(list(names)):
        try:
            ENGINES[configuration.engine].require()
            asked.append(configuration)
        except MissingDependencyError as error:
            rows.append(_unasked(configuration, "skipped", str(error)))
    if not asked:
        return rows
    with tempfile.TemporaryDirectory(prefix="bmp-plugin-engines-") as folder:
        try:
            collection = export(index, Path(folder))
        except BmpError as error:
            return rows + [_unasked(configuration, "skipped", str(error)) for configuration in asked]
        for configuration in asked:
            try:
                rows.append(_ask(configuration, collection, queries, ks, agreement))
            except (BmpError, RuntimeError, ValueError, OSError) as error:
                rows.append(_unasked(configuration, "failed", (str(error).splitlines() or [type(error).__name__])[0]))
    return rows


def _unasked(configuration: Configuration, state: str, why: str) -> dict[str, Any]:
    return {"engine": configuration.label, "version": "", "state": state, "why": why, "k": {}}


def _ask(configuration: Configuration, collection: Collection, queries: Mapping[str, Mapping[str, int]], ks: Sequence[int],
         agreement: Agreement) -> dict[str, Any]:
    engine, settings = ENGINES[configuration.engine], dict(configuration.settings)
    runner.build(collection, configuration.engine)
    asked = {qid: query for qid, query in queries.items() if query}           # queries without tokens have no answer
    process = EngineProcess(collection.work / f"{configuration.engine}.log", "serve", configuration.engine, collection.work,
                            list(asked.values()), ks[0], settings)
    try:
        found = {}
        for k in ks:
            answers = process.ask("answers", settings, k)
            rankings = {qid: [docid for docid, _ in answer] for qid, answer in zip(asked, answers, strict=True)}
            found[str(k)] = agreement.count(rankings, k)
    finally:
        process.close()
    same = all(one["same_ranking"] == one["queries"] for one in found.values())
    return {"engine": configuration.label, "version": _version(engine.distribution), "state": "ran",
            "why": "" if same else engine.differs, "k": found}


def _version(distribution: str) -> str:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def export(index: Path, folder: Path) -> Collection:
    """Exports the live documents of a Lucene index as a collection for other engines.

    Raises
    ------
    BmpError
        If a token has a line break, so that a vocabulary file cannot hold it.
    """
    from bmp_plugin.adapters.sources.lucene_source import LuceneSource

    with LuceneSource(index) as source:
        documents = source.documents()
        terms: list[str] = []
        rows, columns, impacts = [], [], []
        for batch in source.batches():
            number = np.arange(len(terms), len(terms) + len(batch.terms), dtype=np.uint32)
            terms += [term.decode() for term in batch.terms]
            columns.append(np.repeat(number, batch.counts))
            rows.append(np.searchsorted(documents.source_docids, batch.docs).astype(np.int32))
            impacts.append(batch.impacts)
    if any(len(term.splitlines()) != 1 for term in terms):
        raise BmpError(f"{index.name}: has a token with a line break, which other engines' vocabularies cannot hold")
    row = np.concatenate(rows) if rows else np.empty(0, np.int32)
    order = np.argsort(row, kind="stable")
    ends = documents.docid_ends.tolist()
    docids = [documents.docid_bytes[start:end].decode() for start, end in itertools.pairwise([0, *ends])]
    vocabulary = folder / "vocabulary.txt"
    vocabulary.write_text("\n".join(terms), encoding="utf-8")
    np.savez(folder / "collection.npz", ids=np.array(docids), terms=np.concatenate(columns)[order],
             imps=np.concatenate(impacts)[order], ptr=np.searchsorted(row[order], np.arange(len(docids) + 1)))
    collection = Collection(folder / "collection.npz", folder / "engines", vocabulary)
    collection.prepare()
    return collection
