"""Large collections: bounded memory, the same bytes for any number of threads, and interruptions that leave nothing."""
from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import large
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_plugin import BmpError, BmpIndex
from bmp_plugin._internal.parallel import in_order
from bmp_plugin.adapters.sources import array_source as arrays
from bmp_plugin.adapters.sources import json_vector_source as json_vectors
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.adapters.sources.json_vector_source import JsonVectorSource
from bmp_plugin.adapters.sources.lucene_source import LuceneSource
from bmp_plugin.conformance.benchmark.memory import AnonymousPeak, memory_bytes
from bmp_plugin.errors import SourceError
from bmp_plugin.index.docid_order import docid_ranks
from bmp_plugin.index.source import Documents

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

# --- the same bytes ---------------------------------------------------------------------------------------------------

# of an index built by one thread, all postings in memory, before any of this was parallel
WHAT_ONE_THREAD_WROTE = {"none": "ce2d93bcff46a091a60ab2189792afbb0c6bb9ff1f73065456e8f088f10c4897",
                         "bp": "807bceb5164282058641faddead64abeff85dea6c3fb136cdf8c83ce650f5914"}


@pytest.fixture(scope="module")
def collection() -> tuple[Any, ...]:
    return large.arrays()


@pytest.mark.parametrize(("threads", "reorder", "budget"), [(1, "none", 10**8), (2, "none", 10**5), (5, "none", 10**6),
                                                            (1, "bp", 10**5), (3, "bp", 10**8)])
def test_arrays_give_the_same_index_for_any_threads_and_budget(collection, tmp_path, monkeypatch, threads, reorder, budget):
    monkeypatch.setattr(arrays, "SEGMENT_DOCUMENTS", 4096)
    source = ArraySource(*collection, large.VOCABULARY, threads=threads, budget=budget, temp_dir=tmp_path)
    index = BmpIndex.build(source, tmp_path / "i.bmp", threads=threads, reorder=reorder, progress=False)
    assert large.digest(index.path) == WHAT_ONE_THREAD_WROTE[reorder]
    assert source._inverter.spilled == (budget < 10**8)
    assert [path.name for path in tmp_path.iterdir()] == ["i.bmp"]


@pytest.fixture(scope="module")
def json_folder(tmp_path_factory) -> Path:
    """Writes about 24 MB in several files, one of them pretty-printed, with long and short documents and tokens with blanks."""
    folder = tmp_path_factory.mktemp("json")
    for name in ("b.jsonl", "a.jsonl", "c.jsonl"):
        with open(folder / name, "w", encoding="utf-8") as file:
            for number in range(20_000):
                vector = {f"t{(number * 31 + i * i * 7) % 5000}é": 1 + (number + i) % 300 for i in range(number % 60)}
                if number % 1000 == 999:
                    vector["two words"] = number
                file.write(json.dumps({"id": f"{name}{number}", "contents": "", "vector": vector}) + "\n")
    pretty = [{"id": f"p{number}", "vector": {"t1é": 1, f"new{number}": 2}} for number in range(1500)]
    (folder / "d.json").write_text(json.dumps(pretty, indent=1))
    return folder


