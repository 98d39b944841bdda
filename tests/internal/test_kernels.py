"""Kernels are compiled once for each version of their sources, and run even if nothing can be cached."""
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core import event

from bmp_plugin._internal import kernels


def successor(x):
    return x + 1


def twice_successor(x):
    return compiled_successor(x) * 2


compiled_successor = None

@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(kernels, "cache_folder", lambda: tmp_path / "kernels")
    return tmp_path / "kernels"


def counts(compiled):
    return sum(compiled.stats.cache_hits.values()), sum(compiled.stats.cache_misses.values())


def test_kernels_are_compiled_once(folder):
    first, again = kernels.kernel(successor), kernels.kernel(successor)
    assert first(1) == again(1) == 2
    assert counts(first) == (0, 1)
    assert counts(again) == (1, 0)
    assert again(1.5) == 2.5                                # another signature
    assert counts(again) == (1, 1)


def test_cached_kernels_can_be_called_by_kernels_compiled_later(folder, monkeypatch):
    kernels.kernel(successor)(1)
    loaded = kernels.kernel(successor)
    monkeypatch.setattr(sys.modules[__name__], "compiled_successor", loaded)
    assert loaded(1) == 2
    assert kernels.kernel(twice_successor)(1) == 4
    assert counts(loaded) == (1, 0)


@kernels.inline_kernel
def divided(x, by):
    if by == 0:
        raise ValueError("by nothing")
    return x // by


@kernels.inline_part
def sums_of(values):
    sums = np.zeros(2, np.int64)
    for value in values:
        sums[0] += value
        sums[1] += divided(value, 2)
    return sums


def average(values):
    return divided(sums_of(values)[0], len(values)) + sums_of(values)[1]


def test_inline_kernels_are_parts_of_their_callers(folder):
    """They leave no files of their own, and what they raise comes through, also from the cache."""
    for expected in ((0, 1), (1, 0)):
        compiled = kernels.kernel(average)
        assert compiled(np.array([1, 5, 9])) == 5 + 0 + 2 + 4
        with pytest.raises(ValueError, match="by nothing"):
            compiled(np.array([], np.int64))
        assert counts(compiled) == expected
    assert {path.name.split("-")[0].split(".")[-1] for path in folder.rglob("*.nbc")} == {"average"}


def test_python_may_call_inline_kernels(folder):
    assert divided(9, 2) == 4
    assert sums_of(np.array([3, 4])).tolist() == [7, 3]
    with pytest.raises(ValueError, match="by nothing"):
        divided(1, 0)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"not a pickle"])
def test_damaged_cache_files_are_replaced(folder, suffix, content):
    kernels.kernel(successor)(1)
    for path in folder.rglob(f"*.{suffix}"):
        path.write_bytes(content)
    first, again = kernels.kernel(successor), kernels.kernel(successor)
    assert first(1) == again(1) == 2
    assert (counts(first), counts(again)) == ((0, 1), (1, 0))


def test_cached_code_of_another_signature_is_not_run(folder):
    """Two processes that compile different signatures at the same time may write to the same file."""
    kernels.kernel(successor)(1)
    [first] = folder.rglob("*.nbc")
    for_integers = first.read_bytes()
    kernels.kernel(successor)(1.5)
    [other] = set(folder.rglob("*.nbc")) - {first}
    other.write_bytes(for_integers)
    assert kernels.kernel(successor)(1.5) == 2.5


def test_kernels_run_without_a_cache_folder(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(kernels, "cache_folder", lambda: tmp_path / "file" / "kernels")
    for _ in range(2):
        compiled = kernels.kernel(successor)
        assert compiled(1) == 2
        assert counts(compiled) == (0, 1)


def test_processes_compile_concurrently(tmp_path):
    (tmp_path / "mine.py").write_text("""
from bmp_plugin._internal.kernels import cache_folder, kernel
@kernel
def add(a, b):
    return a + b
@kernel
def total(values):
    sum = values[0] - values[0]
    for value in values:
        sum = add(sum, value)
    return sum
""")
    code = "import numpy, mine; print([mine.total(numpy.ones(5, kind)) for kind in {}])"
    orders = ["'int32', 'float64', 'uint8'", "'uint8', 'int32', 'float64'"]
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"),
                                "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    running = [subprocess.Popen([sys.executable, "-c", code.format(f"({order})")], env=environment, stdout=subprocess.PIPE,
                                text=True) for order in orders]
    for process, order in zip(running, orders, strict=True):
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert out.strip() == f"[{', '.join('5.0' if 'float' in kind else '5' for kind in order.split(','))}]"


