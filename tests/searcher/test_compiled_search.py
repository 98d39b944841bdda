"""Until the search is compiled, which another process does, queries have the same answers, by exhaustive scoring."""
from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import every_kind
import numpy as np
import pytest

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin._internal import background_compile
from bmp_plugin._internal.background_compile import ENVIRONMENT, require_compiled_search
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.conformance.fuzz.change_over import search_compiled_after
from bmp_plugin.index import strings
from bmp_plugin.searcher import bmp_searcher, compiled_search, tie_adjustment


@pytest.fixture(scope="module")
def searcher(tmp_path_factory: pytest.TempPathFactory) -> BmpSearcher:
    """A searcher of an index with lists and impacts of every kind, in more than one window."""
    path = tmp_path_factory.mktemp("compiled") / "every.bmp"
    return BmpSearcher(BmpIndex.build(every_kind.source_of(every_kind.make_impacts()), path, progress=False))


def queries_of_every_kind() -> list[dict[str, int]]:
    rng = np.random.default_rng(4)
    queries = [every_kind.random_query(rng, size) for size in (1, 2, 5, 9, 14)]
    return [*queries, {}, {"unknown": 1}, {"t13": 0}, {"t14": 3, "t12": 0}, {"t00": 2**31 - 1, "t03": 2**31 - 1}, {"t09": 1}]


def found(answers: dict[str, list[Any]]) -> dict[str, list[tuple[str, int, float]]]:
    return {qid: [(hit.docid, hit.lucene_docid, hit.score) for hit in hits] for qid, hits in answers.items()}


@pytest.mark.parametrize("k", [1, 10, 1000])
@pytest.mark.parametrize("threads", [1, 2])
def test_answers_are_the_same_wherever_a_batch_changes_over(searcher: BmpSearcher, k: int, threads: int) -> None:
    queries = queries_of_every_kind()
    qids = [str(i) for i in range(len(queries))]
    expected = found(searcher.batch_search(queries, qids, k))
    assert sum(map(len, expected.values())) > 5
    for at in [*range(len(queries) + 1), None]:
        before = searcher.num_uncompiled
        with search_compiled_after(at):
            assert found(searcher.batch_search(queries, qids, k, threads=threads)) == expected, at
        assert searcher.num_uncompiled - before == (len(queries) if at is None else at)


def test_thresholds_of_other_shards_lose_nothing(searcher: BmpSearcher) -> None:
    query = every_kind.random_query(np.random.default_rng(1), 6)
    [(docs, scores)], _ = searcher.rank([query], 50)
    with search_compiled_after(None):
        [(uncompiled, theirs)], visited = searcher.rank([query], 50, floors=scores[10:11])
    above = int((theirs >= scores[10]).sum())
    assert uncompiled[:above].tolist() == docs[:above].tolist()
    assert visited.tolist() == [[searcher.index.geometry.num_superblocks] * 2]


def test_bad_weights_are_refused_before_the_search_is_compiled(searcher: BmpSearcher) -> None:
    with search_compiled_after(None):
        for weight in (-1, 2**31, float("nan"), "3"):
            with pytest.raises(ValueError, match="token 't01'"):
                searcher.batch_search([{"t00": 1}, {"t01": weight}], ["1", "2"])      # type: ignore[dict-item, list-item]


def test_small_kernels_do_the_same_as_python() -> None:
    raw, ends = strings.encode(["ö", "", "docid", "x"])
    indices = np.array([2, 0, 3, 1, 2], np.int32)
    for newlines in (False, True):
        results = []
        for measure, copy in ((strings.measure_strings, strings.copy_strings),
                              (strings.measure_strings.py_func, strings.copy_strings.py_func)):       # type: ignore[attr-defined]
            bounds = np.empty(6, np.int64)
            measure(ends=ends, indices=indices, bounds=bounds)
            out = np.zeros(int(bounds[-1]) + 5 * newlines, np.uint8)
            copy(raw=raw, ends=ends, indices=indices, bounds=bounds, out=out, newlines=newlines)
            results.append((bounds.tolist(), out.tolist()))
        assert results[0] == results[1]
    rng = np.random.default_rng(2)
    for largest in (3, 1e3, 2**24, 2e9, 3e38):
        scores = np.sort(rng.integers(0, 40, 500).astype(np.float32) * np.float32(largest / 40))[::-1].copy()
        compiled, interpreted = scores.copy(), scores.copy()
        tie_adjustment.adjust_ties(compiled, 500)
        tie_adjustment.adjust_ties.py_func(interpreted, 500)                                            # type: ignore[attr-defined]
        assert compiled.tobytes() == interpreted.tobytes()


