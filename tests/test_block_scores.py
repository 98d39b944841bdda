"""The sums of any blocks of a superblock are what all lists add there, however many blocks are chosen."""
import numpy as np
import pytest
from every_kind import NUM_DOCS, make_impacts, random_query, source_of

from bmp_plugin import BmpIndex
from bmp_plugin.index.layout import FREQUENT, GAPS, RARE
from bmp_plugin.query.bounds import scale_weights, upper_bounds
from bmp_plugin.query.lists import order_lists
from bmp_plugin.query.scores import in_blocks_one_by_one, make_found, score_superblock
from bmp_plugin.query.skips import make_marks, make_skips
from bmp_plugin.query.visit import FEW, FEW_DOCUMENTS, WHOLE, choose_blocks, locate, make_visits
from bmp_plugin.searcher import BmpSearcher

LAST = (NUM_DOCS - 1) >> 8


@pytest.fixture(scope="module")
def impacts():
    return make_impacts()


@pytest.fixture(scope="module", params=[1, 4, 16, 64, 256])
def searcher(impacts, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("block_scores")
    return BmpSearcher(BmpIndex.build(source_of(impacts), folder / "i.bmp", block_size=request.param, progress=False))


def test_chosen_blocks(impacts, searcher):
    arrays, geometry = searcher._arrays, searcher._geometry
    block_shift = int(geometry[2])
    size, per_superblock = 1 << block_shift, 256 >> block_shift
    kinds, widths = arrays.list_kind, arrays.list_width
    assert {(FREQUENT, 1), (FREQUENT, 2), (FREQUENT, 4), (GAPS, 1), (RARE, 1), (RARE, 2), (RARE, 4)} <= set(
        zip(kinds.tolist(), widths.tolist(), strict=True))
    rng = np.random.default_rng(block_shift)
    ways = set()
    for number in range(150):
        query = searcher._encode(random_query(rng, int(rng.integers(1, 16))))
        scaled = np.empty(len(query.lists), np.int64)
        scale_weights(query.lists, query.list_weights, arrays, scaled)
        ordered = order_lists(query.lists, query.list_weights, scaled, arrays, geometry[3])
        bounds = np.empty((int(geometry[3]) << 16) >> block_shift, np.uint16)
        skips, marks = make_skips(ordered), make_marks(ordered, geometry[1])
        upper_bounds(ordered, geometry, arrays, bounds, skips, marks, np.empty(int(geometry[1]), np.uint16))
        superblock = [0, 255, 256, LAST][number] if number < 4 else int(rng.integers(0, LAST + 1))
        wanted = np.sort(rng.permutation(per_superblock)[:1 + number % min(12, per_superblock)])
        mine = np.zeros(len(bounds), np.uint16)            # bounds that leave the choice to this test
        mine[superblock * per_superblock + wanted] = rng.integers(8, 65_536, len(wanted))
        visits, acc = make_visits(4, len(query.lists)), np.full(256, 12_345, np.int32)
        choose_blocks(mine, superblock, block_shift, 7, visits, 2)
        locate(superblock, ordered, arrays, skips, marks, visits, 2)
        score_superblock(superblock, ordered, arrays, visits, 2, make_found(len(query.lists)), acc)

        whole = len(wanted) > min(FEW, FEW_DOCUMENTS >> block_shift)
        ways.add(whole)
        assert visits.block_shift[2] == (WHOLE if whole else block_shift)
        assert visits.blocks[2, :visits.num_blocks[2]].tolist() == ([0] if whole else wanted.tolist())
        docs = np.arange(256) if whole else (wanted[:, None] * size + np.arange(size)).ravel()
        column = np.array([int(token[1:]) for token in searcher.index.terms()])
        sums = np.zeros(256, np.int64)
        there = impacts[superblock << 8:(superblock + 1) << 8]
        sums[:len(there)] = there[:, column[query.terms]] @ query.weights
        assert np.array_equal(acc[docs], sums[docs])
    assert ways == {block_shift > 6} or ways == {False, True}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_last_documents_of_an_array(dtype):
    docs = np.array([3, 4, 7, 8, 250, 255], dtype)
    bits = 8 * docs.itemsize
    blocks = sum(block << q * bits for q, block in enumerate([4, 8, 252, 252]))
    for shift, expected in ((2, 0b101110), (0, 0b001010)):
        upper = dtype((1 << bits) - (1 << shift))
        assert in_blocks_one_by_one(docs, np.uint64(0), np.uint64(6), upper, np.uint64(blocks), bits) == expected
    assert in_blocks_one_by_one(docs, np.uint64(2), np.uint64(2), dtype((1 << bits) - 4), np.uint64(blocks), bits) == 0b11