def test_the_cache_folder_depends_on_sources_and_compilers(monkeypatch):
    read: set[str] = set()
    read_bytes = Path.read_bytes

    def recorded(path):
        read.add(f"{path.parent.name}/{path.name}")
        return read_bytes(path)

    monkeypatch.setattr(kernels.Path, "read_bytes", recorded)
    name_folder = kernels.cache_folder.__wrapped__
    now = name_folder()
    names = {f"{Path(name).parent.name}/{Path(name).name}" for name in read}
    assert {"index/layout.py", "index/encode.py", "query/block_max_pruning.py", "validate/check_arrays.py",
            "_internal/intrinsics.py", "_internal/kernels.py"} <= names
    assert not any(name.startswith(("sources/", "adapters/", "cli/")) for name in names)
    assert now == kernels.cache_folder()
    for compiler in (kernels.numba, kernels.llvmlite, np):
        with monkeypatch.context() as changed:
            changed.setattr(compiler, "__version__", "0")
            assert name_folder() != now
    with monkeypatch.context() as changed:
        changed.setattr(kernels.Path, "read_bytes", lambda path: read_bytes(path) + b"#")
        assert name_folder() != now


CHECKED = """
import numpy as np
from bmp_plugin._internal.kernels import cache_folder, inline_kernel, kernel
from bmp_plugin.index.decode import decode_lanes
from bmp_plugin.index.strings import copy_slices
from bmp_plugin._internal.intrinsics import BEHIND, below_mask, block_match_mask, bound_increments, scale_impacts

@inline_kernel
def get(values, i):
    return values[i]

@kernel
def put(values, i, j):
    values[i, j] = 1

@inline_kernel
def scale(out, at, impacts):
    scale_impacts(out, at, impacts, np.uint16(3))

@inline_kernel
def increase(out, at, values):
    bound_increments(out, at, values, values, np.uint16(0xFFFC))

@inline_kernel
def decode(docs, impacts, at, postings, gaps_at, impacts_at):
    return decode_lanes(docs, impacts, at, postings, gaps_at, impacts_at, np.uint64(0))

@inline_kernel
def below(values, first):
    return below_mask(values, first, np.uint16(1))

@inline_kernel
def find(docs, first):
    return block_match_mask(docs, first, np.uint16(0xFFFC), np.uint64(0), np.uint64(0))

@inline_kernel
def find_narrow(docs, first):
    return block_match_mask(docs, first, np.uint8(0xFC), np.uint64(0), np.uint64(0))

def refused(function, *arguments):
    try:
        function(*arguments)
    except IndexError:
        return True
    return False

row, grid = np.zeros(3), np.zeros((3, 4))
wide, narrow = np.zeros(64, np.uint16), np.zeros(64, np.uint8)
last = np.uint64(2**64 - 1)
assert not any([refused(get, row, 2), refused(get, row, np.uint64(2)), refused(put, grid, 2, 3)])
assert all([refused(get, row, 3), refused(get, row, -1), refused(get, row, np.uint64(3)), refused(get, row, last)])
assert all([refused(put, grid, 3, 0), refused(put, grid, 0, 4), refused(put, grid, 0, -1)])
U = np.uint64
assert not refused(scale, wide, U(32), narrow)
assert all(refused(scale, *given) for given in ((wide, U(33), narrow), (wide, last, narrow), (wide[:63], U(32), narrow),
                                                (wide, U(32), narrow[:63])))
assert not refused(increase, wide, U(32), wide) and not refused(increase, wide, U(BEHIND), wide)
assert all(refused(increase, *given) for given in ((wide, U(33), wide), (wide, U(BEHIND - 1), wide), (wide, last, wide),
                                                   (wide[:63], U(32), wide), (wide, U(32), wide[:63])))
sound = [wide, narrow, U(48), narrow, U(48), U(48)]
assert not refused(decode, *sound)
for number, wrong in ((0, wide[:63]), (1, narrow[:63]), (2, U(49)), (2, last), (3, narrow[:63]), (4, U(49)), (4, last),
                      (5, U(49))):
    assert refused(decode, *sound[:number], wrong, *sound[number + 1:]), (number, wrong)
zeros = np.zeros(64, np.uint16)
for function, values, lanes in ((below, zeros, 32), (find, zeros, 16), (find_narrow, narrow, 64)):
    assert function(values, np.uint64(64 - lanes)) == 2**lanes - 1, function
    assert refused(function, values, np.uint64(65 - lanes)) and refused(function, values, last), function
raw, out = np.zeros(5, np.uint8), np.zeros(9, np.uint8)
assert not refused(copy_slices, raw, np.array([2]), np.array([5]), out)
assert refused(copy_slices, raw, np.array([2]), np.array([6]), out)
assert cache_folder().name.endswith("-checked")
"""


