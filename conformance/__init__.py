"""Conformance: the same answers as the host's? how fast? Engines behind one small interface, and an oracle to judge them."""
