"""``bmp-plugin conform``: from an index, topics and qrels to runs and a report."""
from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bmp_plugin._internal.atomic_write import scratch_folder
from bmp_plugin._internal.background_compile import require_compiled_search
from bmp_plugin.adapters.host.topics_and_qrels import Topics, downloads, open_qrels, open_topics
from bmp_plugin.errors import BmpError, SourceError
from bmp_plugin.report import comparison_report
from bmp_plugin.trec.evaluation import MEASURES, measures_named, measures_within
from bmp_plugin.trec.run_comparison import compare
from bmp_plugin.trec.run_file import Run, read_run

from . import other_engines as others
from .timed_runs import HOST, OURS, Encoded, Engine, Searched, engines, search_all

SHOWN = 500            # differing queries listed, per comparison, the worst first
EXPLAINED = 20         # of them with explained scores


@dataclass(frozen=True)
class Options:
    """The options of the command; see its help."""

    index: Path
    topics: str
    output: Path
    qrels: str | None = None
    hits: Sequence[int] = (10, 100, 1000)
    encoder: str | None = None
    onnx_encoder: str | None = None
    min_idf: float = 0
    approximate: Sequence[Mapping[str, float]] = ()
    engines: Sequence[str] | None = None
    measures: Sequence[str] = MEASURES
    download: bool = False
    progress: bool = False
    command: str = ""


def prove(options: Options) -> comparison_report.Report:
    """Searches, compares, evaluates and runs other engines; writes runs, report.json and report.html; returns the report.

    Its ``same`` tells whether all runs of our safe search are byte-identical to Pyserini's.

    Raises
    ------
    FileNotFoundError, ValueError, BmpError
        If the input is unusable, before anything is written.
    """
    require_compiled_search()                # latencies are those of compiled code
    with downloads(options.download):
        return _prove(options)


def _prove(options: Options) -> comparison_report.Report:
    from bmp_plugin.adapters.sources.lucene_source import fingerprint

    fingerprint(options.index)
    measures_named(options.measures)
    if options.encoder and options.onnx_encoder:
        raise ValueError("--encoder and --onnx-encoder: give one of them")
    topics = open_topics(options.topics, options.download)
    if topics.encoded and (options.encoder or options.onnx_encoder):
        raise ValueError(f"--topics {topics.name}: holds vectors already: omit the encoder")
    judged = None if options.qrels is None else open_qrels(options.qrels, options.download)
    searchers = _Searchers(options, topics)
    options.output.mkdir(exist_ok=True)
    with scratch_folder(options.output) as folder:
        asked = engines(searchers.host, searchers.ours, options.approximate)
        ks = list(dict.fromkeys(options.hits))
        searched = search_all(asked, searchers.queries, ks, folder, options.progress)
        runs = {(engine.label, k): _read(folder / engine.file_name(k)) for engine in asked for k in ks}
        sections = [_section(engine, k, runs, judged, options, searchers) for engine in asked[1:] for k in ks]
        found = comparison_report.report(
            f"{options.index.name}, {topics.name}", all(one["byte_identical"] for one in sections if one["safe"]), sections,
            options.command, index=_index(searchers.ours.bmp_index, options.index),
            topics={"name": topics.name, "queries": len(topics.queries), "vectors": topics.encoded,
                    "encoder": options.encoder or options.onnx_encoder, "min_idf": options.min_idf},
            qrels=None if judged is None else {"name": _short(options.qrels or ""), "judgements": len(judged)},
            latency={engine.label: {str(k): comparison_report.latency(searched.seconds[engine.label, k]) for k in ks}
                     for engine in asked},
            latency_includes_encoding=bool(options.onnx_encoder), refused=_refused(searched),
            engines=_engines(asked, ks, runs, searchers, options), lucene=_lucene_versions())
        comparison_report.write(options.output, found)
        for engine in asked:
            for k in ks:
                os.replace(folder / engine.file_name(k), options.output / engine.file_name(k))
    return found


def _short(name: str) -> str:
    return Path(name).name if Path(name).exists() else name


def _read(path: Path) -> Run:
    run = read_run(path)
    if not run.answers:
        raise SourceError(f"{path.name}: no query found anything: are these the topics of this index, and its encoder?")
    return run


