"""What is encoded is decoded: runs with jumps, superblocks, overflow lists, at the ends of windows and of bytes."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmp_plugin.index.decode import decode_list, decode_term
from bmp_plugin.index.decode_arrays import decode_term_arrays
from bmp_plugin.index.encode import Postings, find_bad_posting
from bmp_plugin.index.encode_batches import DocidMap, encode_batch, split_overflow
from bmp_plugin.index.layout import MAXIMA_SHARE, MOST_BYTES, PADDING, SUPERBLOCK, WINDOW, Geometry, KernelIndex
from bmp_plugin.index.source import PostingBatch

NUM_DOCS = 3 * WINDOW - 1000


def batch_of(lists: list[dict[int, int]]) -> PostingBatch:
    counts = np.array([len(postings) for postings in lists], np.int64)
    docs = np.array([doc for postings in lists for doc in sorted(postings)], np.int32)
    impacts = np.array([postings[doc] for postings in lists for doc in sorted(postings)], np.int32)
    return PostingBatch([f"t{i}".encode() for i in range(len(lists))], counts, counts, docs, impacts)


def decoded(lists: list[dict[int, int]], num_docs: int = NUM_DOCS) -> tuple[list[dict[int, int]], KernelIndex]:
    """Encodes one list per term, and decodes the terms again."""
    geometry = Geometry(num_docs, 4)
    batch = encode_batch(batch_of(lists), geometry, DocidMap(num_docs, None, "test"))
    order = np.argsort(batch.overflow_terms, kind="stable")
    columns = {name: np.concatenate([values[:len(lists)], values[len(lists):][order]])
               for name, values in batch.columns.items()}
    overflow = len(lists) + np.searchsorted(batch.overflow_terms[order], np.arange(len(lists) + 1)).astype(np.int32)
    arrays: dict[str, Any] = columns | batch.arrays | {"term_overflow": overflow}
    arrays["postings"] = np.concatenate([arrays["postings"], np.zeros(PADDING, np.uint8)])
    none = np.empty(0, np.int32)
    index = KernelIndex(**{name: arrays.get(name, none) for name in KernelIndex._fields[:-4]}, num_docs=num_docs,
                        num_superblocks=geometry.num_superblocks, num_windows=geometry.num_windows,
                        block_shift=geometry.block_shift)
    room = MOST_BYTES * max(1, *map(len, lists))
    found = []
    for t in range(len(lists)):
        docs, impacts = np.empty(room, np.int32), np.empty(room, np.int64)
        n = decode_term(t, index, np.empty(room, np.int32), np.empty(room, np.uint8), docs, impacts)
        found.append(dict(zip(docs[:n].tolist(), impacts[:n].tolist(), strict=True)))
        in_numpy = decode_term_arrays(t, index)
        assert [array.tolist() for array in in_numpy] == [docs[:n].tolist(), impacts[:n].tolist()]
    return found, index


GAPS = (1, 2, 254, 255, 256, 509, 510, 511, 255 * 255, 255 * 255 + 1, 255 * 256, 255 * 256 + 1, WINDOW - 2, WINDOW - 1, WINDOW)


def test_every_length_of_a_gap() -> None:
    """From the beginning of a window, from a posting, and over the end of a window; one jump byte holds 255 jumps."""
    lists = [{gap - 1: 7} for gap in GAPS] + [{3: 255, 3 + gap: 1} for gap in GAPS]
    lists += [{WINDOW - 1: 1, WINDOW - 1 + gap: 2} for gap in GAPS] + [{}]
    found, index = decoded(lists)
    assert found == lists
    assert (index.list_row == -1).all()
    docs, impacts = np.empty(9, np.int32), np.empty(9, np.uint8)
    assert decode_list(0, index, docs, impacts) == 1


def test_every_impact_of_an_overflow() -> None:
    """The digits of what is above 255, of which some are 0 and have no posting."""
    impacts = [1, 254, 255, 256, 257, 510, 511, 512, 65_535, 65_536, 65_790, 65_791, 2**24, 2**24 + 255, 2**31 - 1]
    lists = [{11 * i: impact for i, impact in enumerate(impacts)}, {5: 3}, {9: 2**31 - 1}, dict.fromkeys(range(20000), 300)]
    found, index = decoded(lists)
    assert found == lists
    assert index.term_overflow.tolist() == [4, 8, 8, 11, 12]
    assert index.list_shift[4:].tolist() == [0, 8, 16, 24, 8, 16, 24, 0]         # 2^31 - 1 - 255 has a lowest digit of 0
    assert (index.list_row[[3, 11]] >= 0).all()              # both lists of the last term have block maxima


def test_lists_with_block_maxima_at_the_ends_of_superblocks() -> None:
    whole = {doc: 1 + doc % 255 for doc in range(NUM_DOCS)}
    ends = {doc: 9 for s in range(0, NUM_DOCS, SUPERBLOCK) for doc in (s, s + SUPERBLOCK - 1, *range(s + 9, s + 20))
            if doc < NUM_DOCS}
    first = dict.fromkeys(range(1 + NUM_DOCS // MAXIMA_SHARE), 255)
    found, index = decoded([whole, ends, first])
    assert found == [whole, ends, first]
    assert (index.list_row >= 0).all()
    assert np.diff(index.superblock_start.astype(np.int64)).max() == SUPERBLOCK


@settings(max_examples=60, deadline=None)
@given(st.lists(st.dictionaries(st.integers(0, 2999), st.one_of(st.integers(1, 300), st.integers(1, 2**31 - 1)), max_size=120),
                min_size=1, max_size=6))
def test_random_lists(lists: list[dict[int, int]]) -> None:
    assert decoded(lists, 3000)[0] == lists


@pytest.mark.parametrize(("docs", "impacts", "bad"), [([1, 2], [1, 1], -1), ([2, 2], [1, 1], 1), ([2, 1], [1, 1], 1),
                                                      ([-1, 1], [1, 1], 0), ([1, 9], [1, 1], 1), ([1, 2], [1, 0], 1)])
def test_bad_postings_are_found(docs: list[int], impacts: list[int], bad: int) -> None:
    lists = Postings(np.array([0, 2]), np.array(docs, np.int32), np.array(impacts, np.int32))
    assert find_bad_posting(lists, 9) == bad


def test_lists_without_overflow_stay_as_they_are() -> None:
    lists = Postings(np.array([0, 0, 2]), np.array([1, 2], np.int32), np.array([255, 1], np.int32))
    same, terms, shifts = split_overflow(lists)
    assert (same.starts.tolist(), same.impacts.tolist()) == ([0, 0, 2], [255, 1])
    assert (len(terms), shifts.tolist()) == (0, [0, 0])
