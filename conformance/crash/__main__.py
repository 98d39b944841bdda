"""Kills, fills the disk, fails and interrupts at every file-system call of all writers; then at random times, and in races.

    python -m bmp_plugin.conformance.crash --seconds 600
    python -m bmp_plugin.conformance.crash --lucene indexes/my-splade-index --seconds 600

After each case, either the previous output is still in place or the new one is complete; a failure was reported in one line;
and the next run leaves the new output and nothing else. Exit status: 0 if that held in all cases, 1 if not, 2 unusable input.
"""
from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from bmp_plugin.errors import BmpError

from .faults import KINDS, Child, Ended, Fault, syncs_of
from .writers import Stage, State, left_in, opens, stages, state_of

_REFUSALS = ("BmpError", "BuildError", "SourceError", "OSError", "PermissionError", "KeyboardInterrupt")


class Unsound(Exception):
    """A stage that fails without any fault."""


class Trial:
    """A stage, tried out in ``folder``: its output, the number of its calls, and its duration.

    Raises
    ------
    Unsound
        If it writes nothing, or nothing sound, or leaves other files.
    """

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.folder = stage, folder
        self.place = folder / stage.output
        stage.prepare(folder)
        self.before: State = state_of(self.place)
        started = time.monotonic()
        ended = Child(self._act, folder).wait()
        self.seconds = time.monotonic() - started
        self.calls = ended.calls
        self.after: State = state_of(self.place)
        if ended.status:
            raise Unsound(f"{stage.name}: fails by itself: {ended.raised}")
        if self.after in (None, self.before) or (self.place.is_dir() and opens(self.place)):
            raise Unsound(f"{stage.name}: makes nothing, or nothing sound")
        if left_in(folder, stage):
            raise Unsound(f"{stage.name}: leaves {left_in(folder, stage)}")

    def _act(self) -> None:
        self.stage.act(self.folder)

    def not_durable(self) -> str | None:
        """Returns what was not synced before the rename, or that the rename was not synced after it; None if all was."""
        self.stage.prepare(self.folder)
        syncs = syncs_of(self._act, self.folder)
        named = max((i for i, sync in enumerate(syncs) if sync.call == "rename"), default=0)
        before, after = ({sync.inode for sync in part if sync.call == "sync"} for part in (syncs[:named], syncs[named:]))
        paths = [self.place, *self.place.rglob("*")] if self.place.is_dir() else [self.place]
        late = [path.name for path in paths if path.stat().st_ino not in before]
        if self.place.parent.stat().st_ino not in after:
            late.append("its name")
        return f"not on the disk: {', '.join(late)}" if late else None

    def met(self, fault: Fault) -> str | None:
        """Returns what is wrong after a fault; None if nothing is."""
        self.stage.prepare(self.folder)
        ended = Child(self._act, self.folder, fault).wait()
        wrong = self._wrong(ended, fault.kind)
        # the removal may fail too, or be interrupted: then the next run removes it
        if wrong is None and fault.kind == "full" and left_in(self.folder, self.stage):
            wrong = f"leaves {left_in(self.folder, self.stage)}"
        return wrong or self._not_mended()

    def killed(self, after: float) -> str | None:
        """Returns what is wrong after SIGKILL at some time."""
        self.stage.prepare(self.folder)
        child = Child(self._act, self.folder)
        child.kill(after)
        return self._wrong(child.wait(), "kill") or self._not_mended()

    def raced(self, head_start: float, after: float) -> str | None:
        """Returns what is wrong after two processes raced and the first was killed at some time: the second must succeed."""
        self.stage.prepare(self.folder)
        first = Child(self._act, self.folder)
        time.sleep(head_start)
        second = Child(self._act, self.folder)
        first.kill(after)
        first.wait()
        ended = second.wait()
        if ended.status != 0:
            return f"the second reports {ended.raised or ended.status}"
        if state_of(self.place) != self.after:
            return "the second did not make it"
        return self._not_mended()

    def _wrong(self, ended: Ended, kind: str) -> str | None:
        state = state_of(self.place)
        if state not in (self.before, self.after):
            return f"something else stands there: {opens(self.place) or 'sound'}"
        if ended.status == 0 and state != self.after:
            return "it reports success, but failed"
        name, _, text = ended.raised.partition(": ")
        if ended.status == 1 and (name not in _REFUSALS or "\n" in text or (kind != "interrupt" and not text)):
            return f"it reports {ended.raised!r}"
        if kind in ("full", "error") and ended.status == 1 and str(self.folder.parent) not in text:
            return f"it does not name the file: {ended.raised!r}"
        return None

    def _not_mended(self) -> str | None:
        ended = Child(self._act, self.folder).wait()
        if ended.status != 0:
            return f"the next run fails: {ended.raised or ended.status}"
        if state_of(self.place) != self.after:
            return "the next run does not make it"
        left = left_in(self.folder, self.stage)
        return f"the next run leaves {left}" if left else None


