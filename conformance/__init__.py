"""Conformance: whether the answers are those of Pyserini, and how fast.

Every module here, and every package but :mod:`.benchmark` and :mod:`.conform`, is a command:
``python -m bmp_plugin.conformance.NAME --help``.
"""
