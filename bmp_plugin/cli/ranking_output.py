"""The output of commands that produce a ranking: a run file, or, with ``--json`` and standard output, JSON lines."""
from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from types import TracebackType
from typing import Any

from ..trec.run_file import RunFormat, RunWriter, is_written_atomically
from .arguments import add_json, wants_json


def add_ranking_json(parser: argparse.ArgumentParser) -> None:
    """Adds ``--json`` to a command that writes a run to ``--output``."""
    add_json(parser, "print one JSON object on standard output in place of text; if --output is standard output itself"
                     " (/dev/stdout), write the hits there as JSON lines, one object per query")


def open_output(args: argparse.Namespace, run_format: RunFormat, tag: str) -> RunWriter | HitLines:
    """Opens the writer of the hits to ``args.output``; raises what :class:`~bmp_plugin.trec.run_file.RunWriter` raises."""
    return HitLines() if writes_hit_lines(args) else RunWriter(args.output, run_format, tag)


def writes_hit_lines(args: argparse.Namespace) -> bool:
    """Tells whether the hits go to standard output, as JSON lines, so that no summary may follow them there."""
    if not wants_json(args) or is_written_atomically(args.output):
        return False
    try:
        return os.path.samestat(os.stat(args.output), os.fstat(sys.stdout.fileno()))
    except OSError:
        return False


class HitLines:
    """Writes ``{"qid": ..., "hits": [{"docid": ..., "score": ...}, ...]}`` per query, hits in their order, best first."""

    def __enter__(self) -> HitLines:
        return self

    def write(self, qid: str, hits: Iterable[Any]) -> None:
        """Writes a query's line; hits of an index have their ``lucene_docid`` too."""
        print(json.dumps({"qid": qid, "hits": [_plain(hit) for hit in hits]}, ensure_ascii=False))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()


def _plain(hit: Any) -> dict[str, Any]:
    plain = {"docid": hit.docid, "score": hit.score}
    return plain | {"lucene_docid": hit.lucene_docid} if hasattr(hit, "lucene_docid") else plain
