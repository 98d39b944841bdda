"""Compiles the kernels of searches in another process, so that neither the interpreter nor the queries wait for it.

The environment variable ``BMP_PLUGIN_COMPILE`` says what happens where they are not in the cache yet:

- ``background``, the default: another process compiles them, and queries are scored exhaustively until it has;
- ``wait``: the first search compiles them itself, so that every answer comes from compiled code: for benchmarks;
- ``never``: queries are scored exhaustively, for good.

The other process belongs to nobody: it may outlive the one that started it, since commands are often shorter than compiling,
and would otherwise never have compiled kernels. It ends as soon as they are in the cache, after some seconds, or after
``LONGEST`` seconds in any case. Of several that are started, by several processes, one compiles; the others wait for it, before
they load anything, and compile only what it has not.
"""
from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from filelock import FileLock

ENVIRONMENT = "BMP_PLUGIN_COMPILE"
CHOICES = ("background", "wait", "never")
LONGEST = 600.0
"""Seconds, far more than compiling takes even on an emulated processor: a process that hangs has to end."""


def compile_choice() -> str:
    """Returns the value of the environment variable.

    Raises
    ------
    ValueError
        If it is none of ``CHOICES``.
    """
    choice = os.environ.get(ENVIRONMENT, CHOICES[0])
    if choice not in CHOICES:
        raise ValueError(f"{ENVIRONMENT}={choice!r} is not one of {', '.join(CHOICES)}")
    return choice


def require_compiled_search() -> None:
    """Makes searches of this process, and of those that it starts, wait for compiled code: for measurements.

    Raises
    ------
    ValueError
        If the environment says that searches are never compiled.
    """
    if compile_choice() == "never":
        raise ValueError(f"{ENVIRONMENT}=never: what is to be measured is the compiled search; unset it")
    os.environ[ENVIRONMENT] = "wait"


class _Compiler:
    """The process that compiles for this one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._failed = False

    def start(self, function: str, argument: str, cache: Path, notice: str) -> bool:
        """See :func:`start_compiling`."""
        with self._lock:
            if self._process is None and not self._failed:
                self._process = _process_that_calls(function, argument, cache)
                self._failed = self._process is None
                if self._process is not None and notice:
                    print(notice, file=sys.stderr, flush=True)
        return self.is_running

    @property
    def is_running(self) -> bool:
        process = self._process
        return process is not None and process.poll() is None

    def wait(self) -> None:
        if self._process is not None:
            self._process.wait()


_compiler = _Compiler()


def _forget() -> None:
    """Forgets the process in a fork, which is not its parent."""
    global _compiler
    _compiler = _Compiler()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def start_compiling(function: str, argument: str, cache: Path, notice: str = "") -> bool:
    """Calls a function in another process, which it compiles kernels by, unless this process has done so before.

    Parameters
    ----------
    function : str
        Its module and its name, with a colon between.
    argument : str
        Its only argument.
    cache : Path
        The folder of the kernels, see :func:`.kernels.cache_folder`; the process locks a file in it while it is at work.
    notice : str
        Printed on standard error when the process starts.

    Returns
    -------
    bool
        Whether the process is running.
    """
    return _compiler.start(function, argument, cache, notice)


def is_compiling() -> bool:
    """Tells whether the process that this one has started is running."""
    return _compiler.is_running


def wait_for_compiling() -> None:
    """Waits for the process that this one has started, if any."""
    _compiler.wait()


def _process_that_calls(function: str, argument: str, cache: Path) -> subprocess.Popen[bytes] | None:
    """Starts the process, which shares neither terminal nor pipes with this one; returns None if there can be none."""
    here = [entry or os.getcwd() for entry in sys.path]
    environment = os.environ | {ENVIRONMENT: "wait", "NUMBA_CACHE_DIR": str(cache.parent), "PYTHONPATH": os.pathsep.join(here)}
    order = json.dumps([function, argument, str(cache / "compiling.lock")])
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen([sys.executable, "-c", f"from {__name__} import _main; _main()", order], env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True)
    except OSError:
        return None


def _main() -> None:
    """Runs in the other process."""
    function, argument, lock = json.loads(sys.argv[1])
    watch = threading.Timer(LONGEST, os._exit, [1])
    watch.daemon = True
    watch.start()
    module, name = function.split(":")
    with FileLock(lock):
        call: Any = getattr(importlib.import_module(module), name)
        call(argument)
