"""Conformance: whether the answers are those of Pyserini, and how fast; engines behind one interface, and an oracle."""
