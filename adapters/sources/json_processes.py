"""Parsing of JSON in several processes, because the interpreter lock would make threads take turns.

Each process runs ``python -m bmp_plugin.adapters.sources.json_processes``, which reads pickled blocks from standard input and
writes the results of :func:`.json_documents.parse` to standard output. Unlike those of multiprocessing, such processes do
not run the user's main script again.
"""
from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
from collections.abc import Callable, Iterator

from bmp_plugin.errors import BmpError

from .json_documents import DocumentBlock, parse
from .json_stream import Block, Lines

MODULE = "bmp_plugin.adapters.sources.json_processes"
_PIPE_BYTES = 1 << 20


@contextlib.contextmanager
def parser(processes: int) -> Iterator[Callable[[Block], DocumentBlock]]:
    """Provides :func:`.json_documents.parse`, run by ``processes`` processes if called from as many threads; 1 is this one."""
    if processes == 1 or not sys.executable:
        yield parse
        return
    idle: queue.SimpleQueue[_Process] = queue.SimpleQueue()
    started: list[_Process] = []

    def parse_there(block: Block) -> DocumentBlock:
        if not isinstance(block, Lines):                # parsed already
            return parse(block)
        process = idle.get()
        try:
            return process.parse(block)
        finally:
            idle.put(process)

    try:
        for _ in range(processes):
            started.append(_Process())
            idle.put(started[-1])
        yield parse_there
    finally:
        for process in started:
            process.close()


class _Process:
    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen([sys.executable, "-m", MODULE], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         env=environment, process_group=0)         # Ctrl-C must not reach it
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._blocks, self._answers = self._process.stdin, self._process.stdout
        with contextlib.suppress(ImportError, AttributeError, OSError):
            import fcntl
            for stream in (self._blocks, self._answers):
                fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)

    def parse(self, block: Lines) -> DocumentBlock:
        """Parses a block in the process; raises what parsing raises, and BmpError if the process died."""
        try:
            pickle.dump(block, self._blocks, protocol=5)
            self._blocks.flush()
            found = pickle.load(self._answers)
        except (EOFError, OSError, pickle.UnpicklingError):
            raise BmpError(f"{block.path}: a process that parses it ended with status {self._process.wait()}: it may have "
                           "been short of memory; use fewer threads") from None
        if isinstance(found, BmpError):
            raise found
        return found  # type: ignore[no-any-return]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._blocks, self._answers):
            with contextlib.suppress(OSError):
                stream.close()


def main() -> None:
    """Parses blocks from standard input until there are no more."""
    blocks = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            block = pickle.load(blocks)
        except EOFError:
            return
        try:
            found: DocumentBlock | BmpError = parse(block)
        except BmpError as error:
            found = error
        except Exception as error:                      # not the block's fault, such as a lack of memory
            found = BmpError(f"{block.path}: cannot be parsed ({type(error).__name__}: {error})")
        pickle.dump(found, answers, protocol=5)
        answers.flush()


if __name__ == "__main__":
    main()
