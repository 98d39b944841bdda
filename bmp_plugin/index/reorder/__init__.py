"""Document reordering, which places similar documents in the same blocks."""
