"""A differential fuzzer: random collections and queries chosen to hurt, the real Lucene against us.

:mod:`.case` says what is tried and draws it; :mod:`.check` builds both indexes and compares the answers; :mod:`.shrink`
makes a failure small; ``python -m bmp_plugin.conformance.fuzz`` does it all for so many seconds.
"""
