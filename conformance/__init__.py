"""Conformance: whether the answers are those of the host, and how fast; engines behind one interface, and an oracle."""