def test_bounds_are_checked_if_requested(tmp_path):
    """In kernels, inlined ones and intrinsics, indices are checked at both ends."""
    (tmp_path / "checked.py").write_text(CHECKED)
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path),
                                "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, tmp_path / "checked.py"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_checked_code_has_its_own_folder(monkeypatch):
    names = set()
    for checks in (None, 0, 1):
        monkeypatch.setattr(kernels.config, "BOUNDSCHECK", checks)
        names.add(kernels.cache_folder.__wrapped__().name)
    assert len(names) == 2


def test_the_cache_folder_follows_numba_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setattr(kernels.config, "CACHE_DIR", str(tmp_path))
    assert kernels.cache_folder.__wrapped__().parent == tmp_path


def test_the_cache_folder_is_that_of_the_processor_to_compile_for(monkeypatch):
    """Code for a processor that numba is told is found on every other, as in container images."""
    names: dict[str | None, set[str]] = {}
    for target in (None, "x86-64-v3", "x86-64-v2"):
        for host in ("znver4", "haswell"):
            monkeypatch.setattr(kernels.config, "CPU_NAME", target)
            monkeypatch.setattr(kernels.llvmlite.binding, "get_host_cpu_name", lambda host=host: host)
            names.setdefault(target, set()).add(kernels.cache_folder.__wrapped__().name)
    assert [len(found) for found in names.values()] == [2, 1, 1]
    assert len(set.union(*names.values())) == 4


def differences(a, b, c, out):
    for i in range(len(a)):
        out[i] = c[i] - a[i] * b[i]


@pytest.mark.parametrize(("dtype", "factor"), [(np.float32, 1 + 2**-12), (np.float64, 1 + 2**-27)])
def test_products_are_rounded_before_they_are_subtracted(folder, dtype, factor):
    """Fused, as aarch64 and newer x86-64 can compute them, they would give other scores than Lucene's."""
    factors, out = np.full(40, factor, dtype), np.empty(40, dtype)
    kernels.kernel(differences)(factors, factors, factors * factors, out)
    assert out.tolist() == [0.0] * 40


@pytest.fixture
def notice(monkeypatch):
    """A compile notice that is printed immediately, instead of one that may have been printed before."""
    mine = kernels._CompileNotice()
    monkeypatch.setattr(kernels, "PATIENCE", 0.001)
    event.register("numba:compile", mine)
    yield mine
    event.unregister("numba:compile", mine)


def test_slow_compiling_prints_one_notice(folder, notice, capsys):
    for value in (1, 1.5, True):                            # three signatures
        kernels.kernel(successor)(value)
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert "compiling" in printed


def test_compiling_other_functions_prints_no_notice(folder, notice, capsys):
    kernels.numba.njit(successor)(1)
    assert capsys.readouterr().err == ""


def test_cached_code_prints_no_notice(folder, capsys):
    kernels.kernel(successor)(1)
    capsys.readouterr()                                     # a busy machine compiles for long enough to print the notice
    mine = kernels._CompileNotice()
    event.register("numba:compile", mine)
    try:
        kernels.kernel(successor)(1)
    finally:
        event.unregister("numba:compile", mine)
    assert mine._spent == 0
    assert capsys.readouterr().err == ""