def test_json_vectors_give_the_same_index_for_any_threads(json_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(json_vectors, "COMPILED_FROM", 1)
    digests = set()
    for threads, budget in ((1, 10**8), (2, 10**5), (3, 10**8)):
        source = JsonVectorSource(json_folder, threads=threads, budget=budget, temp_dir=tmp_path)
        index = BmpIndex.build(source, tmp_path / f"{threads}.bmp", threads=threads, progress=False)
        source.close()
        digests.add(large.digest(index.path))
        assert index.num_docs == 3 * (20_000 - 20_000 // 60 - 1) + 1500     # those without tokens are not indexed
        assert index.num_postings == source_postings(json_folder)
    assert len(digests) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.bmp", "2.bmp", "3.bmp"]


def source_postings(folder: Path) -> int:
    source = JsonVectorSource(folder)
    return sum(len(batch.docs) for batch in source.batches())


def test_errors_of_parsing_threads_name_the_file(json_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(json_vectors, "COMPILED_FROM", 1)
    path = tmp_path / "bad.jsonl"
    good = (json_folder / "a.jsonl").read_text().splitlines(keepends=True)
    path.write_text("".join([*good[:15_000], '{"id": "x", "vector": {"a": 0.5}}\n', *good[15_000:]]))
    with pytest.raises(SourceError, match=r"bad\.jsonl, line 15001: weight 0\.5 of token 'a'"):
        JsonVectorSource(path, threads=2).documents()


@pytest.mark.parametrize("name", ["segments", "deletions", "nasty"])
def test_lucene_gives_the_same_index_for_any_threads(lucene_index, tmp_path, name):
    digests = set()
    for threads in (1, 3):
        with LuceneSource(lucene_index(name)) as source:
            digests.add(large.digest(BmpIndex.build(source, tmp_path / str(threads), threads=threads, progress=False).path))
    assert len(digests) == 1


# --- docids -----------------------------------------------------------------------------------------------------------


def documents_of(docids: list[bytes]) -> Documents:
    ends = np.cumsum([len(docid) for docid in docids], dtype=np.int64)
    return Documents(b"".join(docids), ends, np.arange(len(docids), dtype=np.int32))


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=30), st.text("\0a", max_size=20).map(str.encode))), st.binary(max_size=20))
def test_docids_are_ranked_by_their_bytes(docids: list[bytes], prefix: bytes) -> None:
    docids = [prefix + docid for docid in docids]
    expected = sorted(range(len(docids)), key=docids.__getitem__)           # stable: equal ones by source document id
    assert docid_ranks(documents_of(docids), True).tolist() == expected
    assert docid_ranks(documents_of(docids), False).tolist() == list(range(len(docids)))


# --- order and look-ahead ---------------------------------------------------------------------------------------------


def test_work_is_done_in_order_with_little_pending():
    taken, lock = [], threading.Lock()

    def items():
        for number in range(50):
            with lock:
                taken.append(number)
            yield number

    def work(number):
        time.sleep(0.002 * (number % 3))
        return number

    for threads in (1, 3):
        taken.clear()
        for expected, found in enumerate(in_order(work, items(), threads)):
            assert found == expected
            assert len(taken) <= found + threads + 1

    def fails(number):
        if number == 7:
            raise ValueError("seven")
        return number

    done = in_order(fails, items(), 3)
    assert [next(done) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(done)


# --- memory -----------------------------------------------------------------------------------------------------------

BUILD_MAPPED = """
import sys
import numpy as np
from bmp_plugin import BmpIndex
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.conformance.benchmark.memory import AnonymousPeak, memory_bytes

folder, kept = sys.argv[1], []
if sys.argv[2] == "everything":             # what the test must notice
    batches = ArraySource.batches
    ArraySource.batches = lambda self: iter([kept.append(batch) or batch for batch in batches(self)])
ptr, terms, impacts = (np.load(f"{folder}/{name}.npy", mmap_mode="r") for name in ("ptr", "terms", "impacts"))
source = ArraySource(ptr, terms, impacts, range(len(ptr) - 1), range(4096), budget=2_000_000, temp_dir=folder, threads=2)
with AnonymousPeak() as peak:
    before = memory_bytes()["anonymous_bytes"]
    BmpIndex.build(source, f"{folder}/i.bmp", threads=2, progress=False)
print(peak.bytes - before)
"""
POSTINGS = 48_000_000


@pytest.fixture(scope="module")
def mapped(tmp_path_factory) -> Path:
    """Arrays on disk, with 64 postings per document."""
    folder = tmp_path_factory.mktemp("mapped")
    documents = POSTINGS // 64
    rng = np.random.default_rng(0)
    terms = rng.integers(0, 64, (documents, 64), np.uint16) + (64 * np.arange(64, dtype=np.uint16))
    np.save(folder / "terms.npy", terms.reshape(-1))
    np.save(folder / "impacts.npy", rng.integers(1, 256, POSTINGS, np.uint8))
    np.save(folder / "ptr.npy", 64 * np.arange(documents + 1))
    return folder


@on_linux
@pytest.mark.parametrize("what", ["bounded", "everything"])
def test_memory_does_not_grow_with_the_postings(mapped, what):
    """A child process measures its memory: about 100 bytes per document, and a few batches of postings."""
    child = subprocess.run([sys.executable, "-c", BUILD_MAPPED, str(mapped), what], capture_output=True, text=True, check=True)
    taken = int(child.stdout)
    assert (taken < 9 * POSTINGS) == (what == "bounded"), f"{taken / 2**20:.0f} MiB"
    assert not [path for path in mapped.iterdir() if path.suffix != ".npy" and path.name != "i.bmp"]


@on_linux
def test_measured_memory_includes_child_processes():
    code = "import time; held = bytearray(b'x') * 60_000_000; print(flush=True); time.sleep(60)"
    with AnonymousPeak() as peak:
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(0.2)
        child.kill()
        child.communicate()
    assert 60_000_000 < peak.bytes - memory_bytes()["anonymous_bytes"] < 200_000_000


# --- interruptions ----------------------------------------------------------------------------------------------------

BUILD_SLOWLY = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)        # which who runs the tests in the background may ignore
sys.path.insert(0, sys.argv[1])
import large
from bmp_plugin import BmpIndex
from bmp_plugin.adapters.sources.array_source import ArraySource


