"""The threshold is never above what k documents reach, and follows the candidates without waiting for a selection."""
import numpy as np
import pytest

from bmp_plugin.kernels import kernel
from bmp_plugin.query.candidates import begin, make_candidates, offer, settle
from bmp_plugin.query.topk import finish
from bmp_plugin.query.visit import WHOLE, make_visits

N = 40


@kernel
def offer_all(sums, num_docs, doc_rank, k, floor, scale, settling, lowest, counts):
    """Superblocks' sums int32[m, 256], whole ones, one after the other; lowest and counts int64[m] are what is known then."""
    visits, candidates, best = make_visits(1, 0), make_candidates(k), begin(floor)
    visits.blocks[0, 0], visits.num_blocks[0], visits.block_shift[0] = 0, 1, WHOLE
    for s in range(len(sums)):
        best = offer(sums[s], 0, s, visits, 0, num_docs, doc_rank, candidates, k, scale, best)
        if settling and s % 7 == 6 and best.n >= k:
            best = settle(candidates, k, best)
        lowest[s], counts[s] = best.lowest, best.n
    docs, scores = np.empty(k, np.int32), np.empty(k, np.float32)
    n = finish(candidates.keys, best.n, k, np.argsort(doc_rank).astype(np.int32), docs, scores)
    return docs[:n], scores[:n]


@pytest.mark.parametrize("largest", [50, 5_000, 16_777_300, 2_000_000_000])
@pytest.mark.parametrize("k", [1, 10, 300, 5_000, 20_000])
@pytest.mark.parametrize("settling", [False, True])
def test_the_k_best_of_random_sums(k, largest, settling):
    rng = np.random.default_rng(k)
    num_docs = 256 * N - 100
    sums = rng.integers(largest - min(largest, 400), largest, (N, 256), endpoint=True).astype(np.int32)
    sums[rng.random((N, 256)) < 0.3] //= 3
    doc_rank = rng.permutation(num_docs).astype(np.int32)
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    docs, scores = offer_all(sums, num_docs, doc_rank, k, np.float32(0.0), 65_000 / largest, settling, lowest, counts)
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
    """Sums that fall: after k of them all that are less by a bin stay out, though there would be room for many."""
    k = 400
    sums = np.repeat(np.arange(N, 0, -1) * 1_000, 256).reshape(N, 256).astype(np.int32)
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    offer_all(sums, 256 * N, np.arange(256 * N, dtype=np.int32), k, np.float32(0.0), 65_000 / 40_000, False, lowest, counts)
    assert counts.tolist() == [256, *[512] * (N - 1)]
    assert 38_900 < lowest[1] <= 39_000


def test_documents_below_the_floor_stay_out():
    sums = np.arange(256 * N, dtype=np.int32).reshape(N, 256)
    lowest, counts = np.empty(N, np.int64), np.empty(N, np.int64)
    ranks = np.arange(256 * N, dtype=np.int32)
    docs, _ = offer_all(sums, 256 * N, ranks, 1000, np.float32(10_000.0), 6.0, False, lowest, counts)
    assert docs.tolist() == list(range(256 * N - 1, 9_999, -1))


@pytest.mark.parametrize("below", [1, 2, 3])
def test_a_sum_of_a_lower_bin_that_ties_as_float32_may_enter(below):
    """At a bin's lower end, 2^27, sums are 8 apart as float32: the second superblock's has the better rank."""
    sums = np.zeros((2, 256), np.int32)
    sums[0, 7], sums[1, 9] = 2**27, 2**27 - below
    ranks = np.arange(512, dtype=np.int32)[::-1].copy()
    lowest, counts = np.empty(2, np.int64), np.empty(2, np.int64)
    docs, scores = offer_all(sums, 512, ranks, 1, np.float32(0.0), 2.0 ** -12, False, lowest, counts)
    assert (docs.tolist(), scores.tolist()) == ([256 + 9], [2.0**27])
    assert 2**27 - 100 < lowest[0] <= 2**27 - 3
