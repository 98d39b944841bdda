"""Adapters: one module a format, each turning a source into a stream of posting batches (see :mod:`.source`)."""
