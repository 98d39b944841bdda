"""The threshold never exceeds the k-th best score, and rises even before the k best candidates are selected."""
import numpy as np
import pytest

from bmp_plugin._internal.kernels import kernel
from bmp_plugin.query.topk import (
    BINS,
    TALLY,
    Candidates,
    Threshold,
    finish,
    initial_threshold,
    insert,
    keep_best,
    make_candidates,
    read_tallies,
)

N = 40


@kernel
def insert_all(sums, num_docs, doc_rank, k, floor, scale, lowest, counts):
    """Inserts the sums int32[m, 256] of m superblocks; lowest and counts int64[m] receive the threshold after each of them.

    Returns the k best documents and their scores.
    """
    candidates, best = make_candidates(k, np.empty((1, TALLY), np.int32), 0), initial_threshold(floor)
    for s in range(len(sums)):
        for d in range(256):
            if (s << 8) + d < num_docs and sums[s, d] >= best.lowest_sum:
                best = insert(candidates, k, np.int64(sums[s, d]), doc_rank[(s << 8) + d], scale, best)
        lowest[s], counts[s] = best.lowest_sum, best.num_candidates
    docs, scores = np.empty(k, np.int32), np.empty(k, np.float32)
    n = finish(candidates.keys, best.num_candidates, k, np.argsort(doc_rank).astype(np.int32), docs, scores)
    return docs[:n], scores[:n]


@pytest.mark.parametrize("largest", [50, 5_000, 16_777_300, 2_000_000_000])
@pytest.mark.parametrize("k", [1, 10, 300, 5_000, 20_000])
def test_the_k_best_of_random_sums(k, largest):
    rng = np.random.default_rng(k)
    num_docs = 256 * N - 100
    sums = rng.integers(largest - min(largest, 400), largest, (N, 256), endpoint=True).astype(np.int32)
    sums[rng.random((N, 256)) < 0.3] //= 3
    doc_rank = rng.permutation(num_docs).astype(np.int32)
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    docs, scores = insert_all(sums, num_docs, doc_rank, k, np.float32(0.0), 65_000 / largest, lowest, counts)
    flat = sums.ravel()[:num_docs]
    best = np.lexsort((doc_rank, -flat.astype(np.float32)))[:k]
    best = best[flat[best] > 0]
    assert docs.tolist() == best.tolist()
    assert scores.tolist() == flat[best].astype(np.float32).tolist()
    for s in range(N):
        so_far = np.sort(flat[:256 * (s + 1)])
        if len(so_far) < k:
            assert lowest[s] == 1
        else:
            kth = max(1, int(so_far[-k]))
            assert lowest[s] <= kth
            assert np.float32(lowest[s] - 1) < np.float32(kth) or lowest[s] == 1


def test_the_threshold_rises_before_a_selection():
    """Sums descend: after k of them, all that are in lower bins are rejected, although there is room for more candidates."""
    k = 400
    sums = np.repeat(np.arange(N, 0, -1) * 1_000, 256).reshape(N, 256).astype(np.int32)
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    insert_all(sums, 256 * N, np.arange(256 * N, dtype=np.int32), k, np.float32(0.0), 65_000 / 40_000, lowest, counts)
    assert counts.tolist() == [256, *[512] * (N - 1)]
    assert 38_900 < lowest[1] <= 39_000


@pytest.mark.parametrize("k", [10, 1000])
def test_the_best_ranks_are_selected_if_all_documents_tie(k):
    sums = np.full((N, 256), 7, np.int32)
    doc_rank = np.arange(256 * N, dtype=np.int32)[::-1].copy()
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    docs, _ = insert_all(sums, 256 * N, doc_rank, k, np.float32(0.0), 1.0, lowest, counts)
    assert docs.tolist() == list(range(256 * N - 1, 256 * N - 1 - k, -1))
    assert counts.min() < counts.max() <= 2 * k + 1024


def test_documents_below_the_initial_threshold_are_rejected():
    sums = np.arange(256 * N, dtype=np.int32).reshape(N, 256)
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    ranks = np.arange(256 * N, dtype=np.int32)
    docs, _ = insert_all(sums, 256 * N, ranks, 1000, np.float32(10_000.0), 6.0, lowest, counts)
    assert docs.tolist() == list(range(256 * N - 1, 9_999, -1))


@pytest.mark.parametrize("below", [1, 2, 3])
def test_a_sum_in_a_lower_bin_that_ties_as_float32_is_accepted(below):
    """At a bin's lower limit, 2^27, float32 sums are 8 apart: the document of the second superblock has the better rank."""
    sums = np.zeros((2, 256), np.int32)
    sums[0, 7], sums[1, 9] = 2**27, 2**27 - below
    ranks = np.arange(512, dtype=np.int32)[::-1].copy()
    lowest, counts = np.empty(2, np.int64), np.empty(2, np.int64)
    docs, scores = insert_all(sums, 512, ranks, 1, np.float32(0.0), 2.0 ** -12, lowest, counts)
    assert (docs.tolist(), scores.tolist()) == ([256 + 9], [2.0**27])
    assert 2**27 - 300 < lowest[0] <= 2**27 - 3


@kernel
def read_all(tallies, thread, k, scale, threshold):
    """The lowest sum that may enter after a look at tallies int32[threads, TALLY]."""
    return read_tallies(Candidates(np.empty(0, np.uint64), tallies, thread), k, scale, threshold)


@pytest.mark.parametrize("k", [1, 10, 300])
def test_threads_learn_the_threshold_of_all_and_never_more(k):
    """Two threads insert documents in turn and look at each other's tallies at random: neither passes the k-th best of both."""
    rng = np.random.default_rng(k)
    scale = 65_000 / 40_000
    tallies = np.zeros((3, TALLY), np.int32)
    thresholds = [initial_threshold(np.float32(0.0))] * 3
    raised = 0
    sums = []
    for _ in range(2_000):
        thread = int(rng.integers(3))
        total = int(rng.integers(1, 40_000))
        if total >= thresholds[thread].lowest_sum:
            sums.append(total)
            tallies[thread, int(total * scale) >> 6] += 1
            tallies[thread, BINS] = max(tallies[thread, BINS], int(total * scale) >> 6)
        if rng.random() < 0.2:
            before = thresholds[thread].lowest_sum
            thresholds[thread] = Threshold(*read_all(tallies, thread, k, scale, thresholds[thread]))
            raised += thresholds[thread].lowest_sum > before
            kth = sorted(sums)[-k] if len(sums) >= k else 1
            assert thresholds[thread].lowest_sum <= kth
            assert thresholds[thread].lowest_sum > kth - 2 * 64 / scale
    assert raised > 10


@pytest.mark.parametrize(("n", "k"), [(0, 0), (1, 1), (2, 1), (7, 7), (1000, 1), (1000, 999), (1000, 1000), (1000, 37)])
def test_keep_best(n, k):
    keys = np.random.default_rng(n + k).permutation(2 * n)[:n].astype(np.uint64)
    best = sorted(keys.tolist(), reverse=True)[:k]
    keep_best(keys, n, k)
    assert sorted(keys[:k].tolist(), reverse=True) == best
    assert not k or keys[0] == best[-1]
