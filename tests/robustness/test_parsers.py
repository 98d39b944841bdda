"""Malicious files: every seed of the fuzzers, and mutations of them, are parsed correctly or refused in one line."""
from __future__ import annotations

import os
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from bmp_plugin.conformance.parsers.file_mutations import mutations
from bmp_plugin.conformance.parsers.harness import NAMES, harness, seeds

CHANGED = {"safetensors": 60, "matrix": 100}
USUALLY = 150

KERNELS_CHECKED = """
import sys, tempfile, pathlib
from bmp_plugin.conformance.parsers.harness import harness, seeds
from bmp_plugin.conformance.parsers.file_mutations import mutations
files = list(seeds("ciff").values())
with tempfile.TemporaryDirectory() as folder:
    for data in [*files, *mutations(files, 300, 7)]:
        harness("ciff").examine(data, pathlib.Path(folder))
"""


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


def test_decoding_kernels_stay_within_bounds(tmp_path: Path) -> None:
    environment = os.environ | {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", KERNELS_CHECKED], env=environment, check=True)
