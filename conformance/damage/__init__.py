"""Index directories that were damaged, or made by somebody who means harm: each is refused by name, or answers rightly.

    python -m bmp_plugin.conformance.damage --cases 10000 --seed 1

What is done to a directory is in :mod:`.mutations`, what is asked of it in :mod:`.questions`, the process that asks, which
may crash, in :mod:`.worker`, and who watches it in :mod:`.run`.
"""
