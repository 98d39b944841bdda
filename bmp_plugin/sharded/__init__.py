"""A collection in several block-max indexes, its shards: built, joined, and searched as if they were one.

``manifest`` says what belongs together, ``index`` opens it; ``build`` and ``join`` make it. ``server`` answers for one
shard, in a thread or as a Ray actor; ``waves`` says who is asked when, ``merge`` makes one ranking of the answers.
"""
