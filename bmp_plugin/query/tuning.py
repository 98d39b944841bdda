"""Every tuned constant of the search, with the command that measured it.

All were measured as ``python -m bmp_plugin.conformance.commits --base COMMIT --vectors V --vocabulary T --queries Q`` does it:
the constant changed in the checkout, both sides in turn, on 200,000 and 500,000 documents.
"""
from __future__ import annotations

ROW_CHUNKS = 64
"""Chunks of all rows of block maxima that are added up before the next ones: their sums stay in the L1 cache."""

PREFETCHED_POSTINGS = 256
"""Postings that are prefetched before their list's turn: the processor guesses what comes after them, not where they are."""

STRIDE = 8
"""Postings that are added one after the other are so many apart: neighbours are often of one block, which was just stored and
is slow to load again."""

FEW_BLOCKS = 8
"""Blocks of a superblock that are scored by themselves; if more may matter, all of it is scored. Eight bytes of a uint64."""

FEW_DOCUMENTS = 64
"""And also if the blocks have more documents."""

VISITS = 4
"""Superblocks under way at once, a power of two above the three steps of a visit."""

TIER_GROWTH = 6
"""How many times as many superblocks the next tier has."""

SEEK_COST = 24
"""Postings that are decoded and added up in the time that it takes to find those of one list in one superblock."""

LEAST_IN_WINDOW = 8
"""Superblocks of a window below which its sparse lists are not added up as a whole."""

FIRST_STEP_TOKENS = 12
"""Lists that the first step of a two-step search takes at most at beta 0.5."""

MORE_CANDIDATES = 5
"""Candidates of the first step beyond k, over the square root of k."""


def first_tier(k: int) -> int:
    """Superblocks to score before the rest is looked at: enough for a threshold, few enough to be nearly all needed."""
    return 4 + k // 16