@pytest.fixture
def not_compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A process that has no compiled search yet; returns the list of what is asked to be compiled, which never ends."""
    asked: list[str] = []

    def start(function: str, *_: Any) -> bool:
        asked.append(function)
        return True

    monkeypatch.setenv(ENVIRONMENT, "background")
    monkeypatch.setattr(compiled_search, "_is_compiled", False)
    monkeypatch.setattr(compiled_search, "has_code", lambda *_, **named: False)
    monkeypatch.setattr(compiled_search, "start_compiling", start)
    return asked


def test_nothing_waits_while_another_process_compiles(searcher: BmpSearcher, not_compiled: list[str]) -> None:
    before = searcher.num_uncompiled
    assert searcher.search({"t01": 1})
    assert searcher.search({"t02": 1})
    assert searcher.num_uncompiled == before + 2
    module, name = not_compiled[0].split(":")
    assert getattr(sys.modules[module], name) is bmp_searcher.compile_search


def test_the_compiled_search_is_used_as_soon_as_it_is_there(
    searcher: BmpSearcher, not_compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = iter([False, False, True])
    monkeypatch.setattr(compiled_search, "has_code", lambda *_, **named: next(ready))
    before = searcher.num_uncompiled
    searcher.batch_search([{"t01": 1}] * 6, [str(i) for i in range(6)])
    assert searcher.num_uncompiled == before + 2


@pytest.mark.parametrize("loaded", [True, False])
def test_code_that_is_there_is_found(searcher: BmpSearcher, monkeypatch: pytest.MonkeyPatch, loaded: bool) -> None:
    """Code that this process has loaded, and code in the cache."""
    searcher.search({"t01": 1})                              # compiles it, or loads it
    real = compiled_search.has_code
    found: list[bool] = []

    def recorded(function: Any, **arguments: Any) -> bool:
        with monkeypatch.context() as changed:
            if not loaded:
                changed.setattr(function, "overloads", {})
            found.append(real(function, **arguments))
        return found[-1]

    monkeypatch.setenv(ENVIRONMENT, "background")
    monkeypatch.setattr(compiled_search, "_is_compiled", False)
    monkeypatch.setattr(compiled_search, "has_code", recorded)
    monkeypatch.setattr(compiled_search, "start_compiling", lambda *_: pytest.fail("it is compiled already"))
    before = searcher.num_uncompiled
    assert searcher.search({"t01": 1})
    assert (found, searcher.num_uncompiled) == ([True], before)


def test_a_process_that_failed_is_not_waited_for(
    searcher: BmpSearcher, not_compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled_search, "start_compiling", lambda *_: False)
    before = searcher.num_uncompiled
    assert searcher.search({"t01": 1})
    assert searcher.num_uncompiled == before


def test_approximate_searches_wait(searcher: BmpSearcher, not_compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[bool] = []
    monkeypatch.setattr(compiled_search, "wait_for_compiling", lambda: waited.append(True))
    before = searcher.num_uncompiled
    assert searcher.search({"t01": 1}, alpha=0.9)
    assert (waited, searcher.num_uncompiled) == ([True], before)


@pytest.mark.parametrize(("choice", "uncompiled"), [("wait", 0), ("never", 1)])
def test_the_environment_decides(
    searcher: BmpSearcher, not_compiled: list[str], monkeypatch: pytest.MonkeyPatch, choice: str, uncompiled: int
) -> None:
    monkeypatch.setenv(ENVIRONMENT, choice)
    before = searcher.num_uncompiled
    assert searcher.search({"t01": 1})
    assert (searcher.num_uncompiled - before, not_compiled) == (uncompiled, [])


def test_other_values_of_the_environment_are_refused(
    searcher: BmpSearcher, not_compiled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, "later")
    with pytest.raises(ValueError, match="BMP_PLUGIN_COMPILE='later' is not one of background, wait, never"):
        searcher.search({"t01": 1})


def test_measurements_are_of_compiled_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "background")
    require_compiled_search()
    assert os.environ[ENVIRONMENT] == "wait"
    monkeypatch.setenv(ENVIRONMENT, "never")
    with pytest.raises(ValueError, match="BMP_PLUGIN_COMPILE=never"):
        require_compiled_search()


def test_without_an_interpreter_to_start_this_process_compiles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(background_compile.sys, "executable", str(tmp_path / "no python"))
    assert not background_compile._Compiler().start("a:b", "", tmp_path, "")


def test_a_process_that_dies_is_noticed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    compiler = background_compile._Compiler()
    assert compiler.start("no.such.module:function", "", tmp_path, "compiling")
    compiler.wait()
    assert not compiler.is_running
    assert not compiler.start("no.such.module:function", "", tmp_path, "compiling")                # it is not tried again
    assert capfd.readouterr().err == "compiling\n"


FIRST_USE = """
import sys, time
from bmp_plugin import BmpSearcher
from bmp_plugin.searcher import compiled_search
searcher = BmpSearcher(sys.argv[1])
searches = [0, 0]
answers = set()
deadline = time.monotonic() + 300
while searches[1] < 3 and time.monotonic() < deadline:
    hits = searcher.search({"x": 2, "z": 1})
    answers.add(str(hits))
    searches[compiled_search._is_compiled] += 1
    time.sleep(0.05)
    if "leave" in sys.argv:
        break
