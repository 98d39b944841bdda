"""A differential fuzzer: random adversarial collections and queries, answered by the real Lucene and by ours.

:mod:`.case` draws a case; :mod:`.check_case` builds both indexes and compares the answers; :mod:`.shrink` minimizes a failure;
``python -m bmp_plugin.conformance.fuzz`` runs them for a given time.
"""
