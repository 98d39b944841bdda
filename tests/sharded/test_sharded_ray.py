"""Shards on a real Ray cluster of several nodes on this machine; an actor and nodes are killed during a batch."""
from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from conftest import ranking, read_jsonl

from bmp_plugin import BmpIndex, BmpSearcher, ShardedSearcher
from bmp_plugin._internal import interrupts
from bmp_plugin._internal.kernels import cache_folder
from bmp_plugin.cli import main
from bmp_plugin.errors import BmpError, ShardLostError
from bmp_plugin.index.format_registry import open_source
from bmp_plugin.sharded.build_shards import build_shards
from bmp_plugin.sharded.ray_actors import RayShard, connect
from bmp_plugin.sharded.shard_server import SearchRequest, SearchResponse

if importlib.util.find_spec("ray") is None and not os.environ.get("CI"):
    pytest.skip("Ray is not installed", allow_module_level=True)

DATA = Path(str(resources.files("bmp_plugin.demo")))
DOCS, QUERIES = DATA / "cranfield_docs.jsonl.gz", DATA / "cranfield_queries.jsonl.gz"
NUM_SHARDS = 2
HALF = {"num_cpus": 0.5}         # both shards fit on one of the nodes, which have one processor each
QUICK = {"RAY_health_check_period_ms": "300", "RAY_health_check_timeout_ms": "300",
         "RAY_health_check_failure_threshold": "3"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ray")
    source = open_source(DOCS)
    BmpIndex.build(source, folder / "one.bmp", progress=False)
    build_shards(source, folder / "many.bmps", NUM_SHARDS, progress=False)
    source.close()
    assert main(["search", "--index", str(folder / "one.bmp"), "--topics", str(QUERIES), "--output", str(folder / "one.txt"),
                 "--hits", "100", "--quiet"]) == 0
    return folder


@pytest.fixture(scope="module")
def batch() -> tuple[list[dict[str, Any]], list[str]]:
    """Some queries, repeated so that there is time for a fault during the batch."""
    queries = [query["vector"] for query in read_jsonl(QUERIES)][:100] * 8
    return queries, [f"q{i}" for i in range(len(queries))]


@pytest.fixture(scope="module")
def expected(folder: Path, batch: Any) -> dict[str, Any]:
    searcher = BmpSearcher(folder / "one.bmp")
    return {qid: ranking(hits) for qid, hits in searcher.batch_search(*batch, k=50).items()}


def fault_handlers() -> list[int]:
    """Returns the addresses of the handlers of SIGILL, SIGBUS, SIGFPE and SIGSEGV: the first field of a sigaction."""
    actions = [ctypes.create_string_buffer(1024) for _ in range(4)]
    for name, action in zip(("SIGILL", "SIGBUS", "SIGFPE", "SIGSEGV"), actions, strict=True):
        assert ctypes.CDLL(None).sigaction(int(getattr(signal, name)), None, action) == 0
    return [int.from_bytes(action.raw[:8], "little") for action in actions]


class LocalCluster:
    """A head without processors, and two nodes with one each, which are restarted when they are gone."""

    def __init__(self, caches: Path) -> None:
        from ray.cluster_utils import Cluster

        self.small = {"object_store_memory": 80 * 2**20}
        self.cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **self.small})
        self.caches = caches
        self.nodes: dict[str, Any] = {}
        self.restore()
        self.handlers = fault_handlers()
        self.ray, self.leave = connect(self.cluster.address)     # which spares the JVM of other tests

    def restore(self) -> None:
        for name in {"a", "b"} - set(self.nodes):
            # every node has a cache of its own, as on a machine of its own, but not of compiled kernels
            environment = {"XDG_CACHE_HOME": str(self.caches / name), "NUMBA_CACHE_DIR": str(cache_folder().parent)}
            self.nodes[name] = self.cluster.add_node(num_cpus=1, env_vars=environment, **self.small)

    def kill_node_of(self, shard: RayShard) -> None:
        """Kills the node that serves a shard, and waits until the cluster has noticed."""
        number = self.ray.get(shard.actor.node.remote())
        name = next(name for name, node in self.nodes.items() if node.node_id == number)
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)
        while any(node["Alive"] and node["NodeID"] == number for node in self.ray.nodes()):
            time.sleep(0.1)

    def close(self) -> None:
        self.leave()
        self.cluster.shutdown()
        assert self.handlers == fault_handlers()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCluster]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setenv(name, value)
        cluster = LocalCluster(tmp_path_factory.mktemp("caches"))
        yield cluster
        cluster.close()


