"""A collection in several block-max indexes, its shards: built, joined, and searched like one index.

``sharded_manifest`` lists the shards, ``sharded_index`` opens them; ``build_shards`` and ``join_shards`` create them.
``shard_server`` answers requests to one shard, in a thread or as a Ray actor; ``request_waves`` schedules the requests,
``merge`` merges the responses into one ranking.
"""