def at_every_call(trial: Trial, kinds: Sequence[str], step: int) -> Iterator[tuple[str, str | None]]:
    """Yields each case's kind and what is wrong with it, for every ``step``-th call."""
    yield "durable", trial.not_durable()
    for kind in kinds:
        for number in range(0, trial.calls, step):
            yield kind, _at(number, trial.met(Fault(kind, number)))


def _at(number: int, wrong: str | None) -> str | None:
    return wrong and f"at call {number}: {wrong}"


def at_random(trials: Sequence[Trial], seconds: float, seed: int) -> Iterator[tuple[Trial, str, str | None]]:
    """Kills at random times, alone and in races, until the time is over."""
    chance, deadline = random.Random(seed), time.monotonic() + seconds
    while time.monotonic() < deadline:
        trial = chance.choice(trials)
        after = chance.random() * 1.2 * trial.seconds
        if chance.random() < 0.5:
            yield trial, "random kill", trial.killed(after)
        else:
            yield trial, "race", trial.raced(chance.random() * trial.seconds, after)


def run(options: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Runs all cases; returns how many failed."""
    failures = 0
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        found = stages(Path(work) / "inputs", options.lucene)
        wanted = [stage for stage in found if not options.stage or stage.name in options.stage]
        if not wanted:
            raise BmpError(f"--stage {options.stage}: give some of {', '.join(stage.name for stage in found)}")
        trials = [Trial(stage, Path(work) / f"stage-{number}") for number, stage in enumerate(wanted)]
        for trial in trials:
            counts: Counter[str] = Counter()
            for kind, wrong in at_every_call(trial, options.kinds, options.step):
                counts[kind] += 1
                if wrong:
                    failures += 1
                    say(f"FAILED {trial.stage.name}, {kind}: {wrong}")
            say(f"{trial.stage.name}: {trial.calls} calls; cases: {', '.join(f'{n} {kind}' for kind, n in counts.items())}")
        counts = Counter()
        for trial, kind, wrong in at_random(trials, options.seconds, options.seed):
            counts[kind] += 1
            if wrong:
                failures += 1
                say(f"FAILED {trial.stage.name}, {kind}: {wrong}")
        say(f"random times, {options.seconds:g} s: {', '.join(f'{n} {kind}' for kind, n in counts.items()) or 'none'}")
    say(f"{failures} cases failed" if failures else "all writes are atomic")
    return failures


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.crash", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="how long to kill at random times (default: %(default)s)")
    parser.add_argument("--step", type=int, default=1, metavar="N", help="try every N-th call (default: %(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS, help="faults (default: all)")
    parser.add_argument("--stage", nargs="+", metavar="NAME", help="only these (default: all)")
    parser.add_argument("--lucene", type=Path, metavar="INDEX", help="a small Lucene index, to include its stages")
    parser.add_argument("--work", type=Path, metavar="FOLDER", help="work folder (default: the system's temporary folder)")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        return 1 if run(options, lambda text: print(text, flush=True)) else 0
    except Unsound as unsound:
        print(f"FAILED {unsound}")
        return 1
    except (BmpError, OSError) as error:
        print(f"crash: error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
