"""The decorators of all kernels, which numba compiles on first use, without the interpreter lock, and caches on disk.

Numba's own cache depends only on the file of a function, and would remain in use after a change to a function that it calls
elsewhere. Here, the folder's name is a digest of the sources of the core's kernels, of the processor and of the compilers'
versions, and that of an adapter's module has a digest of its own folder besides, so that outdated code is never run. The folder
is in the user's cache, or among temporary files if there can be none; below ``NUMBA_CACHE_DIR`` if that is set. If it
cannot be written, every process compiles for itself.

Numba also initializes its compiler, which takes four times as long as loading compiled code, before it looks into the cache.
Here, it looks first: see :class:`_KernelCache`.

With ``NUMBA_BOUNDSCHECK=1`` in the environment, kernels check every index into an array, and raise ``IndexError`` if it is out
of range. This is for tests, since searches take several times as long. Two checks are added to numba's: of negative indices,
which numba counts from the end and kernels never use, and of the ranges that :mod:`.intrinsics` read and write at once.
Checked code has its own folder.
"""
from __future__ import annotations

import functools
import hashlib
import inspect
import os
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
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

from .background_compile import compile_choice, is_compiling

config: Any = numba.core.config          # its names are set at import, where a type checker does not see them
Function = Callable[..., Any]            # numba infers a kernel's types when it is called

_kernels: list[Any] = []

PATIENCE = 1.0
"""Seconds of compiling after which the compile notice is printed."""


def kernel(function: Function) -> Function:
    """Returns ``function``, compiled by numba on first use."""
    compiled: Any = numba.njit(function, nogil=True)
    compiled._cache = _KernelCache(function)
    _kernels.append(compiled)
    return cast(Function, compiled)


def count_kernels() -> tuple[int, int]:
    """Returns how many kernels of the imported modules have compiled code in this process, and how many there are."""
    return sum(bool(getattr(one, "overloads", False)) for one in _kernels), len(_kernels)


def small_kernel(function: Function) -> Function:
    """Returns ``function``, compiled by numba, but run as Python, which must be fast enough, while searches are compiled."""
    compiled: Any = kernel(function)
    if hasattr(compiled, "py_func"):                         # not with NUMBA_DISABLE_JIT
        compiled.__class__ = _SmallDispatcher
    return cast(Function, compiled)


def has_code(function: Function, **arguments: Any) -> bool:
    """Tells whether a kernel has compiled code for arguments of these types, in this process or in the cache."""
    compiled: Any = function
    if not hasattr(compiled, "py_func"):                     # with NUMBA_DISABLE_JIT
        return False
    types = tuple(map(compiled.typeof_pyval, inspect.signature(compiled.py_func).bind(**arguments).args))
    return types in compiled.overloads or compiled._cache.holds(types, compiled.targetctx)


def inline_kernel(function: Function) -> Function:
    """Returns ``function``, compiled as a part of the kernels that call it, and inlined; it must not create arrays.

    References to its array arguments are not counted, since that takes longer for some dozens of arrays than most of these
    functions run.
    """
    return _linked(function, _nrt=False, forceinline=True)


def inline_part(function: Function) -> Function:
    """Returns ``function``, compiled as a part of the kernels that call it; it may create arrays."""
    return _linked(function)


def _linked(function: Function, **options: Any) -> Function:
    options |= {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "pipeline_class": _LinkedCompiler}
    compiled: Any = numba.njit(**options)(function)
    if hasattr(compiled, "py_func"):                         # not with NUMBA_DISABLE_JIT
        compiled.__class__ = _LinkedDispatcher
    return cast(Function, compiled)


class _SmallDispatcher(CPUDispatcher):
    """A function that runs as Python while another process compiles it."""

    def _compile_for_args(self, *arguments: Any, **named: Any) -> Any:
        # numba calls this where it has no code for the types of the arguments, and then what this returns
        if is_compiling() or compile_choice() == "never":
            return self.py_func
        compile_here: Any = super()
        return compile_here._compile_for_args(*arguments, **named)


class _LinkedDispatcher(CPUDispatcher):
    """A function that kernels call. Calls from Python, which are rare, run a copy that is compiled separately."""

    def __call__(self, *arguments: Any) -> Any:
        return _standalone(self.py_func)(*arguments)


@functools.cache
def _standalone(function: Function) -> Function:
    return kernel(function)


class _LinkedLibrary(codegen.JITCodeLibrary):
    """Code that is linked into the kernels that call it, and optimized only there: its own machine code would never run.

    By default, numba optimizes every function and generates its machine code, before and after linking it into each of its
    callers, which takes two thirds of the time.
    """

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        names = [value.name for value in self._final_module.global_variables if value.name.startswith("_ZN08NumbaEnv")]
        environments = llvmlite.binding.parse_assembly("\n".join(f'@"{name}" = common global i8* null' for name in names))
        self._codegen._add_module(environments)              # numba writes there what exceptions need
        self._codegen._engine.finalize_object()
        self._finalized = True


class _LinkedCompiler(Compiler):
    def __init__(self, typing_context: Any, target_context: Any, library: Any, *others: Any) -> None:
        library = library or _LinkedLibrary(target_context.codegen(), "linked")
        super().__init__(typing_context, target_context, library, *others)


_PACKAGE = Path(__file__).parents[1]
_CORE = [_PACKAGE / name for name in ("_internal", "index", "query", "searcher")]


