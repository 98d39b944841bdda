"""The searcher of one index: queries in, hits and explanations out."""
