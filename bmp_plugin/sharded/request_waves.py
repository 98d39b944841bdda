"""Scheduling of requests to shards: later shards get a threshold from the responses of earlier ones."""
from __future__ import annotations

import math


def sample_size(k: int, num_shards: int) -> int:
    """Returns how many documents to request from the first shard, the last of which estimates the k-th best score of all.

    If documents are distributed at random over N shards, about k / N of the k best are in each; three standard deviations more
    are rare. So the estimate is rarely too high, and that is detected: fewer than k documents of all shards score more.
    """
    mean = k / num_shards
    return min(k, math.ceil(mean + 3 * math.sqrt(mean)))


def waves(num_shards: int, first: int, at_once: bool) -> list[list[int]]:
    """Returns the order in which shards are asked, in waves, starting with ``first``, cyclically.

    With ``at_once``, the first shard is asked alone, then all others in parallel. Otherwise they are asked one after the
    other, each with the threshold of all before it: slightly less work, but the latency of all of them.
    """
    others = [(first + i) % num_shards for i in range(1, num_shards)]
    if at_once:
        return [[first], others] if others else [[first]]
    return [[first], *([shard] for shard in others)]
