"""Damaged or malicious index directories: each is refused with an error that names it, or answers correctly.

    python -m bmp_plugin.conformance.damage --cases 10000 --seed 1

:mod:`.index_mutations` damages a directory, :mod:`.questions` queries it in every way, :mod:`.damage_worker` is the process
that does both and may crash, and :mod:`.run_cases` monitors it.
"""
