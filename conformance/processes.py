"""Processes of engines, as the runner sees them: started, asked, ended. Only one is asked at a time."""
from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

from bmp_plugin.errors import BmpError

from . import worker

_context = multiprocessing.get_context("spawn")        # nothing of one engine is in the process of another


class EngineProcess:
    """A process that runs :func:`.worker.run`; what it raises is raised here.

    Parameters
    ----------
    log : Path
        The file that its output is added to.
    task : str
        See :func:`.worker.run`; so are the other arguments.
    """

    def __init__(self, log: Path, task: str, *arguments: Any) -> None:
        self._log = log
        self._connection, theirs = _context.Pipe()
        self._process = _context.Process(target=worker.run, args=(theirs, log, task, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.first = self._receive()
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, *arguments: Any) -> Any:
        """What a method of :class:`.worker.Server` returns.

        Errors: those of the method; BmpError if the process died.
        """
        self._connection.send((method, arguments))
        return self._receive()

    def close(self) -> None:
        """End the process; may be called twice."""
        self._connection.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def _receive(self) -> Any:
        try:
            fine, value = self._connection.recv()
        except (EOFError, ConnectionError):
            self._process.join(10)
            raise BmpError(f"an engine's process ended with status {self._process.exitcode}: see {self._log}") from None
        if not fine:
            raise value
        return value


def run_once(log: Path, task: str, *arguments: Any) -> Any:
    """The value of a task done in a process of its own."""
    process = EngineProcess(log, task, *arguments)
    process.close()
    return process.first
