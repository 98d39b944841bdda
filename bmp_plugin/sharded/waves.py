"""Who is asked when, and for how much: later shards know from the first what is not worth looking for."""
from __future__ import annotations

import math


def sample_size(k: int, num_shards: int) -> int:
    """How many documents the first shard is asked for, to guess the k-th best score of all from the last of them.

    Of the k best of all, about k / N are in each of N shards, where documents are spread by chance; three standard
    deviations more are seldom there. So the guess is seldom too high, and then it shows: fewer than k documents of all
    shards score more than it.
    """
    mean = k / num_shards
    return min(k, math.ceil(mean + 3 * math.sqrt(mean)))


def waves(num_shards: int, first: int, at_once: bool) -> list[list[int]]:
    """The shards in the order in which they are asked, from ``first`` on and round, in waves.

    ``at_once``: the first, and then all others, which answer at the same time. Else one after the other: each knows what
    all before it found, which is a little less work, but takes as long as all of them.
    """
    others = [(first + i) % num_shards for i in range(1, num_shards)]
    if at_once:
        return [[first], others] if others else [[first]]
    return [[first], *([shard] for shard in others)]
