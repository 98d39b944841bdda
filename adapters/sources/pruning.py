"""Static pruning at build time: postings of small impact and documents of low quality are not indexed.

Document-centric pruning keeps each document's largest impacts (Büttcher, Clarke, CIKM 2006), term-centric pruning each
term's (Carmel et al., SIGIR 2001); dropping documents by a quality score is passage-quality pruning (Chang, Mishra,
Macdonald, Mackenzie, SIGIR 2024). Search remains exact on the postings that are kept; the manifest counts the others.
"""
from __future__ import annotations

import math
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from bmp_plugin._internal.compressed import damage_named, lines_of, open_maybe_gzip
from bmp_plugin._internal.kernels import kernel
from bmp_plugin.errors import SourceError
from bmp_plugin.index.source import Documents, PostingBatch, PostingSource, SourceInfo


@dataclass(frozen=True)
class Pruning:
    """What to keep. Pruning applies to documents first, then to each document's postings, then to each term's.

    Attributes
    ----------
    document_share : float in (0, 1]
        Share of each document's postings to keep, those of the largest impacts, rounded up; ties with the last are kept.
    term_share : float in (0, 1]
        Share of each term's postings to keep, likewise.
    drop_documents : path or collection of str, optional
        Documents to drop: docids, or a file with one per line, plain or gzipped.
    quality : path or mapping of str to float, optional
        Quality score of every document: a mapping, or a file with lines of ``docid score``, plain or gzipped.
    min_quality : float, optional
        Documents with a lower quality score are dropped.
    quality_share : float in (0, 1], optional
        Share of the documents to keep, those of the best quality scores (of equal ones the smaller docid), rounded up.

    Raises
    ------
    ValueError
        If a share is out of range, or the quality options are incomplete.
    """

    document_share: float = 1.0
    term_share: float = 1.0
    drop_documents: str | Path | Collection[str] | None = None
    quality: str | Path | Mapping[str, float] | None = None
    min_quality: float | None = None
    quality_share: float | None = None

    def __post_init__(self) -> None:
        for name in ("document_share", "term_share", "quality_share"):
            share = getattr(self, name)
            if share is not None and not 0 < share <= 1:
                raise ValueError(f"{name}={share!r} is not above 0 and at most 1")
        if (self.quality is None) != (self.min_quality is None and self.quality_share is None):
            raise ValueError("quality scores need min_quality or quality_share, and these need quality scores")

    def __bool__(self) -> bool:
        return self != Pruning()

    def applied_to(self, source: PostingSource, temp_dir: str | Path | None = None) -> PostingSource:
        """Returns the source of what is kept; see :class:`PrunedSource`."""
        # cast: its info is computed when the batches are read, and hence a read-only property
        return cast(PostingSource, PrunedSource(source, self, temp_dir))


