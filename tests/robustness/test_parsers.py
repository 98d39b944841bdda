"""Malicious files: every seed of the fuzzers, and mutations of them, are parsed correctly or refused in one line."""
from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from bmp_plugin.conformance.parsers.file_mutations import mutations
from bmp_plugin.conformance.parsers.harness import NAMES, harness, seeds

CHANGED = {"safetensors": 60, "matrix": 100, "ciff": 300}              # CIFF: CI runs them with bounds checked, too
USUALLY = 150


@pytest.mark.parametrize("name", NAMES)
def test_seeds_are_parsed_correctly_or_refused(name: str, tmp_path: Path) -> None:
    found = {file: harness(name).examine(data, tmp_path) for file, data in seeds(name).items()}
    assert any(content is not None for content in found.values())
    assert any(content is None for content in found.values())


@pytest.mark.parametrize("name", NAMES)
def test_mutated_seeds_are_parsed_correctly_or_refused(name: str, tmp_path: Path) -> None:
    files = list(seeds(name).values())
    for number, data in enumerate(mutations(files, CHANGED.get(name, USUALLY), zlib.crc32(name.encode()))):
        try:
            harness(name).examine(data, tmp_path)
        except Exception as error:
            kept = tmp_path / f"found-{name}-{number}"
            kept.write_bytes(data)
            raise AssertionError(f"python -m bmp_plugin.conformance.parsers {name} --file {kept}") from error
