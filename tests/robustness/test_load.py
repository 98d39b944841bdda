"""One index under threads, processes, forks and asyncio: the answers given without load, and no leaks."""
from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from conftest import ranking

from bmp_plugin import BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin.adapters.sources.json_vector_source import JsonVectorSource
from bmp_plugin.sharded.build_shards import build_shards

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
DATA = resources.files("bmp_plugin.demo")


@pytest.fixture(scope="module")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("load")
    with resources.as_file(DATA / "cranfield_docs.jsonl.gz") as docs:
        one = BmpIndex.build(docs, folder / "one.bmp", progress=False).path
        return {"one": one, "shards": build_shards(JsonVectorSource(docs), folder / "shards.bmps", 3, progress=False).path}


@on_linux
@pytest.mark.parametrize("kind", ["one", "shards"])
def test_the_same_answers_under_load(indexes: dict[str, Path], kind: str) -> None:
    """A forked and a fresh process with four threads each, including asyncio and forking threads."""
    with resources.as_file(DATA / "cranfield_queries.jsonl.gz") as queries:
        done = subprocess.run([sys.executable, "-m", "bmp_plugin.conformance.load", str(indexes[kind]), "--queries",
                               str(queries), "--minutes", "0.07", "--threads", "4", "--sample", "40", "--fork-seconds", "0.2"],
                              capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    for kind in ("thread search", "thread batch", "thread score", "asyncio search", "fork search"):
        assert kind in done.stdout, done.stdout


def test_a_wrong_answer_is_detected(indexes: dict[str, Path]) -> None:
    """Simulates threads that share state by mistake."""
    code = """
import sys
from bmp_plugin import BmpSearcher
from bmp_plugin.conformance import load
search, calls = BmpSearcher.search, []
def sometimes_wrong(self, query, k=10, **options):
    calls.append(k)
    return search(self, query, k, **options)[len(calls) % 500 == 499:]
BmpSearcher.search = sometimes_wrong
sys.exit(load.main(sys.argv[1:]))
"""
    with resources.as_file(DATA / "cranfield_queries.jsonl.gz") as queries:
        done = subprocess.run([sys.executable, "-c", code, str(indexes["one"]), "--queries", str(queries), "--minutes", "0.05",
                               "--sample", "20", "--processes", "1"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "another answer to Request(kind='search'" in done.stdout


def test_growth_is_detected() -> None:
    from bmp_plugin.conformance.load import Report, growth

    def reports(grow: Callable[[int], dict[str, Any]]) -> list[Report]:
        flat: dict[str, Any] = {"memory": {"resident_bytes": 10**8}, "handles": 20, "threads": 9}
        return [Report(1, second, {}, [], **(flat | grow(second))) for second in range(1, 91)]

    assert growth(reports(lambda second: {})) == []
    assert growth(reports(lambda second: {"memory": {"resident_bytes": 10**8 + 10**6 * second}}))[0].startswith("resident")
    assert growth(reports(lambda second: {"handles": 20 + second // 4})) == ["handles grew from 35 to 42"]
    assert growth(reports(lambda second: {"threads": second})) == ["threads grew from 60 to 90"]


@on_linux
@pytest.mark.parametrize("kind", ["one", "shards"])
def test_closed_searchers_leave_no_handles(indexes: dict[str, Path], kind: str) -> None:
    def used() -> tuple[int, int, int]:
        maps = Path("/proc/self/maps").read_text().count(".bin")
        return len(os.listdir("/proc/self/fd")), maps, threading.active_count()

    def use() -> None:
        with BmpSearcher(indexes["one"]) if kind == "one" else ShardedSearcher(indexes["shards"]) as searcher:
            assert len(searcher.search({"flow": 2, "heat": 1}, k=5)) == 5

    use()
    before = used()
    for _ in range(200):
        use()
    deadline = 1000
    while used() > before and deadline:         # threads that were told to end do so in their own time
        deadline -= 1
        threading.Event().wait(0.01)
    assert used() <= before


def test_the_drop_in_under_threads_and_asyncio(host: Any, lucene_index: Callable[[str], Path],
                                               cranfield_queries: dict[str, dict[str, int]]) -> None:
    from bmp_plugin.adapters.pyserini import BmpImpactSearcher

    searcher = BmpImpactSearcher(str(lucene_index("cranfield")), None, progress=False)
    queries = [" ".join(token for token, weight in vector.items() for _ in range(min(weight, 5)))
               for vector in list(cranfield_queries.values())[:20]]
    questions = [(query, k) for query in queries for k in (1, 10, 1000)]
    alone = [ranking(searcher.search(query, k)) for query, k in questions]

    def ask(question: tuple[str, int]) -> list[tuple[str, int, float]]:
        return ranking(searcher.search(*question))

    async def ask_all() -> list[Any]:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(None, ask, question) for question in questions))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, questions * 5)) == alone * 5
    assert asyncio.run(ask_all()) == alone
    together = searcher.batch_search(queries, [str(q) for q in range(len(queries))], k=10, threads=4)
    assert [ranking(hits) for hits in together.values()] == alone[1::3]
    searcher.close()