class Slow(ArraySource):
    def batches(self):
        for batch in super().batches():
            yield batch
            print("a batch", flush=True)
            time.sleep(60)


source = Slow(*large.arrays(2000), large.VOCABULARY, budget=1000, temp_dir=sys.argv[2])
BmpIndex.build(source, sys.argv[2] + "/i.bmp", threads=int(sys.argv[3]), progress=False)
"""


@pytest.mark.parametrize(("how", "threads", "replacing"), [                  # every two values meet
    (signal.SIGINT, 1, False), (signal.SIGINT, 2, True), (signal.SIGKILL, 1, True), (signal.SIGKILL, 2, False)])
def test_interrupted_builds_leave_nothing(tmp_path, how, threads, replacing):
    output = tmp_path / "i.bmp"
    small = ArraySource(*large.arrays(500), large.VOCABULARY)
    if replacing:
        BmpIndex.build(small, output, progress=False)
        before = large.digest(output)
    child = subprocess.Popen([sys.executable, "-c", BUILD_SLOWLY, str(Path(__file__).parents[1]), str(tmp_path), str(threads)],
                             stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert child.stdout.readline()
    child.send_signal(how)
    child.communicate(timeout=120)
    left = sorted(path.name for path in tmp_path.iterdir() if path != output)
    if how == signal.SIGINT:
        assert left == []
    else:
        assert len(left) == 1
        assert left[0].startswith(".i.bmp.building-")
        with pytest.raises(BmpError, match="is not a block-max index"):
            BmpIndex.open(tmp_path / left[0])
    if replacing:
        assert large.digest(output) == before
        BmpIndex.open(output).verify()
    else:
        with pytest.raises(FileNotFoundError):
            BmpIndex.open(output)
    BmpIndex.build(small, output, progress=False).verify()
    assert [path.name for path in tmp_path.iterdir()] == ["i.bmp"], "what the killed build left was not removed"


def test_a_running_build_of_the_same_output_is_left_alone(tmp_path):
    class Meanwhile(ArraySource):
        def batches(self):
            BmpIndex.build(ArraySource(*large.arrays(300), large.VOCABULARY), tmp_path / "i.bmp", progress=False)
            yield from super().batches()

    index = BmpIndex.build(Meanwhile(*large.arrays(500), large.VOCABULARY), tmp_path / "i.bmp", progress=False)
    assert index.num_docs == 500
    index.verify()
    assert [path.name for path in tmp_path.iterdir()] == ["i.bmp"]


def test_a_full_disk_is_reported_in_one_line(collection, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("bmp_plugin.adapters.sources.sorted_segments.tempfile.TemporaryFile", lambda **_: Full())
    with pytest.raises(BmpError, match=r"i\.bmp: cannot be written \(No space left on device\)"):
        BmpIndex.build(ArraySource(*collection, large.VOCABULARY, budget=1000), tmp_path / "i.bmp", progress=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("change", "message"), [
    ({"terms": np.array([0, 2])}, "terms that are not below 2"), ({"terms": np.array([0, -1])}, "not below 2"),
    ({"impacts": np.array([0, 1])}, "impacts that are not 1"), ({"impacts": np.array([2**31, 1])}, "impacts that are not 1"),
    ({"impacts": np.array([1])}, "do not fit")])
def test_invalid_arrays_are_refused(tmp_path, change, message):
    given = {"ptr": np.array([0, 1, 2]), "terms": np.array([0, 1]), "impacts": np.array([1, 1])} | change
    with pytest.raises(ValueError, match=message):
        BmpIndex.build(ArraySource(given["ptr"], given["terms"], given["impacts"], ["a", "b"], ["x", "y"]), tmp_path / "i.bmp",
                       progress=False)
    assert list(tmp_path.iterdir()) == []
