"""Proof on a user's own index and topics: runs, then their differences, then a report, then a page.

:mod:`.runs` searches with the host and with us and writes run files; :mod:`bmp_plugin.compare` finds the differences;
:mod:`.report` puts all that is known in one dictionary, ``report.json``; :mod:`.page` makes ``report.html`` of that alone.
"""
