"""A profiler for compiled kernels: calls and time of each, by the processor's time stamp counter.

:func:`instrument` replaces :func:`bmp_plugin._internal.kernels.kernel` before the query modules are imported. Each chosen
kernel is compiled inside another function that reads the counter before and after. A kernel's own time is its time without the
instrumented kernels that it calls; it includes those that were not chosen.
"""
from __future__ import annotations

import inspect
import platform
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from bmp_plugin._internal import kernels
from bmp_plugin.errors import BmpError

numba_names: Any = numba                             # its stubs lack some names
LARGEST_NUMBER = 1000                                # of kernels
CELLS = np.zeros(1 + 3 * LARGEST_NUMBER, np.int64)   # time of kernels within the running one; calls, time, own time of each
WRAPPER = """
def {name}({parameters}):
    _cells = _carray(_as_pointer(_ADDRESS), _SIZE, _int64)
    _before = _cells[0]
    _cells[0] = 0
    _started = _ticks()
    _result = _kernel({parameters})
    _elapsed = _ticks() - _started
    _cells[{at}] += 1
    _cells[{at} + 1] += _elapsed
    _cells[{at} + 2] += _elapsed - _cells[0]
    _cells[0] = _before + _elapsed
    return _result
"""                                                  # underscores: a kernel's parameters have names too


class Measured(NamedTuple):
    """Measurements of one kernel, or their means: calls, seconds including callees, own seconds."""

    calls: float
    seconds: float
    own_seconds: float


@intrinsic
def ticks(typing_context: Any) -> Any:
    """Reads the processor's time stamp counter, int64."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(64), []),
                                                 "llvm.readcyclecounter")
        return builder.call(counter, [])

    return types.int64(), generate


@intrinsic
def as_pointer(typing_context: Any, address: Any) -> Any:
    """Converts an address to a pointer."""
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), generate


class Profile:
    """The measurements of instrumented kernels since the last :meth:`reset`."""

    def __init__(self) -> None:
        self._names: list[str] = []
        self._ticks_a_second = _ticks_a_second()

    def wrapped(self, function: Callable[..., Any]) -> Any:
        """Compiles ``function`` with its own counter."""
        name, at = function.__name__, 1 + 3 * len(self._names)
        self._names.append(f"{function.__module__.rpartition('.')[2]}.{name}")
        if len(self._names) > LARGEST_NUMBER:
            raise BmpError(f"more than {LARGEST_NUMBER} kernels to profile")
        scope: dict[str, Any] = {
            "_carray": numba_names.carray, "_as_pointer": as_pointer, "_ticks": ticks, "_ADDRESS": CELLS.ctypes.data,
            "_SIZE": CELLS.size, "_int64": np.int64, "_kernel": numba.njit(function, nogil=True)}
        exec(WRAPPER.format(name=name, parameters=", ".join(inspect.signature(function).parameters), at=at), scope)
        return numba.njit(scope[name], nogil=True)

    def reset(self) -> None:
        """Resets all counters."""
        CELLS[:] = 0

    @contextmanager
    def off(self) -> Iterator[None]:
        """Suspends counting within the block."""
        before = CELLS.copy()
        yield
        CELLS[:] = before

    def measured(self) -> dict[str, Measured]:
        """Returns the measurements by kernel, of kernels that were called."""
        rows = CELLS[1:].reshape(-1, 3)[:len(self._names)]
        return {name: Measured(int(calls), total / self._ticks_a_second, own / self._ticks_a_second)
                for name, (calls, total, own) in zip(self._names, rows.tolist(), strict=True) if calls}


def instrument(chosen: Collection[str] | None = None) -> Profile:
    """Makes numba compile the kernels of ``bmp_plugin.query``, or the chosen ones (``module.function``), with counters.

    It must be called in a process that has not imported them yet.

    Raises
    ------
    BmpError
        If the processor has no time stamp counter that programs may read.
    """
    if platform.machine().lower() not in ("x86_64", "amd64"):
        raise BmpError(f"the profiler reads the time stamp counter of x86-64, which {platform.machine()} has not")
    profile = Profile()

    def decorator(function: Any) -> Any:
        _, within, module = function.__module__.rpartition("bmp_plugin.query.")
        if within and (chosen is None or f"{module}.{function.__name__}" in chosen):
            return profile.wrapped(function)
        return numba.njit(function, nogil=True)

    kernels.kernel = kernels.inline_part = decorator
    return profile


@numba.njit
def _now() -> Any:
    return ticks()  # type: ignore[call-arg]         # an intrinsic, which numba gives its context


def _ticks_a_second() -> float:
    _now()
    began, started = _now(), time.perf_counter()
    time.sleep(0.05)
    return float(_now() - began) / (time.perf_counter() - started)
