"""What is built on Pyserini's searchers and run files works with ours unchanged: servers, and two-click reproductions."""
from __future__ import annotations

import json
import shlex
import subprocess
import sys
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

DATA = Path(str(resources.files("bmp_plugin.data")))

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


def test_two_click_reproduction(host: Any, java: Path, lucene_index: Any, cranfield_queries: Any, tmp_path: Path,
                                monkeypatch: pytest.MonkeyPatch) -> None:
    """The command that it shows, with the module's name replaced and, as nothing can be downloaded, index and topics."""
    shown = subprocess.run([sys.executable, "-m", "pyserini.2cr.beir", "--condition", "splade-pp-ed", "--dataset", "scifact",
                            "--dry-run", "--display-commands"], capture_output=True, text=True, check=True, cwd=tmp_path).stdout
    shown = shown.replace("\\\n", " ")
    command = next(line for line in shown.splitlines() if "pyserini.search.lucene" in line)
    words = shlex.split(command[command.index("python"):])
    (tmp_path / "topics.tsv").write_text("".join(
        f"{qid}\t{' '.join(' '.join([token] * weight) for token, weight in query.items())}\n"
        for qid, query in list(cranfield_queries.items())[:10]))
    runs = []
    for module in ("pyserini.search.lucene", "bmp_plugin.search.lucene"):
        run = tmp_path / f"{module}.txt"
        given = {"--index": str(lucene_index("cranfield")), "--topics": str(tmp_path / "topics.tsv"), "--output": str(run)}
        mine = [given.get(before, word) for before, word in zip(["", *words], words, strict=False)]
        mine = _without(mine, ("--encoder", "--onnx-encoder"))
        mine[:3] = [sys.executable, "-m", module]
        subprocess.run(mine, check=True, capture_output=True, cwd=tmp_path)
        runs.append(run.read_bytes())
    assert runs[0] == runs[1]
    assert len(runs[0].splitlines()) > 1000
    from pyserini.eval.trec_eval import trec_eval

    monkeypatch.setenv("PATH", f"{java.parent}:/usr/bin:/bin")
    assert trec_eval(["trec_eval", "-c", "-m", "ndcg_cut.10", str(DATA / "cranfield_qrels.txt"), str(run)]) > 0


def _without(words: list[str], options: tuple[str, ...]) -> list[str]:
    """Without these options and their values: the models would be downloaded."""
    return [word for before, word in zip(["", *words], words, strict=False) if word not in options and before not in options]


def test_swap_refuses(capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin.swap import main

    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "example: " in capsys.readouterr().out


def test_no_such_module(host: Any, capsys: pytest.CaptureFixture[str]) -> None:
    from bmp_plugin.swap import main

    assert main(["no_such_module"]) == 2
    assert "no_such_module: there is no such module" in capsys.readouterr().err
