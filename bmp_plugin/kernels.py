"""The decorators of all kernels: compiled by numba on first use, without the interpreter's lock, and kept for next time.

Numba keeps compiled code by the one file that a function stands in, and would go on using it after a change of a function
that it calls elsewhere. Here the folder's name is a digest of all kernels' sources, of the processor and of the versions
that compile, so that code of another version is never run. The folder lies in the user's cache, or below
``NUMBA_CACHE_DIR`` where that is set; where it cannot be written, every process compiles for itself.

Numba also makes ready to compile, which takes four times as long as loading what is compiled, before it looks whether it
has to. Here it looks first: see :class:`_KernelCache`.

With ``NUMBA_BOUNDSCHECK=1`` in the environment kernels check every index into an array, and one that is out of range is an
``IndexError`` instead of some other memory: for tests, since searches take several times as long. Two things are checked
that numba leaves out: negative indices, which it takes from the end and kernels never mean, and the ranges that instructions
of :mod:`.intrinsics` read and write at once. Checked code is kept in a folder of its own.
"""
from __future__ import annotations

import functools
import hashlib
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, cast

import llvmlite
import llvmlite.binding
import numba
import numba.core.config
import numpy as np
from numba.core import caching, codegen, event, sigutils
from numba.core.compiler import Compiler
from numba.core.registry import CPUDispatcher
from numba.core.runtime.nrt import rtsys
from platformdirs import user_cache_path

config: Any = numba.core.config          # its names are set when it is loaded, out of a type checker's sight
Function = Callable[..., Any]            # of a kernel mypy knows no more: numba finds its types when it is called

PATIENCE = 1.0
"""Seconds of compiling after which a notice says so."""


def kernel(function: Function) -> Function:
    """``function`` compiled by numba."""
    compiled: Any = numba.njit(function, nogil=True)
    compiled._cache = _KernelCache(function)
    return cast(Function, compiled)


def inline_kernel(function: Function) -> Function:
    """``function``, which makes no array nor calls what does, compiled as a part of the kernels that call it, and inlined.

    It counts no references to the arrays it is given, since handing over some dozens of them takes longer than most of these
    functions do.
    """
    return _linked(function, _nrt=False, forceinline=True)


def inline_part(function: Function) -> Function:
    """``function``, which may make arrays, compiled as a part of the kernels that call it."""
    return _linked(function)


def _linked(function: Function, **options: Any) -> Function:
    options |= {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _LinkedCompiler}
    compiled: Any = numba.njit(**options)(function)
    if hasattr(compiled, "py_func"):                         # which NUMBA_DISABLE_JIT leaves out
        compiled.__class__ = _LinkedDispatcher
    return cast(Function, compiled)


class _LinkedDispatcher(CPUDispatcher):
    """A function that kernels call. Python, which seldom does, calls a copy that is compiled by itself."""

    def __call__(self, *arguments: Any) -> Any:
        return _by_itself(self.py_func)(*arguments)


@functools.cache
def _by_itself(function: Function) -> Function:
    return kernel(function)


class _LinkedLibrary(codegen.JITCodeLibrary):
    """Code that is linked into the kernels that call it, and optimized there: machine code of its own would never run.

    Numba optimizes every function and makes machine code of it, before and after it is linked into each of its callers, which
    takes two thirds of the time.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        names = [value.name for value in self._final_module.global_variables if value.name.startswith("_ZN08NumbaEnv")]
        places = llvmlite.binding.parse_assembly("\n".join(f'@"{name}" = common global i8* null' for name in names))
        self._codegen._add_module(places)                    # where numba notes what exceptions need
        self._codegen._engine.finalize_object()
        self._finalized = True


class _LinkedCompiler(Compiler):
    def __init__(self, typing_context: Any, target_context: Any, library: Any, *others: Any) -> None:
        library = library or _LinkedLibrary(target_context.codegen(), "linked")
        super().__init__(typing_context, target_context, library, *others)


@functools.cache
def cache_folder() -> Path:
    """Where compiled kernels are kept."""
    package = Path(__file__).parent
    adapters = Path(import_module("bmp_plugin.adapters").__path__[0])
    digest = hashlib.sha256()
    for compiler in (numba.__version__, llvmlite.__version__, np.__version__, llvmlite.binding.get_host_cpu_name()):
        digest.update(compiler.encode() + b"\0")
    for folder in (package / "index", package / "query", adapters):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    for path in (package / "intrinsics.py", package / "tie_adjustment.py", Path(__file__)):
        digest.update(path.read_bytes())
    base = Path(config.CACHE_DIR) if config.CACHE_DIR else user_cache_path("bmp-plugin")
    return base / f"kernels-{digest.hexdigest()[:16]}{'-checked' if config.BOUNDSCHECK else ''}"


class _CacheLocation(caching._CacheLocator):
    """A function's folder, one for every module. The folder's name says how fresh it is."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def get_cache_path(self) -> str:
        return str(cache_folder() / self._function.__module__)

    def get_source_stamp(self) -> str:
        return cache_folder().name

    def get_disambiguator(self) -> str:
        return str(self._function.__code__.co_firstlineno)


class _CacheFormat(caching.CompileResultCacheImpl):
    """Numba's own, but for the place, which no setting of the environment moves."""

    def __init__(self, function: Any) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = _CacheLocation(function)
        self._filename_base = self.get_filename_base(function.__qualname__, sys.abiflags)


class _KernelCache(caching.FunctionCache):
    """Compiled code of one function on disk. What goes wrong with it costs time, and nothing else."""

    _impl_class = _CacheFormat

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # numba's own calls target_context.refresh(), which loads all that a compiler knows (of arrays, linear algebra,
        # ...) and which compiling calls again; running needs no more than numba's memory manager
        rtsys.initialize(target_context)
        try:
            found = self._load_overload(sig, target_context)
        except Exception:                    # damaged: compiled and written anew
            with suppress(OSError):
                self.flush()
            return None
        # two processes that save different signatures at once may give them one number
        return found if found and tuple(found.signature.args) == tuple(sigutils.normalize_signature(sig)[0]) else None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):              # no folder that can be written, or no room
            self._save_overload(sig, data)


class _CompileNotice(event.Listener):
    """After a second of compiling, a line on standard error says what takes so long, once."""

    def __init__(self) -> None:
        self._depth = 0                      # only one thread compiles at a time; a kernel's compiling starts others'
        self._began = 0.0
        self._spent = 0.0
        self._timer: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        if not _is_kernel(event):
            return
        self._depth += 1
        if self._depth == 1 and self._spent < PATIENCE:
            self._began = time.perf_counter()
            self._timer = threading.Timer(PATIENCE - self._spent, _print_notice)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Any) -> None:
        if not _is_kernel(event):
            return
        self._depth -= 1
        if self._depth == 0 and self._timer:
            self._timer.cancel()
            self._timer = None
            self._spent += time.perf_counter() - self._began


def _is_kernel(event: Any) -> bool:
    return isinstance(event.data["dispatcher"]._cache, _KernelCache)


def _print_notice() -> None:
    print("bmp-plugin: compiling kernels, which are kept for next time ...", file=sys.stderr, flush=True)


def _refuse_negative_indices() -> None:
    """Let numba check indices as they are, instead of what they are from the end."""
    from numba.core import types
    from numba.np import arrayobj

    def as_it_is(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
        return context.cast(builder, index, kind, types.intp if kind.signed else types.uintp)

    cast(Any, arrayobj).fix_integer_index = as_it_is


event.register("numba:compile", _CompileNotice())
if config.BOUNDSCHECK:
    _refuse_negative_indices()
