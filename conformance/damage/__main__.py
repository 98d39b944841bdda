"""Damages index directories at random, queries them in every way, and checks that each is refused or answers correctly.

    python -m bmp_plugin.conformance.damage --cases 10000 --seed 1
    python -m bmp_plugin.conformance.damage --seed 1 --only 4711        # one case again

Half of the cases get new checksums throughout, as an attacker would compute them: those may answer anything, but must not
crash, hang or exhaust memory, and errors must name them. Exit status: 0 no case failed, 1 some did, 2 unusable input.
"""
from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bmp_plugin._internal.progress import tqdm
from bmp_plugin.errors import BmpError

from .damage_worker import Verdict
from .run_cases import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.damage", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000, help="number of cases (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="number of the first case (default: %(default)s)")
    parser.add_argument("--only", type=int, help="run only the case of that number")
    options = parser.parse_args(arguments)
    if options.cases < 1:
        parser.error(f"--cases {options.cases} is not at least 1")
    numbers = [options.only] if options.only is not None else range(options.first, options.first + options.cases)

    def say(number: int, verdict: Verdict) -> None:
        tqdm.write(f"case {number} failed: {verdict.done or 'see --only'}\n  {verdict.wrong}\n  again: python -m "
                   f"bmp_plugin.conformance.damage --seed {options.seed} --only {number}", file=sys.stdout)

    try:
        outcome = run(options.seed, tqdm(numbers, "damaging", unit=" cases", disable=None, file=sys.stderr), say)
    except BmpError as error:
        print(f"damage: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("damage: interrupted", file=sys.stderr)
        return 130
    print(outcome)
    return 1 if outcome.failures else 0


if __name__ == "__main__":
    sys.exit(main())