print(searches, answers)
"""


@pytest.fixture
def fresh(tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who has never compiled anything."""
    kept = {name: value for name, value in os.environ.items() if name not in {ENVIRONMENT, "NUMBA_CACHE_DIR"}}
    return kept | {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}


@pytest.fixture
def small_index(tmp_path: Path) -> Path:
    source = ArraySource(np.array([0, 2, 3, 4]), np.array([0, 1, 0, 2]), np.array([5, 1, 7, 300]), ["d2", "d10", "ö"],
                         ["x", "y", "z"])
    return BmpIndex.build(source, tmp_path / "i.bmp", progress=False).path


def run(environment: dict[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", FIRST_USE, *arguments], env=environment, capture_output=True, text=True,
                          timeout=400)


@pytest.mark.slow
def test_two_processes_compile_once_even_if_the_first_leaves(fresh: dict[str, str], small_index: Path, tmp_path: Path) -> None:
    """The first process starts to compile and ends; the second finds the same process at work, and takes over its code."""
    first = run(fresh, small_index, "leave")
    assert "[1, 0]" in first.stdout
    assert first.stderr.endswith(compiled_search.NOTICE + "\n")
    second = run(fresh, small_index)
    before, after = map(int, second.stdout[1:].split("]")[0].split(", "))
    assert before > 0
    assert after == 3
    assert "\n" not in second.stdout.strip()
    assert second.stdout.split("] ")[1] == first.stdout.split("] ")[1]                # one answer, the same
    [folder] = (tmp_path / "cache" / "bmp-plugin").glob("kernels-*")
    [code] = folder.glob("*/search_many-*.nbc")
    third = run(fresh, small_index)
    assert (third.stdout.split("]")[0], "kernels" in third.stderr) == ("[0, 3", False)
    assert code.stat().st_mtime < time.time()
    assert not list(folder.glob("**/*.tmp.*"))


def test_a_first_search_with_all_code_loads_no_compiler(small_index: Path) -> None:
    """Linear algebra, which numba loads for some functions of numpy, takes three times as long to load as the search."""
    code = ("import sys; from bmp_plugin import BmpSearcher; print(BmpSearcher(sys.argv[1]).search({'x': 1})[0].docid);"
            "print([name for name in ('scipy.linalg', 'numba.np.arraymath') if name in sys.modules])")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for _ in range(2):                                       # the first may have to compile
        done = subprocess.run([sys.executable, "-c", code, small_index], env=environment, capture_output=True, text=True,
                              check=True)
    assert done.stdout == "d10\n[]\n"


@pytest.mark.parametrize("setting", [{"NUMBA_DISABLE_JIT": "1"}, {ENVIRONMENT: "never"}])
def test_searches_that_are_never_compiled(fresh: dict[str, str], small_index: Path, setting: dict[str, str]) -> None:
    done = run(fresh | setting | {"BMP_PLUGIN_VERIFY": "never"}, small_index, "leave")
    assert (done.stdout.split("]")[0], done.stderr) == ("[1, 0", "")


def test_a_home_that_cannot_be_written(fresh: dict[str, str], small_index: Path, tmp_path: Path) -> None:
    """Compiled code goes to a folder of the user's among temporary files, which nobody else may write to."""
    (tmp_path / "file").touch()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = fresh | {"XDG_CACHE_HOME": str(tmp_path / "file"), "HOME": str(tmp_path / "file"), "TMPDIR": str(temporary),
                           "BMP_PLUGIN_VERIFY": "never"}
    environment |= {ENVIRONMENT: "never"}                    # it is only about the place
    asking = [sys.executable, "-c", "from bmp_plugin._internal.kernels import cache_folder; print(cache_folder())"]
    done = subprocess.run(asking, env=environment, capture_output=True, text=True, check=True)
    folder = Path(done.stdout.strip()).parent
    assert folder.parent == temporary
    assert folder.stat().st_mode & 0o077 == 0
    folder.chmod(0o777)                                      # as if somebody else had made it
    done = subprocess.run(asking, env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent != folder
    assert run(environment, small_index, "leave").stdout.startswith("[1, 0]")


def test_compiling_the_search_calls_all_that_a_search_calls(small_index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    real = bmp_searcher.finish_hits
    monkeypatch.setattr(bmp_searcher, "finish_hits", lambda *given: called.append("hits") or real(*given))    # type: ignore[func-returns-value]
    bmp_searcher.compile_search(str(small_index))
    assert called == ["hits"]
