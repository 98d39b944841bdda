"""Proof on a user's own index and topics: runs, their differences, a report, and a page.

:mod:`.runs` searches with Pyserini and with ours and writes run files; :mod:`bmp_plugin.compare` finds the differences;
:mod:`.report` collects everything in one dictionary, ``report.json``; :mod:`.page` renders it alone as ``report.html``.
"""
