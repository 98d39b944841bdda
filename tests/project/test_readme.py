"""The examples of the README and of docs/ work: every block is run, in order, in one folder, as a reader would run them."""
from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tiny_bert import VOCABULARY, write_masked_language_model, write_tokenizer

from bmp_plugin import BmpIndex
from bmp_plugin._internal import kernels

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
PAGES = ["tutorial", *(f"how-to/{name}" for name in (
    "swap", "shell", "python", "conform", "reproduce", "formats", "encoders", "pyterrier", "hybrid", "approximate", "remote",
    "large", "sharded", "containers", "benchmark"))]
"""In the order in which their blocks are run: some use files that others have made."""
DATA = Path(str(resources.files("bmp_plugin.demo")))
ELSEWHERE = {"Two commands": "CI and the demo's tests run both", "Benchmark": "takes minutes, and has tests of its own",
             "Reproduce MS MARCO and BEIR": "downloads: test_pyserini_tools.py has the files in their places",
             "In containers": "needs a Docker daemon; test_dockerfile has what can be tested without"}
PRINTED = {"From Python, without Pyserini": r"\S+ \d+\.0 \d+\n", "From Python": r"\S+ \d+\.0 \d+\n",
           "Tutorial": r"(?s)plate 690\.0\nnozzle 620\.0\n.*nozzle.*", "Other formats": "d2\n4\n",
           "Indexes at URLs": r"10\n", "Other encoders": r"\d+\n|\['d[12]'.*\]\n",
           "In PyTerrier": r"(?s).* d2 .*"}


class Block(NamedTuple):
    """A fenced block of the README, or of a page, whose title is its section."""

    section: str
    language: str
    code: str


def sections() -> list[tuple[str, str]]:
    """Returns titles and texts: the sections of the README, and the pages."""
    found = [(section.partition("\n")[0], section) for section in README.read_text(encoding="utf-8").split("\n## ")[1:]]
    for page in PAGES:
        text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
        found.append((text.removeprefix("# ").partition("\n")[0], text))
    return found


def blocks() -> list[Block]:
    """Returns all fenced blocks but plain text."""
    return [Block(title, language, code) for title, text in sections()
            for language, code in re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL) if language != "text"]


@pytest.fixture(scope="module")
def folder(lucene_index: Any, cranfield_documents: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reader's files: an impact index, vectors, topics, qrels, runs, models."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(lucene_index("cranfield"), folder / "indexes" / "my-splade-index")
    for name in ("vectors", "float-vectors"):
        (folder / name).mkdir()
    with open(folder / "vectors" / "docs.jsonl", "w") as vectors, open(folder / "float-vectors" / "docs.jsonl", "w") as floats:
        for document in cranfield_documents[:300]:
            vectors.write(json.dumps({"id": document["id"], "contents": "", "vector": document["vector"]}) + "\n")
            floats.write(json.dumps({"id": document["id"], "vector": {
                token: weight / 100 for token, weight in document["vector"].items()}}) + "\n")
        vectors.write('{"id": "a", "contents": "", "vector": {"block": 300, "max": 1}}\n'
                      '{"id": "b", "contents": "", "vector": {"pruning": 200}}\n')
    for name, part in (("part1", "a"), ("part2", "b")):                     # built elsewhere
        BmpIndex.build([(part, {"flow": 2})], folder / f"{name}.bmp", progress=False)
    (folder / "spam.txt").write_text("1\n2\n")
    (folder / "quality.tsv").write_text("".join(
        f"{docid}\t{len(docid)}\n" for docid in [*(document["id"] for document in cranfield_documents[:300]), "a", "b"]))
    shutil.copy(DATA / "cranfield_qrels.txt", folder / "qrels.txt")
    with gzip.open(DATA / "cranfield_queries.jsonl.gz", "rt", encoding="utf-8") as queries:
        topics = [json.loads(line) for line in islice(queries, 20)]
    (folder / "topics.tsv").write_text("".join(
        f"{topic['qid']}\t{' '.join(' '.join([token] * weight) for token, weight in topic['vector'].items())}\n"
        for topic in topics))
    (folder / "questions.tsv").write_text("1\theat flow of the wings\n2\tsupersonic speed\n")
    (folder / "dense-run.txt").write_text("1 Q0 13 1 0.7 dense\n1 Q0 14 2 -0.2 dense\n2 Q0 12 1 0.5 dense\n")
    write_tokenizer(folder / "inference-free-model")
    (folder / "inference-free-model" / "idf.json").write_text(json.dumps(dict.fromkeys(VOCABULARY, 1.5)))
    for name in ("splade-v3", "splade-cocondenser-ensembledistil"):
        write_masked_language_model(folder / "naver" / name)
    return folder


def numbers_run_here() -> list[int]:
    """Returns the blocks that this module runs, the first of equal ones; that of Fast-Forward has an environment of its own."""
    first: dict[str, int] = {}
    for number, block in enumerate(blocks()):
        if block.section not in ELSEWHERE and "fast_forward" not in block.code:
            first.setdefault(block.code, number)
    return list(first.values())


@pytest.mark.parametrize("number", numbers_run_here())
def test_block(number: int, folder: Path) -> None:
    block = blocks()[number]
    start = [sys.executable, "-c"] if block.language == "python" else ["bash", "-euo", "pipefail", "-c"]
    if "run-of-lucene.txt" in block.code:           # made by the block before, in the drop-in's way
        shutil.copy(folder / "run.txt", folder / "run-of-lucene.txt")
    code = block.code.replace("--ray-address auto", "--ray-address local")      # "auto" is a cluster that is running
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    if block.section == "Indexes at URLs":          # copies go to the user's cache folder, but kernels stay where they are
        env |= {"XDG_CACHE_HOME": str(folder / "cache"), "NUMBA_CACHE_DIR": str(kernels.cache_folder().parent)}
    done = subprocess.run([*start, code], cwd=folder, capture_output=True, text=True, env=env)
    assert done.returncode == 0, f"{block.code}\n{done.stdout}\n{done.stderr}"
    if "print(" in block.code:
        assert re.fullmatch(PRINTED[block.section], done.stdout), done.stdout


def test_all_blocks_are_known() -> None:
    assert {block.language for block in blocks()} == {"python", "bash", "dockerfile"}
    assert len(blocks()) > 20
    titles = {block.section for block in blocks()}
    assert set(ELSEWHERE) <= titles
    assert {"Swap it in", "From the shell", "From Python", "Other formats", "Approximate search", "Sharded"} <= titles
    assert {path.stem for path in (ROOT / "docs" / "how-to").glob("*.md")} == {page.partition("/")[2] for page in PAGES[1:]}


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = README.read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert len(links) > 20
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_ci_runs_the_second_command() -> None:
    commands = [block.code.rstrip() for block in blocks()]
    assert commands[0].endswith("bmp-plugin demo")
    assert commands[1].endswith("-m pytest -n 2 --dist loadfile")
    script = (ROOT / ".ci" / "run").read_text()
    assert "README.md" in script
    assert 'eval "$tests"' in script
