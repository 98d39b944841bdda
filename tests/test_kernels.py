"""Kernels are compiled once for each version of their sources, and run even where nothing can be kept."""
import numba

from bmp_plugin import kernels


def successor(x):
    return x + 1


def test_without_a_folder_for_compiled_code(monkeypatch):
    njit = numba.njit

    def refuses_to_cache(function, cache=False, **options):
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return njit(function, **options)

    monkeypatch.setattr(numba, "njit", refuses_to_cache)
    assert kernels.kernel(successor)(1) == 2


def test_the_folder_of_others_is_left_alone():
    before = kernels.config.CACHE_DIR
    kernels.kernel(successor)
    assert before == kernels.config.CACHE_DIR


def test_slow_compiling_is_said(capsys, monkeypatch):
    import threading

    said = threading.Event()
    monkeypatch.setattr(kernels.sys.stderr, "flush", said.set, raising=False)
    with kernels.saying_so_when_slow(numba.njit(successor)):
        assert said.wait(10)
    assert "compiling" in capsys.readouterr().err


def test_nothing_is_said_of_compiled_code(capsys):
    compiled = numba.njit(successor)
    compiled(1)
    with kernels.saying_so_when_slow(compiled):
        pass
    assert capsys.readouterr().err == ""
