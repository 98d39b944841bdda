"""A collection in several block-max indexes, its shards: built, joined, and searched like one index.

``manifest`` lists the shards, ``index`` opens them; ``build`` and ``join`` create them. ``server`` answers requests to one
shard, in a thread or as a Ray actor; ``waves`` schedules the requests, ``merge`` merges the responses into one ranking.
"""
