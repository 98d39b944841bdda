"""Parsers against malicious files: coverage-guided fuzzing by atheris, with an independent parser of each format.

There is one module per kind of file, each with a :mod:`harness <.harness>`; :mod:`.file_mutations` changes files without
atheris, reproducibly, for tests; ``seeds/NAME/`` contains the initial files, including those of former bugs (``found-*``);
``python -m bmp_plugin.conformance.parsers NAME --seconds 600`` runs it.
"""
