"""Minimization of a failing case: parts are removed and numbers lowered while it still fails."""
from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from .case import Case, Document, Question

Fails = Callable[[Case], bool]
Item = TypeVar("Item")
ROUNDS = 4


def shrink(case: Case, fails: Fails, attempts: int = 600) -> Case:
    """Returns the smallest failing case found with a limited number of attempts.

    Delta debugging of questions, deletions, documents and tokens, then of numbers and names, repeated until nothing helps.

    Notes
    -----
    A. Zeller, R. Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002.
    """
    tried = _Limited(fails, attempts)
    for _ in range(ROUNDS):
        before = case
        for step in (_questions, _settings, _deletions, _documents, _tokens, _numbers, _names):
            case = step(case, tried)
        if case == before:
            break
    return case


class _Limited:
    """Calls ``fails`` until the attempts are used up; from then on nothing fails, so nothing gets smaller."""

    def __init__(self, fails: Fails, attempts: int) -> None:
        self._fails, self._left = fails, attempts

    def __call__(self, case: Case) -> bool:
        self._left -= 1
        return self._left >= 0 and self._fails(case)


def fewest(items: Sequence[Item], fails: Callable[[list[Item]], bool]) -> list[Item]:
    """Returns a sublist that still fails, from which no single item can be removed: algorithm ddmin, by complements."""
    found, parts = list(items), 2
    while found:
        size = -(-len(found) // parts)
        for start in range(0, len(found), size):
            rest = found[:start] + found[start + size:]
            if fails(rest):
                found, parts = rest, max(parts - 1, 2)
                break
        else:
            if size == 1:
                return found
            parts = min(len(found), 2 * parts)
    return found


def _questions(case: Case, fails: Fails) -> Case:
    return replace(case, questions=fewest(case.questions, lambda some: bool(some) and fails(replace(case, questions=some))))


def _settings(case: Case, fails: Fails) -> Case:
    for simple in (replace(case, reorder="none"), replace(case, block_size=4)):
        merged = replace(simple, reorder=simple.reorder if case.reorder != simple.reorder else case.reorder,
                         block_size=simple.block_size if case.block_size != simple.block_size else case.block_size)
        if merged != case and fails(merged):
            case = merged
    one = replace(case, segments=[[document for segment in case.segments for document in segment]])
    return one if len(case.segments) > 1 and fails(one) else case


def _deletions(case: Case, fails: Fails) -> Case:
    if not case.deleted:
        return case
    return replace(case, deleted=fewest(case.deleted, lambda some: fails(replace(case, deleted=some))))


def _documents(case: Case, fails: Fails) -> Case:
    placed = [(number, document) for number, segment in enumerate(case.segments) for document in segment]
    return _with(case, fewest(placed, lambda some: _sound(some) and fails(_with(case, some))))


def _with(case: Case, placed: Sequence[tuple[int, Document]]) -> Case:
    segments = [[document for at, document in placed if at == number] for number in range(len(case.segments))]
    docids = {document[0] for _, document in placed}
    return replace(case, segments=[segment for segment in segments if any(vector for _, vector in segment)],
                   deleted=[docid for docid in case.deleted if docid in docids])


def _sound(placed: Sequence[tuple[int, Document]]) -> bool:
    return any(vector for _, (_, vector) in placed)


def _tokens(case: Case, fails: Fails) -> Case:
    tokens = sorted({token for segment in case.segments for _, vector in segment for token in vector}
                    | {token for question in case.questions for token in question.query})

    def only(kept: list[str]) -> Case:
        documents = [[(docid, {t: i for t, i in vector.items() if t in kept}) for docid, vector in segment]
                     for segment in case.segments]
        questions = [replace(question, query={t: w for t, w in question.query.items() if t in kept})
                     for question in case.questions]
        return replace(case, segments=[part for part in documents if any(vector for _, vector in part)], questions=questions)

    return only(fewest(tokens, lambda kept: bool(only(kept).segments) and fails(only(kept))))


def _numbers(case: Case, fails: Fails) -> Case:
    changed = True
    while changed:
        changed = False
        for smaller in _smaller(case):
            if fails(smaller):
                case, changed = smaller, True
                break
    return case


def _smaller(case: Case) -> Iterator[Case]:
    """Yields cases with one or two smaller numbers, the largest changes first."""
    for f in (lambda _: 1, lambda n: n // 2):
        lowered = [[(docid, {t: max(1, f(i)) for t, i in vector.items()}) for docid, vector in segment]
                   for segment in case.segments]
        if lowered != case.segments:
            yield replace(case, segments=lowered)
    for number, question in enumerate(case.questions):
        for smaller in _simpler(question):
            yield replace(case, questions=[*case.questions[:number], smaller, *case.questions[number + 1:]])


def _simpler(question: Question) -> Iterator[Question]:
    if question.min_idf != 0:
        yield replace(question, min_idf=0.0)
    for k in dict.fromkeys((1, 2, question.k // 2, question.k - 1)):
        if 1 <= k < question.k:
            yield replace(question, k=k)
    for token, weight in question.query.items():
        for lower in dict.fromkeys((1, weight // 2)):
            if 1 <= lower < weight:
                yield replace(question, query=question.query | {token: lower})


def _names(case: Case, fails: Fails) -> Case:
    """Replaces docids by plain ones in the same byte order, if names do not matter."""
    docids = sorted({docid for segment in case.segments for docid, _ in segment}, key=str.encode)
    width = len(str(len(docids)))
    plain = {docid: f"d{number:0{width}}" for number, docid in enumerate(docids)}
    renamed = replace(case, segments=[[(plain[docid], vector) for docid, vector in segment] for segment in case.segments],
                      deleted=[plain[docid] for docid in case.deleted])
    return renamed if renamed != case and fails(renamed) else case
