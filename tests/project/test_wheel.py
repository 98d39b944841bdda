"""The wheel: built from a checkout without git and with tags, installed and run in an empty environment, with types."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
VERSION: str = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]["fallback_version"]
PRIVATE = shutil.ignore_patterns(".git", ".venv*", "build", "dist", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources, without git."""
    folder = tmp_path_factory.mktemp("wheel") / "checkout"
    shutil.copytree(ROOT, folder, ignore=PRIVATE)
    return folder


def build(checkout: Path, output: Path) -> Path:
    done = subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", output, "."],
                          cwd=checkout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = output.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(checkout, tmp_path_factory.mktemp("dist"))


def test_content(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.name.startswith(f"bmp_plugin-{VERSION}-")
    assert {"bmp_plugin/py.typed", "bmp_plugin/adapters/sources/ciff_source.py", "bmp_plugin/conformance/fuzz/case.py",
            "bmp_plugin/demo/cranfield_docs.jsonl.gz"} <= set(names)
    packages = {name.partition("/")[0] for name in names}
    assert packages == {"bmp_plugin", f"bmp_plugin-{VERSION}.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_changelog_leads_to_the_version() -> None:
    newest = (ROOT / "CHANGELOG.md").read_text().split("\n## [")[1]
    assert newest.startswith((f"{VERSION}] - ", f"Unreleased]\n\nWhat is to become {VERSION}"))


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_version_is_the_tag(checkout: Path, tmp_path: Path) -> None:
    tagged = shutil.copytree(checkout, tmp_path / "tagged", ignore=PRIVATE)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "all"], ["tag", "v7.8.9"]):
        subprocess.run(["git", *command], cwd=tagged, check=True, capture_output=True)
    assert build(tagged, tmp_path / "dist").name.startswith("bmp_plugin-7.8.9-")


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment with the wheel's dependencies and nothing else."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder / "empty", with_pip=True)
    python = folder / "empty" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    installed = subprocess.run(install, capture_output=True, text=True, cwd=folder)
    if installed.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip cannot install here: {installed.stderr[-200:]}")
    assert installed.returncode == 0, installed.stderr
    return python


def test_runs_in_an_empty_environment(python: Path, tmp_path: Path) -> None:
    """Runs outside the checkout."""
    (tmp_path / "docs.jsonl").write_text('{"id": "a", "vector": {"x": 3}}\n{"id": "b", "vector": {"x": 1, "y": 2}}\n')
    (tmp_path / "topics.tsv").write_text("1\ty y\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    for command in (["index", "--input", "docs.jsonl", "--output", "i.bmp", "--reorder", "bp"], ["verify", "i.bmp"],
                    ["search", "--index", "i.bmp", "--topics", "topics.tsv", "--output", "run.txt"],
                    ["info", "i.bmp", "--json"]):
        done = subprocess.run([python.with_name("bmp-plugin"), *command], cwd=tmp_path, env=environment, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        assert "\r" not in done.stderr                     # no progress bar off a terminal
    assert (tmp_path / "run.txt").read_text() == "1 Q0 b 1 4.000000 Anserini\n"
    for extra, command in (("ciff", ["export", "i.bmp", "--output", "o.ciff"]), ("completion", ["completion", "bash"])):
        done = subprocess.run([python.with_name("bmp-plugin"), *command], cwd=tmp_path, env=environment, capture_output=True,
                              text=True)
        assert done.returncode == 2
        assert f"pip install 'bmp-plugin[{extra}]'" in done.stderr
        assert done.stderr.count("\n") == 1


USER = """\
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bmp_plugin import BmpError, BmpIndex, BmpSearcher, ShardedSearcher, __version__
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.adapters.encoders import CachedEncoder, TokenWeightEncoder
from bmp_plugin.adapters.sources.matrix_source import MatrixSource
from bmp_plugin.adapters.sources.pruning import Pruning
from bmp_plugin.cli import main
from bmp_plugin.trec.run_comparison import compare_runs
from bmp_plugin.searcher.explanation import Explanation
from bmp_plugin.trec.fusion import fuse_runs
from bmp_plugin.searcher.hits import Hit
from bmp_plugin.trec.run_file import RunWriter
from bmp_plugin.trec.topics import read_topics


def search(searcher: BmpSearcher | ShardedSearcher, query: Mapping[str, float]) -> list[tuple[str, float, int]]:
    hits: list[Hit] = searcher.search(query, k=10, alpha=0.9, beta=0.8, budget=None)
    runs: dict[str, list[Hit]] = searcher.batch_search([query], ["q"], k=1000, threads=2)
    scores: NDArray[np.float32] = searcher.score(query, [hit.docid for hit in hits])
    why: Explanation = searcher.explain(query, hits[0].docid)
    print(scores.sum(), why.rank, why.adjusted, len(runs["q"]))
    return [(hit.docid, hit.score, hit.lucene_docid) for hit in hits]


def use(arrays: ArraySource, matrix: MatrixSource) -> int:
    index: BmpIndex = BmpIndex.build("vectors/", "i.bmp", reorder="bp", threads=2, prune=Pruning(document_share=0.9))
    BmpIndex.build([("d", {"x": 0.5}), ("e", {"y": 2})], "j.bmp", quantize=8, progress=False)
    for source in (arrays, matrix):
        BmpIndex.build(source, "k.bmp")
    documents: int = index.num_docs + index.num_terms + index.num_postings
    try:
        BmpIndex.open("i.bmp").verify()
    except BmpError as error:
        print(str(error), __version__)
    with BmpSearcher(index, min_idf=-1) as searcher, RunWriter("run.txt") as writer:
        search(searcher, TokenWeightEncoder.load("model/").encode("text"))
        search(searcher, CachedEncoder.load("queries.jsonl").encode("text"))
        for qid, query in read_topics("topics.tsv"):
            writer.write(qid, searcher.search(query))
    with ShardedSearcher("i.bmps", allow_partial=True) as sharded:
        search(sharded, {"x": 1})
    same: bool = compare_runs("run.txt", "other.txt").same
    fuse_runs(["run.txt", "other.txt"], [0.5, 0.5])
    return documents + same + main(["info", "i.bmp"])
"""
WRONG = {"from bmp_plugin import BmpIndexes": "attr-defined", "BmpSearcher('i.bmp').search('a text')": "arg-type",
         "BmpIndex.open('i.bmp').num_docs + 'x'": "operator", "BmpSearcher('i.bmp').search({'x': 1}).docid": "attr-defined"}


def test_types_of_the_installed_package(python: Path, tmp_path: Path) -> None:
    """mypy --strict uses the types of the installed package: correct code passes, and wrong code does not."""
    (tmp_path / "user.py").write_text(USER)
    wrong = "from bmp_plugin import BmpIndex, BmpSearcher\n" + "\n".join(WRONG)
    (tmp_path / "wrong.py").write_text(wrong)
    done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "user.py", "wrong.py"],
                          cwd=tmp_path, capture_output=True, text=True)
    output = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert [line.partition(":")[0] for line in output] == ["wrong.py"] * len(WRONG), done.stdout + done.stderr
    for number, (line, kind) in enumerate(zip(output, WRONG.values(), strict=True), 2):
        assert line.startswith(f"wrong.py:{number}: ")
        assert line.endswith(f"[{kind}]"), line
