"""The report of ``conform`` and ``compare``, as a dictionary and as a page to send to a colleague."""
