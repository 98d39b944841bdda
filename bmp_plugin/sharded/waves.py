"""Who is asked when: shards in waves, so that the later ones know the k-th best score of the earlier ones."""
from __future__ import annotations


def waves(num_shards: int, first: int, growth: int) -> list[list[int]]:
    """The shards in the order in which they are asked, from ``first`` on and round.

    The first is alone, since it is the one that knows nothing. From then on a wave has ``growth`` - 1 times as many
    shards as were asked before it, at least one: with a growth of 2 the number of waves grows with the logarithm of the
    number of shards; with 1 each shard knows what all before it found, which is the least work.
    """
    order = [(first + i) % num_shards for i in range(num_shards)]
    found, at = [], 0
    while at < num_shards:
        size = max(1, at * (growth - 1))
        found.append(order[at:at + size])
        at += size
    return found
