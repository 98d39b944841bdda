"""Every tuned constant of the search.

Each was measured by ``python -m bmp_plugin.conformance.commits --base COMMIT --vectors V --vocabulary T --queries Q``, with the
constant changed in the checkout, on 200,000 and 500,000 documents. What was tried stands beside it.
"""

# Upper bounds
ROW_CHUNKS = 64              # chunks of all rows that are added before the next ones, for the L1 cache; all at once: 2 % longer
PREFETCHED_POSTINGS = 256    # of a sparse list before its turn; none: 3 % longer at k = 10
STRIDE = 8                   # between postings that are added in a row: a neighbour's block was just stored; 1: 3 % longer
# Visits
DELAY = 2                    # superblocks whose postings are prefetched before those of a third are needed; 1 to 4
# Order
FIRST_TIER = 4               # superblocks of the first tier: enough for a threshold, few enough to be nearly all needed ...
FIRST_TIER_SHARE = 16        # ... and one more for so many documents wanted; 8 to 32
TIER_GROWTH = 6              # how many times as many superblocks the next tier has; 3 to 12
# Windows added up as a whole: without it the mean at k = 1000 is 1.10 to 1.16 and the p99 1.27 to 1.38 times as long
SEEK_COST = 24               # postings added up in the time that it takes to find one list's in one superblock; 12 to 96
LEAST_SUPERBLOCKS = 8        # of a window, below which that is not thought of
# Two steps: chosen by overlap with the safe answers, see conformance/results/approximate
FIRST_STEP_TOKENS = 12       # lists that the first step takes at most at beta 0.5
MORE_CANDIDATES = 5          # candidates beyond k, over the square root of k
