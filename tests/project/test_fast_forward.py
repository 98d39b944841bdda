"""The how-to of Fast-Forward indexes works: a run is interpolated with dense scores of a small index, built here."""
from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bmp_plugin import BmpIndex
from bmp_plugin.trec.run_file import read_run

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "hybrid.md"
PASSAGES = {"007": "heat flow of the wings", "7": "supersonic speed of wings", "b": "flow", "far": "heat flow heat flow"}
QUESTIONS = {"1": "heat flow", "2": "supersonic wings"}
ALPHA = 0.1
LIBRARY = ("fast-forward-indexes==0.8.0", "h5py==3.16.0", "nanopq==0.2.2")

DENSE_MODEL = """
import zlib
import numpy as np

def encode(text):
    vector = np.zeros(16, np.float32)
    for token in text.split():
        vector[zlib.crc32(token.encode()) % 16] += 1
    return vector / np.linalg.norm(vector)
"""

INDEXING = f"""
from pathlib import Path
import numpy as np
from dense_model import encode
from fast_forward.index import OnDiskIndex

passages = {PASSAGES!r}
index = OnDiskIndex(Path("passages.h5"))
index.add(np.array([encode(text) for text in passages.values()]), doc_ids=list(passages))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the library is found: beside the tested packages, which are newer than those it asks for."""
    if importlib.util.find_spec("fast_forward") is not None:
        return dict(os.environ)
    folder = tmp_path_factory.mktemp("library")
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", folder, *LIBRARY],
                          capture_output=True, text=True)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip cannot install here: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}


def test_runs_are_interpolated_with_dense_scores(environment: dict[str, str], tmp_path: Path) -> None:
    def python(*arguments: str) -> None:
        done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    (tmp_path / "dense_model.py").write_text(DENSE_MODEL)
    (tmp_path / "questions.tsv").write_text("".join(f"{qid}\t{text}\n" for qid, text in QUESTIONS.items()))
    BmpIndex.build([(docid, {token: 10 + 3 * len(token) for token in text.split()}) for docid, text in PASSAGES.items()],
                   tmp_path / "passages.bmp", progress=False)
    python("-m", "bmp_plugin", "search", "--index", "passages.bmp", "--topics", "questions.tsv", "--output", "run.txt")
    python("-c", INDEXING)
    python("-c", next(code for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
                      if "fast_forward" in code))

    model: dict[str, object] = {}
    exec(DENSE_MODEL, model)
    encode = model["encode"]
    assert callable(encode)
    sparse, interpolated = read_run(tmp_path / "run.txt"), read_run(tmp_path / "interpolated.txt")
    assert set(interpolated.answers) == set(sparse.answers) == set(QUESTIONS)          # the library has an order of its own
    for qid, text in QUESTIONS.items():
        expected = {docid: ALPHA * float(score or 0) + (1 - ALPHA) * float(encode(text) @ encode(PASSAGES[docid]))
                    for docid, score in sparse.ranking(qid)}
        found = {docid: float(score or 0) for docid, score in interpolated.ranking(qid)}
        assert len(found) >= 2
        assert found == pytest.approx(expected, rel=1e-5)
        assert list(found.values()) == sorted(found.values(), reverse=True)
