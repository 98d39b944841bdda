"""Parsers against hostile files: coverage-guided fuzzing by atheris, with an independent reading of each format beside ours.

One module a kind of file, each with what it :mod:`reads <.harness>`; :mod:`.mutations` changes files without atheris, always
alike, as tests do; ``seeds/NAME/`` holds files to begin with, those that were once wrong among them (``found-*``);
``python -m bmp_plugin.conformance.parsers NAME --seconds 600`` runs it.
"""
