"""Sources of postings: one module per format, each an implementation of :mod:`bmp_plugin.index.source`."""
