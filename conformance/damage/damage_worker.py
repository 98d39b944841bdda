"""The process that damages an index and queries it in every way; if it crashes, hangs or runs out of memory, it is replaced."""
from __future__ import annotations

import os
import random
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

from .index_mutations import mutate
from .questions import ANSWER, FAILURE, REFUSAL, Replies, ask_all
from .sealing import reseal
from .specimens import KINDS

MEMORY = 2**30                # bytes of address space beyond that of a process that has searched all specimens
SEALED_SHARE = 0.5            # of the cases get new checksums


class Verdict(NamedTuple):
    """The outcome of a case: the damage and the index, and what was wrong with the replies, if anything."""

    done: str
    outcome: str
    wrong: str


def serve(connection: Connection, specimens: Path, scratch: Path, seed: int) -> None:
    """The process's main function: it receives case numbers and sends each one's damage and verdict.

    It first sends an empty string, or what is wrong with the replies of sound indexes.
    """
    import resource  # POSIX, as is /proc: the command's modules can be imported elsewhere

    signal.signal(signal.SIGINT, signal.SIG_IGN)          # ends when its connection is closed
    golden = {kind: ask_all(specimens / "mine" / kind) for kind in KINDS}
    failures = [f"{kind}: {question}: {text}" for kind, replies in golden.items()
                for question, (sort, text) in replies.items() if sort == FAILURE]
    with open("/proc/self/statm") as file:
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    with suppress(EOFError, ConnectionError):              # the receiver has gone
        connection.send("; ".join(failures))
        while True:
            connection.send(try_case(specimens, scratch, seed, connection.recv(), golden, connection.send))


def try_case(specimens: Path, scratch: Path, seed: int, number: int, golden: dict[str, Replies],
             on_damage: Callable[[str], object] = str) -> Verdict:
    """Damages a copy of a specimen, as seed and number determine, and judges its replies.

    ``on_damage`` is called with a description of the damage before the index is queried.
    """
    rng = random.Random(f"{seed} {number}")
    kind = rng.choices(KINDS, [1 if kind == "windows" else 10 for kind in KINDS])[0]         # slow
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
    on_damage(done)
    replies = ask_all(folder)
    wrong = judge(folder, golden[kind], replies, changed, sealed)
    shutil.rmtree(folder.parent, ignore_errors=True)
    refused = any(sort == REFUSAL and golden[kind][question][0] == ANSWER for question, (sort, _) in replies.items())
    outcome = ("sealed, " if sealed else "") + ("refused" if refused else "answered" if changed else "unchanged")
    return Verdict(done, outcome, wrong)


def judge(folder: Path, golden: Replies, replies: Replies, changed: bool, sealed: bool) -> str:
    """Returns what is wrong with the replies of an index, "" if nothing; a resealed index may answer anything."""
    named = folder.parents[2] if sealed else folder       # a malicious manifest may refer to another index
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
    """Returns what a reader of the files would get: their bytes, or the size of large ones, or what else is there."""
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