@pytest.fixture
def cluster(running: LocalCluster) -> LocalCluster:
    running.restore()
    return running


@pytest.fixture
def after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[RayShard], None]], None]:
    """Does something once, when that many requests are answered and others are in flight; no more are sent meanwhile."""

    def do(count: int, action: Callable[[RayShard], None], patience: float | None = None) -> None:
        answer, lock, answered = RayShard.answer, threading.Lock(), []
        done = threading.Event()
        done.set()

        def counting(shard: RayShard, request: SearchRequest) -> SearchResponse:
            done.wait()
            if patience is not None and len(answered) >= count:
                shard.patience = patience
            answers = answer(shard, request)
            with lock:
                answered.append(shard)
                due = len(answered) == count
            if due:
                done.clear()
                action(shard)
                done.set()
            return answers

        monkeypatch.setattr(RayShard, "answer", counting)

    return do


def nodes_of(searcher: ShardedSearcher) -> set[str]:
    import ray

    return {ray.get(shard.actor.node.remote()) for shard in searcher._shards if isinstance(shard, RayShard)}


def restarts(searcher: ShardedSearcher) -> int:
    return sum(shard.restarts for shard in searcher._shards if isinstance(shard, RayShard))


def test_answers_are_those_of_one_index(cluster: LocalCluster, folder: Path, batch: Any, expected: Any, after: Any) -> None:
    """Also if an actor is killed in the middle of the batch."""
    with ShardedSearcher(folder / "many.bmps", ray_address="auto", actor_options=HALF) as searcher:
        found = searcher.batch_search(*batch, k=50)
        assert list(found) == batch[1]
        assert {qid: ranking(hits) for qid, hits in found.items()} == expected
        assert ranking(searcher.search(batch[0][3], 50)) == expected["q3"]
        assert searcher.search({}) == searcher.search({"nowhere": 1}) == []
        one = BmpSearcher(folder / "one.bmp")
        docids = [docid for docid, *_ in expected["q3"][::20]]
        assert searcher.score(batch[0][3], docids).tolist() == one.score(batch[0][3], docids).tolist()
        assert [searcher.explain(batch[0][3], docid) for docid in docids] == [
            one.explain(batch[0][3], docid) for docid in docids]
        with pytest.raises(ValueError, match="docid 'nope' is not in"):
            searcher.explain({"flow": 1}, "nope")
        assert len(nodes_of(searcher)) == 2
        assert restarts(searcher) == 0
        with pytest.raises(ValueError, match="negative"):
            searcher.search({"flow": -1})
        after(5, lambda shard: cluster.ray.kill(shard.actor))
        assert {qid: ranking(hits) for qid, hits in searcher.batch_search(*batch, k=50).items()} == expected
        assert restarts(searcher) == 1
        assert searcher.missing == []