class _Searchers:
    """Both searchers on one index, and the queries in the form that both take.

    Attributes
    ----------
    host, ours
    queries : list of (str, query)
        Encoded, unless Anserini encodes.
    vectors : dict
        Query vectors by query id.
    """

    def __init__(self, options: Options, topics: Topics) -> None:
        from bmp_plugin.adapters.pyserini import BmpImpactSearcher, LuceneImpactSearcher

        onnx = options.onnx_encoder is not None
        kind = "onnx" if onnx else "pytorch"
        encoder = Encoded() if topics.encoded else options.onnx_encoder or options.encoder
        arguments: tuple[Any, ...] = (str(options.index), encoder, options.min_idf, kind)
        try:
            self.host = LuceneImpactSearcher(*arguments)
            vectors = [(qid, _vector(self.host.encode(query))) for qid, query in topics.queries]
            same: Any = options.onnx_encoder if onnx else Encoded()
            self.ours = BmpImpactSearcher(str(options.index), same, options.min_idf, kind, progress=options.progress)
        except (BmpError, FileNotFoundError):
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ValueError(f"the encoder {encoder!r} cannot be used ({reason}): if it would have to be downloaded, "
                             "allow that with --download") from None
        self.vectors = dict(vectors)
        self.queries = topics.queries if onnx else vectors
        if not onnx:
            self.host.query_encoder = Encoded()          # so that queries are encoded once, and encoding is not timed
        self._explainer: Any = None

    def searched_for(self) -> dict[str, dict[str, int]]:
        """Returns the tokens that Pyserini searches for, with integer weights, by query id."""
        host = self.host
        keeps = (lambda token: token in host.idf) if host.encoder_type == "onnx" else \
            (lambda token: token in host.idf and host.idf[token] > host.min_idf)
        return {qid: {token: int(weight) for token, weight in vector.items() if keeps(token)}
                for qid, vector in self.vectors.items()}

    def score(self, vector: Mapping[str, Any], docids: Sequence[str]) -> Any:
        """Computes exact scores of documents with the block-max index."""
        return self.ours._searcher.score(vector, docids)

    def explain(self, qid: str, docid: str) -> dict[str, Any]:
        """Returns both engines' explanations of a document's score."""
        from .lucene_explanation import LuceneExplainer

        if self._explainer is None:
            self._explainer = LuceneExplainer(self.host)
        found: dict[str, Any] = {"docid": docid}
        try:
            found["ours"] = self.ours._searcher.explain(self.vectors[qid], docid).as_dict()
            theirs = self._explainer.explain(self.vectors[qid], docid)
            found["lucene"] = {"score": theirs.score, "impacts": theirs.impacts, "text": theirs.text}
        except Exception as error:                       # anything may fail in an engine that is wrong
            found["error"] = (str(error).splitlines() or [type(error).__name__])[0]
        return found


def _vector(encoded: Any) -> Mapping[str, Any]:
    if isinstance(encoded, Mapping):
        return encoded
    return {entry.getKey(): entry.getValue() for entry in encoded.entrySet().toArray() if entry.getValue() > 0}


def _section(engine: Engine, k: int, runs: Mapping[tuple[str, int], Run], judged: Any, options: Options,
             searchers: _Searchers) -> comparison_report.Report:
    a, b = runs[HOST, k], runs[engine.label, k]
    comparison = compare(a, b, judged, SHOWN, depths=[k], measures=measures_within(options.measures, k),
                         judgements=str(options.qrels))
    explained = {found.qid for found in comparison.differences[:EXPLAINED]}
    return comparison_report.section(comparison, a, b, (HOST, engine.label), searchers.explain, explained, k=k,
                                     settings=dict(engine.settings), safe=engine.safe)


def _engines(asked: Sequence[Engine], ks: Sequence[int], runs: Mapping[tuple[str, int], Run], searchers: _Searchers,
             options: Options) -> list[comparison_report.Report]:
    agreement = others.Agreement({k: runs[HOST, k] for k in ks}, searchers.vectors, searchers.score)
    rows = [others.of_run(engine.label, {k: runs[engine.label, k] for k in ks}, agreement,
                          "approximate settings were asked for" if engine.settings else "") for engine in asked]
    postings = searchers.ours.bmp_index.num_postings
    names = options.engines
    if names is None and postings > others.FEW_POSTINGS:
        why = f"not asked: the index has {postings:,} postings, so name it by --engines"
        return rows + [{"engine": name, "version": "", "state": "skipped", "why": why, "k": {}} for name in others.DEFAULT]
    return rows + others.of_others(others.DEFAULT if names is None else names, options.index, searchers.searched_for(), ks,
                                   agreement)


def _index(index: Any, lucene: Path) -> comparison_report.Report:
    source = index.manifest["source"]
    return {"name": lucene.name, "documents": index.num_docs, "terms": index.num_terms, "postings": index.num_postings,
            "lucene_bytes": sum(file.stat().st_size for file in lucene.iterdir() if file.is_file()),
            "bmp_bytes": index.size_bytes, "block_size": index.manifest["block_size"], "reorder": index.manifest["reorder"],
            "fingerprint": source["fingerprint"], "details": source["details"]}


def _refused(searched: Searched) -> list[comparison_report.Report]:
    return [{"engine": label, "k": k, "qid": qid, "reason": reason} for label, k, qid, reason in searched.refused]


def _lucene_versions() -> dict[str, str]:
    from pyserini.pyclass import autoclass

    from bmp_plugin.adapters.java.anserini_jar import anserini_jar

    return {"anserini": anserini_jar().name, "lucene": autoclass("org.apache.lucene.util.Version").LATEST.toString(),
            "java": str(autoclass("java.lang.System").getProperty("java.version"))}


__all__ = ["HOST", "OURS", "Options", "prove"]
