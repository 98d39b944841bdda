"""Tools built on Pyserini's searchers and run files work with ours unchanged: servers, and two-click reproductions."""
from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tiny_bert import write_masked_language_model

DATA = Path(str(resources.files("bmp_plugin.demo")))

REST = """
import json, sys
from starlette.testclient import TestClient
from pyserini.server.rest.app import create_app
with TestClient(create_app(sys.argv[1], no_prebuilt_indexes=True)) as client:
    for query in sys.argv[2:]:
        answer = client.get("/v1/cranfield/search", params={"query": query, "hits": 20})
        assert answer.status_code == 200, answer.text
        print(json.dumps(answer.json()))
"""
MCP = """
import asyncio, json, sys
from fastmcp import Client, FastMCP
from pyserini.server.mcp.tools import register_tools
from pyserini.server.backend import SharedSearchBackend
mcp = FastMCP("test")
register_tools(mcp, SharedSearchBackend(sys.argv[1], no_prebuilt_indexes=True))
async def ask():
    async with Client(mcp) as client:
        for query in sys.argv[2:]:
            answer = await client.call_tool("search", {"query": query, "index": "cranfield", "hits": 20})
            print(json.dumps([part.text for part in answer.content]))
asyncio.run(ask())
"""


@pytest.mark.parametrize("code", [REST, MCP], ids=["rest", "mcp"])
def test_servers(code: str, host: Any, lucene_index: Any, cranfield_queries: Any, tmp_path: Path) -> None:
    if version("pyserini").startswith("1."):
        pytest.skip("the servers that are tested are Pyserini 2's: see .ci/pyserini2")
    cached = tmp_path / "queries.jsonl"
    cached.write_text("".join(
        json.dumps({"contents": qid, "vector": vector}) + "\n" for qid, vector in cranfield_queries.items()))
    texts, impacts = lucene_index("cranfield"), lucene_index("cranfield")
    (tmp_path / "indexes.yaml").write_text(json.dumps({"indexes": {          # JSON is YAML
        "texts": str(texts),
        "cranfield": {"path": str(impacts), "index_type": "impact", "encoder": str(cached), "base_index": "texts"}}}))
    (tmp_path / "served.py").write_text(
        code + "\nfrom pyserini.server.utils import SEARCHER_FACTORIES"
        "\nprint(SEARCHER_FACTORIES['impact'][0].__name__, file=sys.stderr)\n")
    arguments = [str(tmp_path / "indexes.yaml"), *list(cranfield_queries)[:3]]
    answers, searchers = [], []
    for start in ([sys.executable, str(tmp_path / "served.py")], [sys.executable, "-m", "bmp_plugin.swap", "served"]):
        done = subprocess.run([*start, *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answers.append([line for line in done.stdout.splitlines() if line[:1] in "[{"])
        searchers.append(done.stderr.split()[-1])
    assert searchers == ["LuceneImpactSearcher", "BmpImpactSearcher"]
    assert len(answers[0]) == 3
    assert "docid" in answers[0][0].lower()
    assert answers[0] == answers[1]


@pytest.fixture
def prebuilt(host: Any, java: Path, lucene_index: Any, cranfield_queries: Any, tmp_path: Path) -> dict[str, str]:
    """An environment in which SciFact's prebuilt index, topics, qrels and encoder seem downloaded.

    Cranfield's files and a tiny encoder are put in their places, so that every name in a reproduction's command is found.
    """
    from pyserini.prebuilt_index_info import IMPACT_INDEX_INFO
    from pyserini.search import _base as known

    cache = tmp_path / ".cache" / "pyserini"
    index = IMPACT_INDEX_INFO["beir-v1.0.0-scifact.splade-pp-ed"]
    name = (index.get("filename") or index["urls"][0].rpartition("/")[2]).partition(".tar.gz")[0]
    shutil.copytree(lucene_index("cranfield"), cache / "indexes" / f"{name}.{index['md5']}")

    def put(path: str, content: bytes) -> None:
        target = cache / "topics-and-qrels" / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gzip.compress(content) if target.suffix == ".gz" else content)

    encoded = "beir-v1.0.0-scifact.test.splade-pp-ed"               # what 1.6 searches for; 2.x encodes by itself
    queries = list(cranfield_queries.items())[:10]
    if encoded in known.topics_mapping:
        put(known.topics_mapping[encoded].path, "".join(
            f"{qid}\t{' '.join(' '.join([token] * weight) for token, weight in vector.items())}\n"
            for qid, vector in queries).encode())
    else:
        put(known.topics_mapping["beir-v1.0.0-scifact-test"].path, "".join(
            f"{qid}\tthe heat of {'supersonic flow ' * (number % 3)}\n" for number, (qid, _) in enumerate(queries)).encode())
        write_masked_language_model(tmp_path / "naver" / "splade-cocondenser-ensembledistil")
    put(known.qrels_mapping["beir-v1.0.0-scifact-test"].path, (DATA / "cranfield_qrels.txt").read_bytes())
    path = os.pathsep.join([str(Path(sys.executable).parent), str(java.parent), os.environ["PATH"]])
    return os.environ | {"PATH": path, "JAVA_HOME": str(java.parent.parent), "PYSERINI_CACHE": str(cache),
                         "JAVA_TOOL_OPTIONS": f"-Duser.home={tmp_path}", "HF_HUB_OFFLINE": "1"}


def commands_of_the_page() -> list[str]:
    """Returns the blocks of docs/how-to/reproduce.md: BEIR by its names, MS MARCO, and a two-click reproduction."""
    page = Path(__file__).parents[2] / "docs" / "how-to" / "reproduce.md"
    return re.findall(r"^```bash\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    shell = ["bash", "-euo", "pipefail", "-c", command]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_click_reproduction(prebuilt: dict[str, str], tmp_path: Path) -> None:
    """Pyserini runs the reproduction; then its printed command, with only the module replaced, and its evaluation."""
    two_clicks = commands_of_the_page()[2]
    first = two_clicks.splitlines()[-1]
    run(f"{first.replace('--directory runs', '--directory host')} --skip-eval", tmp_path, prebuilt)
    measured = dict(re.findall(r"(\S+) *: (\d\.\d{4}) ", run(two_clicks, tmp_path, prebuilt)))
    assert measured.keys() == {"nDCG@10", "R@100", "R@1000"}
    assert float(measured["R@1000"]) > 0
    runs = [(tmp_path / directory / "run.beir.splade-pp-ed.scifact.txt").read_bytes() for directory in ("host", "runs")]
    assert runs[0] == runs[1]
    assert len(runs[0].splitlines()) > 1000
    assert len(list((tmp_path / ".cache" / "pyserini" / "indexes").glob("*.bmp"))) == 1            # it was ours that searched


@pytest.mark.skipif(not version("pyserini").startswith("1."), reason="the page has the names of Pyserini 1")
def test_commands_with_pyserini_s_names(prebuilt: dict[str, str], tmp_path: Path) -> None:
    from pyserini.prebuilt_index_info import IMPACT_INDEX_INFO
    from pyserini.search import _base as known

    beir, msmarco, _ = commands_of_the_page()
    assert re.search(r"ndcg_cut_10 +\tall\t0\.0*[1-9]", run(beir, tmp_path, prebuilt))
    ours = (tmp_path / "run.scifact.txt").read_bytes()
    run(beir.replace("bmp_plugin.search.lucene", "pyserini.search.lucene"), tmp_path, prebuilt)
    assert (tmp_path / "run.scifact.txt").read_bytes() == ours != b""
    for option, names in (("--index", IMPACT_INDEX_INFO), ("--topics", known.topics_mapping), ("rank", known.qrels_mapping)):
        assert re.search(rf"{option} (\S+)", msmarco)[1] in names


def test_swap_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin.swap import main

    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "example: " in capsys.readouterr().out


def test_servers_without_faiss(host: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from bmp_plugin.swap import main

    monkeypatch.setitem(sys.modules, "faiss", None)         # as if it were not installed
    assert main(["pyserini.server.rest"]) == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith("needs faiss, which Pyserini does not install: pip install 'bmp-plugin[server]'")


def test_no_such_module(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin.swap import main

    assert main(["no_such_module"]) == 2
    assert "no_such_module: there is no such module" in capsys.readouterr().err
