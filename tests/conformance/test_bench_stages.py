"""The profile of kernels is complete: it has every kernel that a search calls; their times are not tested."""
import json
import multiprocessing
import re

import pytest

from bmp_plugin import BmpIndex
from bmp_plugin.conformance import stages


@pytest.fixture(scope="module")
def index(tmp_path_factory, cranfield_documents):
    root = tmp_path_factory.mktemp("stages")
    with open(root / "docs.jsonl", "w", encoding="utf-8") as file:
        for document in cranfield_documents[:200]:
            file.write(json.dumps(document) + "\n")
    return BmpIndex.build(root / "docs.jsonl", root / "i.bmp", progress=False).path


@pytest.fixture
def queries(tmp_path, cranfield_queries):
    path = tmp_path / "queries.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for qid, vector in list(cranfield_queries.items())[:4]:
            file.write(json.dumps({"qid": qid, "vector": vector}) + "\n")
    return path


@pytest.mark.slow                                        # compiles all kernels from nothing, with counters
def test_report(index, queries, capsys):
    assert stages.main(["--index", str(index), "--queries", str(queries), "--k", "5", "--rounds", "1"]) == 0
    text = capsys.readouterr().out
    for words in ("GB/s in order", "## k = 5", "| in the kernels | 1.0 |", "Cycled, the kernels take"):
        assert words in text
    assert re.search(r"^\| block_max_pruning\.\w+ \| 1\.0 \|", text, re.MULTILINE)      # a row of a kernel


def test_refusals(index, queries, capsys):
    assert stages.main(["--index", str(index), "--queries", str(queries), "--k", "0"]) == 2
    assert stages.main(["--index", str(index / "no"), "--queries", str(queries)]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 2
    assert all(error.startswith("stages: error: ") for error in errors)


def profile_an_example():
    """Runs in a separate process: kernels that count what they do, called twice."""
    from bmp_plugin._internal import kernels
    from bmp_plugin.conformance.benchmark.kernel_profile import instrument

    profile = instrument({"example.outer", "example.inner"})
    scope = {"__name__": "bmp_plugin.query.example"}
    exec("def inner(n):\n    s = 0.0\n    for i in range(n):\n        s += 1.0 / (i + s + 1)\n    return s\n"
         "def outer(n):\n    return inner(n) + inner(n) + other()\n"
         "def other():\n    return 1.0\n", scope)
    plain = scope["outer"](1000)
    for name in ("inner", "other", "outer"):
        scope[name] = kernels.kernel(scope[name])
    assert scope["outer"](1000) == plain                  # compiles
    profile.reset()
    with profile.off():
        scope["outer"](1000)
    scope["outer"](10_000)
    scope["outer"](10_000)
    return {name: tuple(measured) for name, measured in profile.measured().items()}


def test_calls_and_own_times():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        measured = pool.apply(profile_an_example)
    assert set(measured) == {"example.outer", "example.inner"}
    (outer_calls, outer, outer_own), (inner_calls, inner, inner_own) = measured["example.outer"], measured["example.inner"]
    assert (outer_calls, inner_calls) == (2, 4)
    assert inner == inner_own > outer_own                 # the work is in the inner one
    assert outer == pytest.approx(inner + outer_own)