class PrunedSource:
    """A source whose postings are statically pruned.

    Source document ids do not change, so they have gaps. N and the document frequencies of the ``min_idf`` filter are those
    after pruning. ``info.details["pruning"]`` states what was dropped; it is complete when ``batches`` is exhausted.

    Parameters
    ----------
    source : PostingSource
    pruning : Pruning
    temp_dir : path, optional
        Folder of an unnamed temporary file for the postings by document, 4 bytes each.

    Raises
    ------
    FileNotFoundError
        If a file of docids or quality scores does not exist.
    SourceError
        If such a file is malformed or does not fit the source's documents; so for the source itself.
    """

    def __init__(self, source: PostingSource, pruning: Pruning, temp_dir: str | Path | None = None) -> None:
        self._source, self._pruning, self._temp_dir = source, pruning, temp_dir
        documents = source.documents()
        source_docids = documents.source_docids
        docids = _docids(documents)
        keep = _kept(pruning, docids)
        self._kept_documents = _selected(documents, docids, keep)
        self._kept = np.zeros(int(source_docids[-1]) + 1 if len(source_docids) else 0, np.bool_)
        self._kept[source_docids[keep]] = True
        self._lightest: NDArray[np.int32] | None = None
        dropped = len(docids) - int(np.count_nonzero(keep))
        self._report: dict[str, Any] = {"documents": {"dropped": dropped, "share": _share(dropped, len(docids))}}
        info = source.info
        self.info = SourceInfo(info.kind, info.path, info.fingerprint, len(docids) - dropped, info.ties_by_docid,
                               info.details | {"pruning": self._report})

    def documents(self) -> Documents:
        """Returns the documents that are kept."""
        return self._kept_documents

    def num_postings_hint(self) -> int | None:
        """Returns the source's hint, before pruning."""
        return self._source.num_postings_hint()

    def batches(self) -> Iterator[PostingBatch]:
        """Yields every term that has postings left, once."""
        pruning = self._pruning
        if self._lightest is None:
            self._lightest = np.zeros(len(self._kept), np.int32)
            if pruning.document_share < 1:
                self._find_lightest(self._lightest)
        tally = np.zeros(4, np.int64)       # postings in all and after each step
        for batch in self._batches():
            docs, impacts = np.array(batch.docs, np.int32), np.array(batch.impacts, np.int32)
            counts = np.array(batch.counts, np.int64)
            left = prune(counts, docs, impacts, self._kept, self._lightest, pruning.term_share, tally)
            present = np.flatnonzero(counts)
            counts = counts[present]
            yield PostingBatch([batch.terms[i] for i in present.tolist()], counts.copy(), counts, docs[:left], impacts[:left])
        before, with_documents, with_heavy, left = tally.tolist()
        self._report |= {
            "postings": {"dropped": before - left, "share": _share(before - left, before)},
            "postings_of_documents": {"dropped": before - with_documents, "share": _share(before - with_documents, before)},
            "by_document": {"kept_share": pruning.document_share, "dropped": with_documents - with_heavy,
                            "share": _share(with_documents - with_heavy, with_documents)},
            "by_term": {"kept_share": pruning.term_share, "dropped": with_heavy - left,
                        "share": _share(with_heavy - left, with_heavy)},
        }

    def _batches(self) -> Iterator[PostingBatch]:
        """Yields the source's batches, checked: the kernels use document ids as array indices."""
        for batch in self._source.batches():
            if len(batch.docs) and not 0 <= int(batch.docs.min()) <= int(batch.docs.max()) < len(self._kept):
                raise SourceError(f"{self.info.path}: has a posting of a document that it does not list: export it again")
            yield batch

    def _find_lightest(self, lightest: NDArray[np.int32]) -> None:
        """Fills in each document's least impact that is kept, by two passes over the source."""
        lengths = np.zeros(len(lightest), np.int64)
        for batch in self._batches():
            lengths += np.bincount(batch.docs, minlength=len(lengths))
        lengths[~self._kept] = 0
        ends = np.cumsum(lengths)
        total = int(ends[-1]) if len(ends) else 0
        if total == 0:
            return
        with tempfile.TemporaryFile(dir=self._temp_dir) as file:
            by_document = np.memmap(file, np.int32, "w+", shape=(total,))
            cursors = ends - lengths
            for batch in self._batches():
                scatter(np.ascontiguousarray(batch.docs, np.int32), np.ascontiguousarray(batch.impacts, np.int32), self._kept,
                        cursors, by_document)
            if not np.array_equal(cursors, ends):
                raise SourceError(f"{self.info.path}: changed while it was being read: try again when it is complete")
            lightest_kept(np.asarray(by_document), lengths, self._pruning.document_share, lightest)

    def close(self) -> None:
        """Closes the source."""
        self._source.close()


def _share(part: int, whole: int) -> float:
    return round(part / whole, 6) if whole else 0.0


def _docids(documents: Documents) -> list[str]:
    ends = [0, *documents.docid_ends.tolist()]
    return [documents.docid_bytes[lo:hi].decode() for lo, hi in pairwise(ends)]


def _selected(documents: Documents, docids: list[str], keep: NDArray[np.bool_]) -> Documents:
    names = [docid.encode() for docid, kept in zip(docids, keep.tolist(), strict=True) if kept]
    ends = np.cumsum(np.fromiter(map(len, names), np.int64, len(names)))
    return Documents(b"".join(names), ends, documents.source_docids[keep])


