"""Compares Lucene's answers with ours on random collections, for a given time.

    python -m bmp_plugin.conformance.fuzz --seconds 600 --seed 1

With ``--oracle`` Lucene's rules in plain Python take its place, which need no JVM.
A failure is minimized and printed as a test. Exit status: 0 no difference, 1 a difference, 2 unusable input.
"""
from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from bmp_plugin.errors import BmpError

from .case import Case, draw
from .shrink import shrink

Failure = Callable[[Case], str | None]


@dataclass
class Outcome:
    """The outcome of fuzzing: numbers of cases, questions and documents, and a failure with its minimized case."""

    seed: int
    cases: int = 0
    questions: int = 0
    documents: int = 0
    seconds: float = 0.0
    number: int | None = None
    reason: str = ""
    smallest: Case | None = None

    def __str__(self) -> str:
        text = (f"seed {self.seed}: {self.cases:,} cases, {self.documents:,} documents, {self.questions:,} questions in "
                f"{self.seconds:.0f} s: ")
        return text + ("no difference" if self.smallest is None else f"case {self.number} differs: {self.reason}")


def fuzz(seed: int, seconds: float, failure: Failure, max_cases: int | None = None) -> Outcome:
    """Draws cases until the time is over or one fails, which is then minimized.

    Parameters
    ----------
    seed : int
    seconds : float
    failure : callable
        Returns what is wrong with a case, or None; an exception counts as a failure.
    max_cases : int, optional
    """
    outcome, started = Outcome(seed), time.monotonic()
    while (time.monotonic() - started < seconds and (max_cases is None or outcome.cases < max_cases)
           and outcome.smallest is None):
        case = draw(np.random.default_rng([seed, outcome.cases]))
        reason = _reason(case, failure)
        if reason is not None:
            outcome.number, outcome.reason = outcome.cases, reason
            outcome.smallest = shrink(case, lambda one: _reason(one, failure) is not None)
            outcome.reason = _reason(outcome.smallest, failure) or reason
        outcome.cases += 1
        outcome.questions += len(case.questions)
        outcome.documents += sum(map(len, case.segments))
    outcome.seconds = time.monotonic() - started
    return outcome


def _reason(case: Case, failure: Failure) -> str | None:
    try:
        return failure(case)
    except Exception as error:                    # neither engine has a reason to raise anything
        return f"{type(error).__name__}: {error}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.fuzz", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    parser.add_argument("--cases", type=int, help="stop after that many cases")
    parser.add_argument("--oracle", action="store_true",
                        help="compare with Lucene's rules in plain Python, without segments and deletions: needs no JVM")
    options = parser.parse_args(arguments)
    from .check_case import failure, failure_by_oracle

    if not options.oracle:
        try:
            from bmp_plugin.adapters.host.pyserini_import import import_pyserini

            import_pyserini()
        except BmpError as error:
            print(f"fuzz: error: {error}", file=sys.stderr)
            return 2
    outcome = fuzz(options.seed, options.seconds, failure_by_oracle if options.oracle else failure, options.cases)
    print(outcome)
    if outcome.smallest is None:
        return 0
    check = "check_by_oracle" if options.oracle else "check"
    print(f"\n{outcome.smallest.as_test(f'fuzz_{options.seed}_{outcome.number}', check)}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
