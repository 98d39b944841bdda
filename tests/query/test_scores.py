"""The scores of any chosen blocks of a superblock are the sums over all lists, however many blocks are chosen."""
import numpy as np
import pytest
from every_kind import NUM_DOCS, lists_of, make_impacts, memory_of_bounds, query_lists, random_query, source_of

from bmp_plugin import BmpIndex
from bmp_plugin._internal.kernels import kernel
from bmp_plugin.index.layout import WINDOW
from bmp_plugin.query.block_scoring import add_sparse_lists, make_matches, score_superblock
from bmp_plugin.query.block_selection import FEW_BLOCKS, choose_blocks, make_visits, seek
from bmp_plugin.query.query_lists import make_run
from bmp_plugin.query.rescore import read_impacts
from bmp_plugin.query.upper_bounds import upper_bounds
from bmp_plugin.searcher.bmp_searcher import BmpSearcher

LAST = (NUM_DOCS - 1) >> 8


@pytest.fixture(scope="module")
def impacts():
    return make_impacts()


@pytest.fixture(scope="module", params=[1, 4, 16, 64, 256])
def searcher(impacts, request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scores")
    return BmpSearcher(BmpIndex.build(source_of(impacts), folder / "i.bmp", block_size=request.param, progress=False))


@kernel
def score_chosen(superblock, block_bounds, threshold, query, index, acc, with_sparse):
    """Scores the chosen blocks in acc; returns their first documents, uint8[blocks], and their size."""
    visits = make_visits(3, len(query.weights))
    v = np.uint64(1)
    visits.superblock[v] = superblock
    choose_blocks(visits, v, block_bounds, index, threshold)
    seek(visits, v, query, index, with_sparse)
    score_superblock(visits, v, query, index, make_matches(len(query.weights)), acc, with_sparse)
    return visits.blocks[v, :visits.num_blocks[v]].copy(), 1 << visits.block_shift[v]


@pytest.mark.parametrize("whole_window", [False, True])
def test_chosen_blocks_are_scored(impacts, searcher, whole_window):
    index = searcher._kernel_index
    size, per_superblock = 1 << index.block_shift, 256 >> index.block_shift
    rng = np.random.default_rng(index.block_shift)
    column = np.array([int(token[1:]) for token in searcher.index.terms()])
    sizes, run = set(), make_run()
    for number in range(150):
        tokens = random_query(rng, int(rng.integers(1, 16)))
        terms, weights = searcher._encode(tokens)
        query, _ = query_lists(index, *lists_of(searcher, tokens))
        upper_bounds(query, 0, index.num_windows, index, memory_of_bounds(index))
        superblock = [0, 255, 256, LAST][number] if number < 4 else int(rng.integers(0, LAST + 1))
        wanted = np.sort(rng.permutation(per_superblock)[:1 + number % min(40, per_superblock)])
        bounds = np.zeros(index.num_windows * WINDOW >> index.block_shift, np.uint16)      # so that this test chooses
        bounds[superblock * per_superblock + wanted] = rng.integers(8, 65_536, len(wanted))
        acc = np.full(WINDOW if whole_window else 256, 12_345, np.int32)
        if whole_window:
            add_sparse_lists(query, index, np.array([superblock, min(superblock + 1, superblock | 255)], np.int32), run, acc)
        blocks, found_size = score_chosen(superblock, bounds, 7, query, index, acc, not whole_window)

        blocks = blocks.astype(np.int64)
        docs = (blocks[:, None] + np.arange(found_size)).ravel()
        assert np.isin((wanted[:, None] * size + np.arange(size)).ravel(), docs).all()      # no wanted block is missing
        least = max(size, 4)
        assert len(blocks) <= FEW_BLOCKS
        assert np.all(blocks % found_size == 0)
        assert np.array_equal(np.unique(wanted * size // found_size * found_size), blocks)    # and none is added
        if found_size > least:                             # and that size is necessary
            assert len(np.unique(wanted * size // (found_size // 2))) > FEW_BLOCKS
        sizes.add(found_size)
        sums = np.zeros(256, np.int64)
        there = impacts[superblock << 8:(superblock + 1) << 8]
        sums[:len(there)] = there[:, column[terms]] @ weights
        at = (superblock & 255) << 8 if whole_window else 0
        assert np.array_equal(acc[at:at + 256][docs], sums[docs])
    assert sizes == {4, 8, 16, 32} if size <= 4 else len(sizes) >= 1


def test_impacts_are_read_for_any_documents(impacts, searcher):
    """In any order, from one superblock or many, with duplicates."""
    index = searcher._kernel_index
    rng = np.random.default_rng(1)
    column = np.array([int(token[1:]) for token in searcher.index.terms()])
    docs = np.concatenate([rng.integers(0, NUM_DOCS, 500), rng.integers(65_500, 65_580, 30), [NUM_DOCS - 1, 0, 65_535, 65_536]])
    terms = np.arange(len(column), dtype=np.int32)
    found = np.zeros((len(terms), len(docs)), np.int64)
    read_impacts(terms, docs, index, found)
    assert np.array_equal(found, impacts[docs][:, column].T)