def _kept(pruning: Pruning, docids: list[str]) -> NDArray[np.bool_]:
    """Tells for each document whether it is kept: bool[len(docids)]."""
    keep = np.ones(len(docids), np.bool_)
    if pruning.drop_documents is not None:
        dropped = _listed(pruning.drop_documents)
        unknown = dropped - set(docids)
        if unknown:
            where = _named(pruning.drop_documents, "drop_documents")
            raise SourceError(f"{where}: {len(unknown)} of its {len(dropped)} documents are not in the source, such as"
                              f" {min(unknown)!r}: give docids of the source")
        keep &= np.fromiter((docid not in dropped for docid in docids), np.bool_, len(docids))
    if pruning.quality is not None:
        quality, where = _scores(pruning.quality), _named(pruning.quality, "quality")
        missing = next((docid for docid in docids if docid not in quality), None)
        if missing is not None:
            raise SourceError(f"{where}: has no score of document {missing!r}: score every document")
        scores = np.fromiter((quality[docid] for docid in docids), np.float64, len(docids))
        if not np.all(np.isfinite(scores)):
            raise SourceError(f"{where}: a score is not a finite number")
        if pruning.min_quality is not None:
            keep &= scores >= pruning.min_quality
        if pruning.quality_share is not None:
            order = sorted(range(len(docids)), key=lambda i: (-scores[i], docids[i].encode()))
            keep[order[_kept_of(pruning.quality_share, len(docids)):]] = False
    return keep


def _kept_of(share: float, count: int) -> int:
    return math.ceil(share * count - 1e-9)                  # in floats, 0.7 * 10 is a little more than 7


def _named(value: object, argument: str) -> str:
    return str(value) if isinstance(value, str | Path) else argument


def _listed(value: str | Path | Collection[str]) -> set[str]:
    if not isinstance(value, str | Path):
        return set(value)
    with damage_named(value), open_maybe_gzip(value) as file:
        return {line.strip().decode() for _, line in lines_of(value, file)} - {""}


def _scores(value: str | Path | Mapping[str, float]) -> Mapping[str, float]:
    if not isinstance(value, str | Path):
        return value
    scores: dict[str, float] = {}
    with damage_named(value), open_maybe_gzip(value) as file:
        for number, line in lines_of(value, file):
            parts = line.split()
            if not parts:
                continue
            try:
                docid, score = parts
                known = scores.setdefault(docid.decode(), float(score))
                if b"_" in score or not math.isfinite(known):
                    raise ValueError("a number that only Python takes, or no finite one")
            except UnicodeDecodeError:
                raise
            except ValueError:
                raise SourceError(f"{value}, line {number}: not `docid score`: write a docid, a space and a number") from None
            if known != float(score):
                raise SourceError(f"{value}, line {number}: document {docid.decode()!r} has two scores: give it one")
    return scores


@kernel
def scatter(docs, impacts, kept, cursors, by_document):
    """Scatters each impact of a kept document to the document's cursor, and advances the cursor."""
    for j in range(len(docs)):
        if kept[docs[j]]:
            by_document[cursors[docs[j]]] = impacts[j]
            cursors[docs[j]] += 1


@kernel
def lightest_kept(by_document, lengths, share, lightest):
    """Fills in the least of each document's largest impacts that make up the share: int32[source document ids] ``lightest``."""
    at = np.int64(0)
    for d in range(len(lengths)):
        n = lengths[d]
        if n:
            impacts = np.sort(by_document[at:at + n])
            lightest[d] = impacts[n - kept_of(share, n)]
        at += n


@kernel
def kept_of(share, n):
    """Returns the share of n, rounded up; at least 1."""
    return max(np.int64(1), np.int64(np.ceil(share * n - 1e-9)))


@kernel
def prune(counts, docs, impacts, kept, lightest, term_share, tally):
    """Prunes in place: the postings left move to the front of docs and impacts; counts int64[n] become those left per term.

    Returns the number of postings left. Adds to tally int64[4] the number of postings in all; of kept documents; of those,
    after document-centric pruning; of those, after term-centric pruning.
    """
    to = np.int64(0)
    end = np.int64(0)
    for t in range(len(counts)):
        start, end = end, end + counts[t]
        first = to
        for j in range(start, end):
            if kept[docs[j]]:
                tally[1] += 1
                if impacts[j] >= lightest[docs[j]]:
                    docs[to] = docs[j]
                    impacts[to] = impacts[j]
                    to += 1
        n = to - first
        tally[0] += end - start
        tally[2] += n
        if term_share < 1.0 and n > 0:
            least = np.sort(impacts[first:to])[n - kept_of(term_share, n)]
            to = first
            for j in range(first, first + n):
                if impacts[j] >= least:
                    docs[to] = docs[j]
                    impacts[to] = impacts[j]
                    to += 1
        counts[t] = to - first
        tally[3] += counts[t]
    return to
