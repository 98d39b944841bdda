"""The process that damages an index and asks it everything; it may crash, hang or run out of memory, and is then replaced."""
from __future__ import annotations

import os
import random
import resource
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from .mutations import mutate
from .questions import ANSWER, FAILURE, REFUSAL, Replies, ask_all
from .sealing import reseal
from .specimens import KINDS

MEMORY = 2**30                # bytes of addresses beyond those of a process that has searched all specimens
SEALED_SHARE = 0.5            # of the cases are made to look whole


class Verdict(NamedTuple):
    """What came of a case: what was done to which index, and what was wrong about it, if anything."""

    done: str
    outcome: str
    wrong: str


def serve(connection: Connection, specimens: Path, scratch: Path, seed: int) -> None:
    """A process's main function: case numbers in; out what was done and the verdict, for each. At first "", or what
    sound indexes fail at."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)          # it ends with its connection
    golden = {kind: ask_all(specimens / "mine" / kind) for kind in KINDS}
    failures = [f"{kind}: {question}: {text}" for kind, replies in golden.items()
                for question, (sort, text) in replies.items() if sort == FAILURE]
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with suppress(EOFError, ConnectionError):              # nobody wants to know any more
        connection.send("; ".join(failures))
        while True:
            connection.send(try_case(specimens, scratch, seed, connection.recv(), golden, connection.send))


def try_case(specimens: Path, scratch: Path, seed: int, number: int, golden: dict[str, Replies],
             announce: Callable[[str], object] = str) -> Verdict:
    """Damage a copy of a specimen, as the seed and the number say, and judge its replies.

    announce : told what was done before anything is asked.
    """
    rng = random.Random(f"{seed} {number}")
    kind = rng.choices(KINDS, [1 if kind == "windows" else 10 for kind in KINDS])[0]         # it takes long
    folder = scratch / "case" / kind
    shutil.rmtree(folder.parent, ignore_errors=True)
    shutil.copytree(specimens / "mine" / kind, folder)
    before = _contents(folder)
    done = mutate(folder, specimens / "other" / kind, rng)
    sealed = rng.random() < SEALED_SHARE
    if sealed:
        reseal(folder)
    changed = before != _contents(folder)
    done = f"{kind}{' (sealed)' if sealed else ''}: {done}"
    announce(done)
    replies = ask_all(folder)
    wrong = judge(folder, golden[kind], replies, changed, sealed)
    shutil.rmtree(folder.parent, ignore_errors=True)
    refused = any(sort == REFUSAL and golden[kind][question][0] == ANSWER for question, (sort, _) in replies.items())
    outcome = ("sealed, " if sealed else "") + ("refused" if refused else "answered" if changed else "unchanged")
    return Verdict(done, outcome, wrong)


def judge(folder: Path, golden: Replies, replies: Replies, changed: bool, sealed: bool) -> str:
    """What is wrong about the replies of an index, "" if nothing; a sealed one may answer as it likes."""
    named = folder.parents[2] if sealed else folder       # a hostile manifest may lead to another index, which is then named
    for question, (sort, text) in replies.items():
        wanted, answer = golden.get(question, (ANSWER, ""))
        if sort == FAILURE:
            return f"{question}: {text}"
        if sort == REFUSAL and (str(named) not in text or "\n" in text) and wanted != REFUSAL:
            return f"{question}: does not name the file in one line: {text!r}"
        if not sealed and sort == ANSWER and (wanted != ANSWER or text != answer) and question != "open":
            return f"{question}: another answer than that of the sound index"
    if changed and not sealed and replies["verify"][0] == ANSWER:
        return "verify: finds nothing"
    if not changed and any(sort == REFUSAL and golden[question][0] == ANSWER for question, (sort, _) in replies.items()):
        return f"an unchanged index is refused: {replies}"
    if "searcher" not in replies and replies["open"][0] == ANSWER:
        return "open: answers and is not asked"
    return ""


def _contents(folder: Path) -> dict[str, object]:
    """What a reader of the files gets: their bytes, or how long they are if that is much, or what else stands there."""
    return {str(path.relative_to(folder)): _content(path) for path in sorted(folder.rglob("*")) if not _is_folder(path)} | {
        str(path.relative_to(folder)): "folder" for path in folder.rglob("*") if _is_folder(path)}


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _content(path: Path) -> object:
    try:
        if not path.is_file():
            return "no file"
        return path.read_bytes() if path.stat().st_size < 2**26 else path.stat().st_size
    except OSError as error:
        return error.errno