@functools.cache
def cache_folder() -> Path:
    """Returns the folder of compiled kernels."""
    digest = hashlib.sha256()
    processor = config.CPU_NAME or llvmlite.binding.get_host_cpu_name()          # NUMBA_CPU_NAME, for container images
    for compiler in (numba.__version__, llvmlite.__version__, np.__version__, processor):
        digest.update(compiler.encode() + b"\0")
    for folder in (_PACKAGE / "index", _PACKAGE / "query"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    for path in (Path(__file__).with_name("intrinsics.py"), _PACKAGE / "searcher" / "tie_adjustment.py", Path(__file__)):
        digest.update(path.read_bytes())
    name = f"kernels-{digest.hexdigest()[:16]}{'-checked' if config.BOUNDSCHECK else ''}"
    if config.CACHE_DIR:
        return Path(config.CACHE_DIR) / name
    folder = user_cache_path("bmp-plugin") / name
    return folder if folder.exists() or _can_be_made(folder) else _temporary_base() / name


def _can_be_made(folder: Path) -> bool:
    found = next((path for path in (folder, *folder.parents) if path.exists()), None)
    return found is not None and found.is_dir() and os.access(found, os.W_OK)


def _temporary_base() -> Path:
    """Returns a folder for where there is no cache folder, as in containers that run as somebody without a home.

    It is shared by this user's processes, and not with other users, who could put code into it: if it is not safe, it is
    another one for every process.
    """
    user = os.getuid() if hasattr(os, "getuid") else None
    folder = Path(tempfile.gettempdir()) / f"bmp-plugin-{'kernels' if user is None else user}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and (user is None or (found.st_uid == user and not found.st_mode & 0o077)):
            return folder
    return Path(tempfile.mkdtemp(prefix="bmp-plugin-"))


@functools.cache
def _digest_of(folder: Path) -> str:
    """Returns a digest of a folder outside the core, whose modules' kernels call those of their folder and of the core."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


class _CacheLocation(caching._CacheLocator):
    """The location of a function's compiled code: a folder for each module, whose digest serves as the time stamp."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def get_cache_path(self) -> str:
        folder = Path(self._function.__code__.co_filename).parent
        digest = "" if any(map(folder.is_relative_to, _CORE)) else "-" + _digest_of(folder)
        return str(cache_folder() / f"{self._function.__module__}{digest}")

    def get_source_stamp(self) -> str:
        return cache_folder().name

    def get_disambiguator(self) -> str:
        return str(self._function.__code__.co_firstlineno)


class _CacheFormat(caching.CompileResultCacheImpl):
    """Numba's own format, at a location that does not depend on numba's settings."""

    def __init__(self, function: Any) -> None:
        self._lineno = function.__code__.co_firstlineno
        self._locator = _CacheLocation(function)
        self._filename_base = self.get_filename_base(function.__qualname__, getattr(sys, "abiflags", ""))


class _KernelCache(caching.FunctionCache):
    """Compiled code of one function on disk. Errors cost time, and nothing else."""

    _impl_class = _CacheFormat

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        # numba's own method calls target_context.refresh(), which registers implementations (of arrays, linear algebra,
        # ...) and which compiling calls again; running needs only numba's memory manager
        rtsys.initialize(target_context)
        try:
            found = self._load_overload(sig, target_context)
        except Exception:                    # damaged: compile and write again
            with suppress(OSError):
                self.flush()
            return None
        # two processes that save different signatures at once may use the same file
        return found if found and tuple(found.signature.args) == tuple(sigutils.normalize_signature(sig)[0]) else None

    def holds(self, sig: Any, target_context: Any) -> bool:
        """Tells whether there is code of this signature."""
        with suppress(Exception):            # damaged
            name = self._cache_file._load_index().get(self._index_key(sig, target_context.codegen()))
            return name is not None and Path(self._cache_file._data_path(name)).exists()
        return False

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):              # the folder cannot be written, or the disk is full
            self._save_overload(sig, data)


class _CompileNotice(event.Listener):
    """Prints a notice on standard error, once, after a second of compiling."""

    def __init__(self) -> None:
        self._depth = 0                      # one thread compiles at a time; a kernel compiles those that it calls
        self._began = 0.0
        self._spent = 0.0
        self._timer: threading.Timer | None = None

    def on_start(self, event: Any) -> None:
        if not _is_kernel(event):
            return
        self._depth += 1
        if self._depth > 1:
            return
        self._began = time.perf_counter()
        if self._spent < PATIENCE:
            self._timer = threading.Timer(PATIENCE - self._spent, _print_notice)
            self._timer.daemon = True
            self._timer.start()

    def on_end(self, event: Any) -> None:
        if not _is_kernel(event):
            return
        self._depth -= 1
        if self._depth == 0:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            self._spent += time.perf_counter() - self._began

    @property
    def seconds(self) -> float:
        """Returns the seconds that this process has spent compiling."""
        return self._spent


def _is_kernel(event: Any) -> bool:
    return isinstance(event.data["dispatcher"]._cache, _KernelCache)


def _print_notice() -> None:
    print("bmp-plugin: compiling kernels, which are cached for the next time ...", file=sys.stderr, flush=True)


def _refuse_negative_indices() -> None:
    """Makes numba check indices as they are, instead of counting negative ones from the end."""
    from numba.core import types
    from numba.np import arrayobj

    def keep_index(context: Any, builder: Any, kind: Any, index: Any, size: Any) -> Any:
        return context.cast(builder, index, kind, types.intp if kind.signed else types.uintp)

    cast(Any, arrayobj).fix_integer_index = keep_index


compile_time = _CompileNotice()
event.register("numba:compile", compile_time)
if config.BOUNDSCHECK:
    _refuse_negative_indices()
