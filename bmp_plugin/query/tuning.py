"""Every tuned constant of the search's kernels, with what other values do to the mean of its time.

To measure one, change it and run ``python -m bmp_plugin.conformance.commits --base HEAD --vectors V --vocabulary T --queries
Q``. The figures are of alternating runs in new processes, on 200,000 and 500,000 documents; the same code differs by 2 %.
"""

# Upper bounds
ROW_CHUNKS = 64              # chunks of all rows that are added before the next ones, for the L1 cache; all at once: +1 %
PREFETCHED_POSTINGS = 256    # of a sparse list before its turn; none: +3 % at k = 10
STRIDE = 8                   # between postings that are added in a row: a neighbour's block was just stored; 1: +2 %
# Visits
DELAY = 2                    # superblocks whose postings are prefetched before those of a third are needed; 1 or 3: the same
# Order
FIRST_TIER = 4               # superblocks of the first tier: enough for a threshold, and nearly all needed; 8: the same ...
FIRST_TIER_SHARE = 16        # ... and one more for so many documents wanted; 8 or 32: the same
UNREAD_SUPERBLOCKS = 16       # for each thread, scored between two looks at the others' candidates
TIER_GROWTH = 12             # how many times as many superblocks the next tier has; 3: +5 %, 6: +2 %
# Windows added up as a whole; none: +10 to 16 % of the mean at k = 1000, 27 to 38 % of the p99
SEEK_COST = 24               # postings added up in the time that seeking one list in one superblock takes; 12 to 48: the same
LEAST_SUPERBLOCKS = 8        # of a window, below which that is not thought of; 4: the same
# Two steps: chosen by overlap with the safe answers, see conformance/benchmark/results/approximate
FIRST_STEP_TOKENS = 12       # lists that the first step takes at most at beta 0.5
MORE_CANDIDATES = 5          # candidates beyond k, over the square root of k
