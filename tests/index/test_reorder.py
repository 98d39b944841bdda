"""Reordering: a permutation, the same for every number of threads, that clusters similar documents and omits none."""
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from term_ids import source_of
from tqdm import tqdm

from bmp_plugin import BmpIndex, BmpSearcher
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.errors import SourceError
from bmp_plugin.index.reorder import bisection_kernels as bisection
from bmp_plugin.index.reorder import forward_index as forward
from bmp_plugin.index.reorder import recursive_bisection as reorder
from bmp_plugin.index.reorder.bisection_kernels import BLOCK, SUPERBLOCK
from bmp_plugin.trec.run_file import RunWriter


def random_documents(num_docs, num_terms, seed=0):
    """Some without terms, terms of very different document frequencies, many equal documents."""
    rng = np.random.default_rng(seed)
    kinds = [{int(t): int(rng.integers(1, 400)) for t in rng.zipf(1.3, rng.integers(0, 25)) if t < num_terms}
             for _ in range(max(1, num_docs // 3))]
    return [kinds[rng.integers(len(kinds))] for _ in range(num_docs)]


def order_of(source, folder, threads=1):
    return reorder.bisection_order(source, source.documents(), Path(folder), threads=threads)


@pytest.mark.parametrize("num_docs", [0, 1, 7, 8, 9, 15, 16, 17, 100, 255, 256, 257, 511, 512, 513, 1000, 6000])
def test_every_document_once_whatever_the_threads(num_docs, tmp_path, monkeypatch):
    source = source_of(random_documents(num_docs, 300), 300)
    order = order_of(source, tmp_path)
    assert order.dtype == np.int32
    assert sorted(order.tolist()) == list(range(num_docs))
    for threads in (2, 3, 8):
        assert np.array_equal(order_of(source, tmp_path, threads), order)
    monkeypatch.setattr(reorder, "MIN_SERIAL_PART", 16)             # nearly all parts are split by all threads together
    monkeypatch.setattr(reorder, "MAX_SERIAL_PART", 16)
    for threads in (1, 3):
        assert np.array_equal(order_of(source, tmp_path, threads), order)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("documents", [
    [{} for _ in range(100)],
    [{0: 5} for _ in range(100)],
    [{i: 5} for i in range(100)],
    [{0: 2**31 - 1, 1 + i % 2: 1} for i in range(100)],
], ids=["no postings", "one term everywhere", "nothing shared", "large impacts"])
def test_collections_without_a_better_order(documents, tmp_path):
    assert sorted(order_of(source_of(documents, 101), tmp_path).tolist()) == list(range(100))


def test_similar_documents_share_blocks(tmp_path):
    rng = np.random.default_rng(3)
    topics = rng.permutation(np.repeat(np.arange(128), 2 * BLOCK))
    documents = []
    for topic in topics:
        mine = 20 * topic + rng.permutation(20)[:12]
        noise = 2560 + rng.permutation(400)[:12]
        documents.append({int(t): int(rng.integers(80, 120)) for t in mine} | {int(t): int(rng.integers(1, 20)) for t in noise})
    order = order_of(source_of(documents, 2960), tmp_path, 2)
    topics_of_block = [len(set(block)) for block in topics[order].reshape(-1, BLOCK).tolist()]
    assert np.mean(topics_of_block) < 1.1                # 7.7 in random order


def test_runs_are_byte_identical(tmp_path):
    """With only five distinct vectors, hundreds of documents tie at every cut-off."""
    kinds = [{0: 5}, {0: 5, 1: 2}, {1: 2}, {1: 2, 2: 300}, {}]
    rng = np.random.default_rng(1)
    documents = [kinds[i] for i in rng.integers(0, 5, 1500)]
    runs = {"none": [], "bp": []}
    for name in runs:
        index = BmpIndex.build(source_of(documents, 3), tmp_path / name, reorder=name, progress=False, threads=2)
        queries = [{"t0": 3}, {"t0": 1, "t1": 1}, {"t2": 2, "t1": 0}, {"t0": 2, "t1": 5, "t2": 1}]
        with BmpSearcher(index) as searcher:
            for k in (1, 10, 700, 2000):
                answers = searcher.batch_search(queries, [str(q) for q in range(4)], k=k)
                with RunWriter(tmp_path / "run.txt") as writer:
                    for qid, hits in answers.items():
                        writer.write(qid, hits)
                runs[name].append((tmp_path / "run.txt").read_bytes())
    assert runs["none"] == runs["bp"]


def test_deleted_documents_leave_gaps_in_source_ids(tmp_path):
    documents = random_documents(700, 80)
    plain = source_of(documents, 80)
    with_deletions = source_of(documents, 80, deletions=True)
    for threads in (1, 4):
        assert np.array_equal(order_of(with_deletions, tmp_path, threads), order_of(plain, tmp_path, threads))


def test_only_the_largest_impacts_are_used(tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "KEPT_PER_DOCUMENT", 2)
    rng = np.random.default_rng(5)
    documents = [{int(t): int(rng.integers(1, 1000)) for t in rng.permutation(50)[:20]} | {60: 1000} for _ in range(400)]
    documents[7][61] = 1000
    source = source_of(documents, 62)
    with ThreadPoolExecutor(3) as pool, \
            forward.forward_index(source, source.documents(), tmp_path, pool, 3, tqdm(disable=True)) as found:
        lengths, postings = found.lengths.copy(), found.postings.copy()
        assert len(found.spare) == len(postings)
    impacts = np.sort([x for document in documents for x in document.values()])[::-1]
    lightest = impacts[int(forward.KEPT_SHARE * len(impacts)) - 1]
    # neither the term of every document nor that of one says which documents belong together
    expected = [{t for t, x in document.items() if x >= lightest and t < 60} for document in documents]
    assert lengths.tolist() == [len(terms) for terms in expected]
    split = np.split(postings, np.cumsum(lengths)[:-1])
    assert [set((part >> 8).tolist()) for part in split] == expected
    weights = {x: set() for x in (lightest, 999)}
    for document, part in zip(documents, split, strict=True):
        for posting in part.tolist():
            assert posting & 255 > 0
            weights.setdefault(document[posting >> 8], set()).add(posting & 255)
    assert max(weights[lightest]) < min(weights[999])     # all of these terms have nearly the same idf


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_the_median_cut_swaps_the_pairs_that_gain(data):
    n = data.draw(st.integers(2, 2 * bisection.DAMPED))
    left = data.draw(st.integers(1, n - 1))
    gain = np.array(data.draw(st.lists(st.integers(-4, 4), min_size=n, max_size=n)), np.int64)
    side = np.ones(n, np.uint8)
    side[data.draw(st.permutations(range(n)))[:left]] = 0
    moves = np.empty(n, np.uint8)
    pairs = bisection.choose_exchanges(n, left, gain, side, moves, np.empty(n, np.int64))
    best = zip(sorted(gain[side == 0])[::-1], sorted(gain[side == 1]), strict=False)
    gaining = [(x, y) for x, y in best if x > y]
    if n <= bisection.DAMPED:                             # only the better half of them
        gaining = gaining[:(len(gaining) + 1) // 2]
    assert pairs == len(gaining)
    assert sorted(gain[(side == 0) & (moves == 1)].tolist()) == sorted(x for x, _ in gaining)
    assert sorted(gain[(side == 1) & (moves == 1)].tolist()) == sorted(y for _, y in gaining)


def test_a_gain_is_the_decrease_of_the_cost():
    left, right = 1000, 744
    pairs = [(1, 0), (1, 1), (0, 1), (5, 2), (2, 90), (1000, 744), (999, 1)]
    in_two_threads = np.array([[[x - x // 3, y - y // 2] for x, y in pairs], [[x // 3, y // 2] for x, y in pairs]], np.int32)
    degrees = np.ascontiguousarray(in_two_threads.transpose(0, 2, 1))
    gains = np.empty((2, len(pairs)), np.int32)
    bisection.term_gains(degrees, len(pairs), bisection.log_slopes(1744), left, right, gains)

    def cost(x, y):
        return x * np.log2(left / (x + 1)) + y * np.log2(right / (y + 1))

    for t, (x, y) in enumerate(pairs):
        if x:
            assert gains[0, t] / 2**20 == pytest.approx(cost(x, y) - cost(x - 1, y + 1), abs=1e-5)
        if y:
            assert -gains[1, t] / 2**20 == pytest.approx(cost(x, y) - cost(x + 1, y - 1), abs=1e-5)


@given(st.integers(BLOCK + 1, 10**7))
def test_parts_are_split_at_superblocks_or_blocks(n):
    left = bisection.left_half(n)
    assert 0 < left < n
    unit = SUPERBLOCK if n > SUPERBLOCK else BLOCK
    assert left % unit == 0
    assert abs(left - (n - left)) <= unit


def test_a_failed_read_leaves_nothing(tmp_path):
    class Failing(ArraySource):
        passes = 0

        def batches(self):
            self.passes += 1
            yield from super().batches()
            if self.passes == self.fails_in:
                raise KeyboardInterrupt

    for fails_in in (1, 2, 3):
        source = source_of(random_documents(300, 50), 50)
        source.__class__, source.fails_in = Failing, fails_in
        with pytest.raises(KeyboardInterrupt):
            BmpIndex.build(source, tmp_path / "i.bmp", reorder="bp", threads=2, progress=False)
        assert list(tmp_path.iterdir()) == []


def test_a_source_that_changes_during_the_build_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(forward, "KEPT_PER_DOCUMENT", 1)

    class Changing(ArraySource):
        passes = 0

        def batches(self):
            self.passes += 1
            for batch in super().batches():
                if self.passes == 3:
                    self.change(batch)
                yield batch

    def other(batch):
        batch.docs = np.sort((batch.docs + 1) % 300)

    def fewer(batch):
        batch.impacts = batch.impacts - 50

    def more(batch):
        batch.impacts = batch.impacts + 50

    for change in (other, fewer, more):
        source = source_of(random_documents(300, 50), 50)
        source.__class__, source.change = Changing, staticmethod(change)
        with pytest.raises(SourceError, match="changed while it was being read"):
            order_of(source, tmp_path, 2)
        assert list(tmp_path.iterdir()) == []