def test_command_line(cluster: LocalCluster, folder: Path) -> None:
    """Runs in a separate process, which connects to the cluster and disconnects."""
    done = subprocess.run(
        [sys.executable, "-m", "bmp_plugin", "search", "--index", folder / "many.bmps", "--topics", QUERIES, "--output",
         folder / "many.txt", "--hits", "100", "--ray-address", cluster.cluster.address], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "1.2 % of all tokens are unknown" in done.stderr.splitlines()[0]
    assert done.stderr.count("\n") == 2, done.stderr
    assert "225 queries" in done.stderr
    assert (folder / "many.txt").read_bytes() == (folder / "one.txt").read_bytes()


def test_a_shard_is_placed_on_the_node_that_has_it(cluster: LocalCluster, folder: Path, batch: Any, expected: Any) -> None:
    """One node's cache has the shards; a memory:// address is valid in no process."""
    many = folder / "many.bmps"
    cache = cluster.caches / "a" / "bmp-plugin" / "copies"
    with ShardedSearcher(many) as local:
        for shard in local.index.shards:
            shutil.copytree(many / shard.path, cache / shard.identity)
    queries, qids = (part[:30] for part in batch)
    with ShardedSearcher(many, ray_address="auto", shards_at="memory://nowhere", actor_options=HALF) as searcher:
        found = searcher.batch_search(queries, qids, k=50)
        assert {qid: ranking(hits) for qid, hits in found.items()} == {qid: expected[qid] for qid in qids}
        assert len(nodes_of(searcher)) == 1
    shutil.rmtree(cache)
    with pytest.raises(ShardLostError, match=r"^shard-00\d: none of 2 nodes can open it .*memory://nowhere/shard-00\d\.bmp"):
        ShardedSearcher(many, ray_address="auto", shards_at="memory://nowhere", actor_options=HALF)


def test_no_cluster(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bmp_plugin", "search", "--index", folder / "many.bmps", "--topics", QUERIES, "--output",
         folder / "none.txt", "--ray-address", "127.0.0.1:1"], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("bmp-plugin: error: --ray-address 127.0.0.1:1: there is no Ray cluster"), done.stderr
    assert done.stderr.count("\n") == 1


def test_fault_handlers_are_kept(running: LocalCluster) -> None:
    """Those of pytest, or of the JVM if other tests have started it, which would die without them; see the fixture."""
    assert running.handlers == fault_handlers()
    assert all(running.handlers)


def test_ray_is_not_imported_unless_asked_for(folder: Path) -> None:
    code = (f"import sys; from bmp_plugin import ShardedSearcher; s = ShardedSearcher({str(folder / 'many.bmps')!r}); "
            "s.search({'flow': 1}); print({'ray', 'fsspec', 'pyserini', 'torch'} & set(sys.modules))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_one_index_is_not_served_by_a_cluster(folder: Path) -> None:
    with pytest.raises(BmpError, match="not a sharded index"):
        ShardedSearcher(folder / "one.bmp", ray_address="auto")
    assert main(["search", "--index", str(folder / "one.bmp"), "--topics", str(QUERIES), "--output", str(folder / "x.txt"),
                 "--ray-address", "auto"]) == 2


# --- nodes die from here on, and starting others takes seconds: tests that need both come before ---------------------


def test_shards_of_a_dead_node_move_to_another(cluster: LocalCluster, folder: Path, batch: Any, expected: Any,
                                               after: Any) -> None:
    after(5, cluster.kill_node_of)
    with ShardedSearcher(folder / "many.bmps", ray_address="auto", actor_options=HALF) as searcher:
        assert {qid: ranking(hits) for qid, hits in searcher.batch_search(*batch, k=50).items()} == expected
        assert restarts(searcher) >= 1
        assert searcher.missing == []


def test_a_shard_that_cannot_be_restarted(cluster: LocalCluster, folder: Path, after: Any, tmp_path: Path,
                                          monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """One processor is left for two shards: the command fails, or answers all queries from the same shard."""
    monkeypatch.setattr(interrupts, "install", lambda: None)              # pytest's own stay
    output = tmp_path / "run.txt"
    command = ["search", "--index", str(folder / "many.bmps"), "--topics", str(QUERIES), "--output", str(output), "--hits",
               "100", "--ray-address", "auto", "--patience", "30", "--quiet"]
    with monkeypatch.context() as patch:
        after(5, cluster.kill_node_of, patience=1)
        assert main(command) == 2
        errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("bmp-plugin: ")]
        assert len(errors) == 1
        assert errors[0].startswith("bmp-plugin: error: shard-00")
        assert "the cluster had no room for it within 1 s" in errors[0]
        assert not output.exists()
        patch.undo()
    cluster.restore()
    after(5, cluster.kill_node_of, patience=1)
    assert main([*command, "--allow-partial", "--tag", "me"]) == 0
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("bmp-plugin: ")]
    assert len(errors) == 1
    assert errors[0].startswith("bmp-plugin: partial: the run lacks shard-00")
    remaining = shutil.copytree(folder / "many.bmps", tmp_path / "remaining.bmps")
    shutil.rmtree(remaining / f"{re.findall('shard-00[0-9]', errors[0])[0]}.bmp")
    assert main(["search", "--index", str(remaining), "--topics", str(QUERIES), "--output", str(tmp_path / "local.txt"),
                 "--hits", "100", "--allow-partial", "--tag", "me"]) == 0
    assert output.read_bytes() == (tmp_path / "local.txt").read_bytes()
    assert {line.split()[-1] for line in output.read_text().splitlines()} == {"me-partial"}
