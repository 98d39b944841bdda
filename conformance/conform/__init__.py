"""Proof on a user's own index and topics: runs, their differences, a report, and a page.

:mod:`.prove_identity` is the course of the proof; :mod:`.timed_runs` searches with Pyserini and with ours and writes run files;
:mod:`bmp_plugin.trec.run_comparison` finds the differences; :mod:`bmp_plugin.report` collects everything in one dictionary,
``report.json``, and renders it alone as ``report.html``.
"""
