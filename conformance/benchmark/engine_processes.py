"""Processes of engines, from the side of the runner, which sends requests to one of them at a time."""
from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

from bmp_plugin.errors import BmpError

from . import engine_worker

_context = multiprocessing.get_context("spawn")        # so that engines do not share a process


class EngineProcess:
    """A process that runs :func:`.engine_worker.run`; exceptions raised there are raised here.

    Parameters
    ----------
    log : Path
        The file to which its output is appended.
    task : str
        See :func:`.engine_worker.run`, as for the other arguments.
    """

    def __init__(self, log: Path, task: str, *arguments: Any) -> None:
        self._log = log
        self._connection, theirs = _context.Pipe()
        self._process = _context.Process(target=engine_worker.run, args=(theirs, log, task, *arguments), daemon=True)
        self._process.start()
        theirs.close()
        try:
            self.first = self._receive()
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, *arguments: Any) -> Any:
        """Calls a method of :class:`.engine_worker.Server` and returns its result.

        Raises
        ------
        BmpError
            If the process died; also whatever the method raises.
        """
        self._connection.send((method, arguments))
        return self._receive()

    def close(self) -> None:
        """Ends the process; may be called twice."""
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
    """Runs a task in a separate process and returns its result."""
    process = EngineProcess(log, task, *arguments)
    process.close()
    return process.first
