"""The command line, as a user's shell sees it: exit status, one line on standard error, no partial output."""
from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin import BmpIndex
from bmp_plugin._internal import interrupts
from bmp_plugin.cli import main

DATA = Path(str(resources.files("bmp_plugin.demo")))
DOCS, QUERIES, QRELS = (DATA / f"cranfield_{name}" for name in ("docs.jsonl.gz", "queries.jsonl.gz", "qrels.txt"))
COMMANDS = ("index", "shards", "search", "compare", "conform", "verify", "info", "fuse", "export", "demo", "warmup",
            "completion")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def bmp(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process, which saves imports; output and status are those of :func:`shell`."""
    command = [str(argument) for argument in arguments]
    out, error = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(error):
        patch.setattr(interrupts, "install", lambda: None)             # pytest's own stay
        try:
            status = main(command)
        except SystemExit as exit_:
            status = int(exit_.code or 0)
    return _without_compiling(subprocess.CompletedProcess(command, status, out.getvalue(), error.getvalue()))


def shell(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in a separate process, as a user's shell does."""
    command = [sys.executable, "-m", "bmp_plugin", *map(str, arguments)]
    return _without_compiling(subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=300))


def _without_compiling(done: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Removes the notice that the first search on a machine prints about compilation."""
    done.stderr = "".join(line for line in done.stderr.splitlines(keepends=True) if "compiling" not in line)
    return done


def refused(*arguments: object, status: int = 2, run: Run = bmp) -> str:
    """Runs a command that must fail; returns its one line of output."""
    done = run(*arguments)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("bmp-plugin: ")
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("index") / "cranfield.bmp"
    done = shell("index", "--input", DOCS, "--output", path)
    assert done.returncode == 0, done.stderr
    assert "1,400 documents" in done.stderr
    assert done.stderr.count("\n") == 1, "no progress bar where nobody watches"
    return path


@pytest.fixture(scope="module")
def topics(index: Path) -> Path:
    """A fifth of Cranfield's queries, because many tests read and compare all of their 1,000 hits."""
    path = index.parent / "topics.jsonl.gz"
    with gzip.open(QUERIES) as queries, gzip.open(path, "wb") as chosen:
        chosen.writelines(itertools.islice(queries, 0, None, 5))
    return path


@pytest.fixture(scope="module")
def run(index: Path, topics: Path) -> Path:
    path = index.parent / "run.txt"
    done = shell("search", "--index", index, "--topics", topics, "--output", path)
    assert done.returncode == 0, done.stderr
    assert "45 queries" in done.stderr
    assert "ms per query" in done.stderr
    return path


@pytest.fixture
def damaged(index: Path, tmp_path: Path) -> Path:
    import shutil

    copy = tmp_path / "damaged.bmp"
    shutil.copytree(index, copy)
    largest = max(copy.glob("*.bin"), key=lambda file: file.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[len(data) // 2] ^= 1
    largest.write_bytes(data)
    return copy


# --- what works -------------------------------------------------------------------------------------------------------


def test_run_is_that_of_the_library(index: Path, topics: Path, run: Path) -> None:
    from bmp_plugin import BmpSearcher
    from bmp_plugin.trec.topics import read_topics

    lines = run.read_text().splitlines()
    expected = []
    searcher = BmpSearcher(index)
    for qid, query in read_topics(topics)[:5]:
        for rank, hit in enumerate(searcher.search(query, 1000), 1):
            expected.append(f"{qid} Q0 {hit.docid} {rank} {hit.score:.6f} Anserini")
    assert lines[: len(expected)] == expected
    assert len({line.split()[0] for line in lines}) == 45


def test_text_as_topics_is_noticed(index: Path, tmp_path: Path) -> None:
    search = ("search", "--index", index, "--output", tmp_path / "run.txt", "--topics", tmp_path / "topics.tsv")
    (tmp_path / "topics.tsv").write_text("1\theat flow\n2\tflow of the wings\n3\tqwertyuiop\n")
    done = bmp(*search)
    assert done.returncode == 0
    assert re.search(r"topics.tsv: 1 of 3 queries have no token that the index knows; [\d.]+ % of all tokens are unknown; "
                     r"every token weighs 1; is this text\? use --encoder\n", done.stderr)
    assert "is this text?" in bmp(*search, "--quiet").stderr
    (tmp_path / "topics.tsv").write_text("1\theat heat flow\n2\tflow qwertyuiop\n")
    done = bmp(*search)
    assert "0 of 2 queries have no token that the index knows; 25.0 % of all tokens are unknown; is this text?" in done.stderr
    (tmp_path / "topics.tsv").write_text("1\theat heat flow\n")
    assert "token" not in bmp(*search).stderr


def test_fractional_weights_are_refused(index: Path, tmp_path: Path) -> None:
    (tmp_path / "topics.jsonl").write_text('{"qid": "1", "vector": {"heat": 0.9, "flow": 0.5}}\n')
    done = bmp("search", "--index", index, "--topics", tmp_path / "topics.jsonl", "--output", tmp_path / "run.txt")
    assert done.returncode == 2
    assert "weight 0.9 of query token 'heat' is not a whole number" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run.txt").exists()


def test_search_options(index: Path, topics: Path, run: Path, tmp_path: Path) -> None:
    tsv = tmp_path / "topics.tsv.gz"
    with gzip.open(topics, "rt") as file, gzip.open(tsv, "wt", encoding="utf-8") as written_out:
        for topic in map(json.loads, file):
            tokens = [token for token, weight in topic["vector"].items() for _ in range(weight)]
            written_out.write(f"{topic['qid']}\t{' '.join(tokens)}\n")
    search = ("search", "--index", index, "--topics", tsv, "--output")
    done = bmp(*search, tmp_path / "again.txt", "--threads", 2, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (tmp_path / "again.txt").read_bytes() == run.read_bytes()
    done = bmp(*search, tmp_path / "few.txt", "--hits", 3, "--tag", "me", "--min-idf", 1, "--alpha", 0.9, "--beta", 0.5)
    assert done.returncode == 0
    lines = [line.split() for line in (tmp_path / "few.txt").read_text().splitlines()]
    assert len(lines) == 3 * 45
    assert {line[5] for line in lines} == {"me"}
    done = bmp(*search, tmp_path / "most.txt", "--hits", 10, "--target-recall", 0.9)
    assert done.returncode == 0
    found, best = [{tuple(line.split()[:3:2]) for line in path.read_text().splitlines() if int(line.split()[3]) <= 10}
                   for path in (tmp_path / "most.txt", run)]
    assert 0.9 * len(best) < len(found & best) < len(best)
    done = bmp(*search, tmp_path / "m.txt", "--format", "msmarco")
    assert done.returncode == 0
    assert bmp("compare", run, tmp_path / "m.txt").returncode == 0


def test_tune(index: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(index, tmp_path / "copy.bmp"))
    done = bmp("tune", "--index", copy, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert [row[:2] for row in rows[:2]] == [["10", "0.9"], ["10", "0.95"]]
    assert all(float(recall) >= float(target) for _, target, _, _, recall in rows)
    assert "made from the documents" in (copy / "recall.json").read_text()
    assert bmp("verify", copy).returncode == 0
    done = bmp("tune", "--index", copy, "--topics", QUERIES, "--max-queries", 100, "--json")
    found = json.loads(done.stdout)
    assert found["queries"] == f"75 queries of {QUERIES}"
    assert found["queries"] in (copy / "recall.json").read_text()
    assert all(row["recall"] >= row["target_recall"] for row in found["settings"])
    assert bmp("search", "--index", copy, "--topics", QUERIES, "--output", tmp_path / "o", "--target-recall", 0.9,
               ).returncode == 0


def test_search_to_standard_output(index: Path, tmp_path: Path) -> None:
    (tmp_path / "q.tsv").write_text("1\tflow\n")
    done = shell("search", "--index", index, "--topics", tmp_path / "q.tsv", "--output", "/dev/stdout", "--hits", 2)
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.parametrize("compressed", [False, True])
def test_a_dash_is_standard_input_and_output(compressed: bool, index: Path, topics: Path, run: Path) -> None:
    given = topics.read_bytes() if compressed else gzip.decompress(topics.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "bmp_plugin", "search", "--index", str(index), "--topics", "-", "--output", "-", "--quiet"],
        input=given, capture_output=True, timeout=300)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == run.read_bytes()
    command = [sys.executable, "-m", "bmp_plugin", "fuse", "-", str(run), "--output", "-"]
    fused = subprocess.run(command, input=done.stdout, capture_output=True, timeout=300)
    assert fused.returncode == 0
    assert len(fused.stdout.splitlines()) == len(done.stdout.splitlines())


@pytest.mark.parametrize("command", [
    ("index", "--input", DOCS, "--output", "-"), ("export", "x.bmp", "--output", "-"), ("demo", "--output", "-"),
    ("shards", "create", "x.bmp", "--output", "-"), ("compare", "a", "b", "--output", "-"),
    ("conform", "--index", "x", "--topics", "t", "--output", "-"),
])
def test_a_dash_is_refused_where_there_is_no_stream(command: tuple[object, ...], tmp_path: Path,
                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = bmp(*command)
    assert done.returncode == 2
    assert "argument --output: - is no path here: give a name" in done.stderr
    assert not list(tmp_path.iterdir())


def test_no_folder_is_made_for_an_output(index: Path, topics: Path, run: Path, tmp_path: Path) -> None:
    missing = tmp_path / "nope" / "deeper"
    for command in (("search", "--index", index, "--topics", topics), ("fuse", run, run), ("export", index),
                    ("index", "--input", DOCS), ("index", "--input", DOCS, "--shards", 2), ("compare", run, run),
                    ("shards", "create", index), ("demo",)):
        told = refused(*command, "--output", missing / "x")
        assert f"{missing / 'x'}: " in told
        assert not missing.parent.exists(), command


def test_an_output_inside_the_input_is_refused(tmp_path: Path) -> None:
    (tmp_path / "part.jsonl").write_text('{"id": "1", "vector": {"x": 1}}\n')
    for options in ((), ("--shards", 1)):
        told = refused("index", "--input", tmp_path, "--output", tmp_path / "i.bmp", *options)
        assert f"{tmp_path / 'i.bmp'}: lies in the folder that is read, {tmp_path}: choose another output" in told
    assert [path.name for path in tmp_path.iterdir()] == ["part.jsonl"]


def test_index_options(index: Path, topics: Path, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.bmp"
    build = ("index", "--input", DOCS, "--output", other)
    done = bmp(*build, "--block-size", 32, "--reorder", "bp", "--threads", 2, "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert BmpIndex.open(other).manifest["block_size"] == 32
    assert bmp("search", "--index", other, "--topics", topics, "--output", tmp_path / "run.txt").returncode == 0
    assert (tmp_path / "run.txt").read_bytes() == run.read_bytes()
    assert bmp(*build).returncode == 0                  # an index that is there is replaced
    assert BmpIndex.open(other).manifest["block_size"] == BmpIndex.open(index).manifest["block_size"]


def test_info(index: Path) -> None:
    done = bmp("info", index, "--json")
    assert done.returncode == 0
    known = json.loads(done.stdout)
    assert known["num_docs"] == 1400
    assert known["source"]["kind"] == "json-vectors"
    assert known["size_bytes"] == sum(file.stat().st_size for file in index.iterdir())
    done = bmp("info", index)
    assert "1,400" in done.stdout
    assert "json-vectors" in done.stdout


def test_compare(run: Path, tmp_path: Path) -> None:
    done = bmp("compare", run, run, "--qrels", QRELS)
    assert done.returncode == 0
    assert "45 of 45" in done.stdout
    assert "nDCG@10" in done.stdout
    lines = run.read_text().splitlines(keepends=True)
    first, second = lines[0].split(), lines[1].split()
    lines[0] = " ".join([*first[:2], second[2], *first[3:]]) + "\n"
    lines[1] = " ".join([*second[:2], first[2], *second[3:]]) + "\n"
    (tmp_path / "other.txt").write_text("".join(lines))
    done = bmp("compare", run, tmp_path / "other.txt")
    assert done.returncode == 1
    assert "44 of 45" in done.stdout
    assert f"query {first[0]}: order at rank 1" in done.stdout
    done = bmp("compare", run, tmp_path / "other.txt", "--json", "--qrels", QRELS)
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["kinds"] == {"order": 1}
    assert found["measures"]["a"]["R@1000"] == found["measures"]["b"]["R@1000"]


def test_verify(index: Path, damaged: Path) -> None:
    done = shell("verify", index)
    assert (done.returncode, done.stderr) == (0, "")
    assert "sound" in done.stdout
    output = refused("verify", damaged, status=1, run=shell)
    assert "damaged" in output
    assert str(damaged) in output


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_defaults_and_an_example(command: str) -> None:
    done = bmp(command, "--help")
    assert done.returncode == 0
    assert re.search(rf"^example: (\w+=\S+ )?bmp-plugin {command}", done.stdout, re.MULTILINE)
    if command in ("index", "search", "compare", "conform", "demo"):
        assert "(default: " in done.stdout
    assert "None" not in done.stdout
    assert "SUPPRESS" not in done.stdout


def test_exit_statuses_are_in_the_help() -> None:
    output = bmp("--help").stdout
    for status in (0, 1, 2, 130):
        assert f"\n  {status:<5}" in output


def test_shell_completion(tmp_path: Path) -> None:
    script = shell("completion", "bash")
    assert script.returncode == 0
    (tmp_path / "complete.sh").write_text(script.stdout)
    asked = "source complete.sh; COMP_WORDS=(bmp-plugin export --); COMP_CWORD=2; _shtab_bmp_plugin; echo ${COMPREPLY[@]}"
    done = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True)
    assert {"--to", "--output", "--json"} <= set(done.stdout.split()), done
    assert bmp("completion", "fish").returncode == 2


def test_help_is_light() -> None:
    code = ("import sys; from bmp_plugin.cli import parser; parser().format_help();"
            "print(sorted({'numpy', 'numba', 'tqdm', 'ir_measures', 'pyserini', 'jnius', 'torch'} & set(sys.modules)))")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def test_block_size_of_the_help_is_that_of_the_build(index: Path) -> None:
    from bmp_plugin.index.layout import DEFAULT_BLOCK_SIZE

    assert BmpIndex.open(index).manifest["block_size"] == DEFAULT_BLOCK_SIZE
    assert f"(default: {DEFAULT_BLOCK_SIZE})" in " ".join(bmp("index", "--help").stdout.split())


def test_version_and_console_command() -> None:
    from importlib.metadata import version

    done = shell("--version")
    assert done.stdout == f"bmp-plugin {version('bmp-plugin')}\n"
    console = Path(sys.executable).with_name("bmp-plugin")
    if console.exists():
        assert subprocess.run([console, "--version"], capture_output=True, text=True).stdout == done.stdout


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("find",), "no command is called find"),
        (("index", "--input", "x"), "--output"),
        (("index", "--input", "{tmp}/nope", "--output", "{tmp}/o.bmp"), "nope: no such file or folder"),
        (("index", "--input", "{tmp}/text", "--output", "{tmp}/o.bmp"), "text: not recognized: give a CIFF file"),
        (("index", "--input", "{tmp}/empty", "--output", "{tmp}/o.bmp"), "empty: an empty file: give a CIFF file"),
        (("index", "--input", "{tmp}/broken.jsonl", "--output", "{tmp}/o.bmp"), "broken.jsonl, line 2: broken JSON"),
        (("index", "--input", "{tmp}/float.jsonl", "--output", "{tmp}/o.bmp"), "quantize"),
        (("index", "--input", "{tmp}/cut.gz", "--output", "{tmp}/o.bmp"), "cut.gz"),
        (("index", "--input", "{tmp}/folder", "--output", "{tmp}/o.bmp"), "no JSON file in this folder"),
        (("index", "--input", "{index}", "--output", "{tmp}/o.bmp"), "already a block-max index"),
        (("index", "--input", "{docs}", "--output", "{tmp}/o.bmp", "--block-size", "7"), "block size 7"),
        (("index", "--input", "{docs}", "--output", "{tmp}/o.bmp", "--block-size", "0"), "--block-size: 0 is not 1"),
        (("index", "--input", "{docs}", "--output", "{tmp}/o.bmp", "--reorder", "url"), "--reorder"),
        (("index", "--input", "{docs}", "--output", "{tmp}/text"), "is not a block-max index"),
        (("index", "--input", "{docs}", "--output", "{tmp}/text/o.bmp"), "cannot be written"),
        (("search", "--index", "{tmp}/nope", "--topics", "{queries}", "--output", "{tmp}/o"), "nope"),
        (("search", "--index", "{tmp}/folder", "--topics", "{queries}", "--output", "{tmp}/o"), "not a block-max"),
        (("search", "--index", "{index}", "--topics", "{tmp}/nope", "--output", "{tmp}/o"), "nope: no such file"),
        (("search", "--index", "{index}", "--topics", "{tmp}/text", "--output", "{tmp}/o"), "text, line 1: not qid"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/o", "--hits", "0"), "--hits: 0"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/o", "--hits", "x"), "--hits"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/o", "--alpha", "2"), "alpha"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/o", "--target-recall", "2"),
         "target_recall"),
        (("tune", "--index", "{tmp}/nope"), "nope"),
        (("tune", "--index", "{index}", "--topics", "{tmp}/text"), "text, line 1: not qid"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/o", "--beta", "0"), "beta"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/o", "--tag", "a b"), "run tag"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/folder"), "a folder exists"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "{tmp}/text/o"), "text"),
        (("search", "--index", "{index}", "--topics", "{queries}", "--output", "/dev/full"), "No space left on device"),
        (("compare", "{tmp}/text", "{tmp}/text"), "text, line 1"),
        (("compare", "{tmp}/empty", "{tmp}/empty"), "an empty run"),
        (("compare", "{run}", "{tmp}/nope"), "nope: no such file"),
        (("compare", "{run}", "{run}", "--qrels", "{tmp}/text"), "not TREC qrels"),
        (("verify", "{tmp}/nope"), "nope"),
        (("verify", "{tmp}/folder"), "is not a block-max index"),
        (("info", "{tmp}/nope"), "nope"),
        (("demo", "--output", "{tmp}/text"), "text"),
    ],
)
def test_refused_in_one_line(index: Path, run: Path, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    (tmp_path / "text").write_text("neither this nor that\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "broken.jsonl").write_text('{"id": "1", "vector": {"a": 1}}\n{"id": \n')
    (tmp_path / "float.jsonl").write_text('{"id": "1", "vector": {"a": 0.37}}\n')
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b'{"id": "1", "vector": {"a": 1}}\n' * 99)[:-30])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    names = {"tmp": tmp_path, "index": index, "run": run, "docs": DOCS, "queries": QUERIES}
    assert message in refused(*(argument.format(**names) for argument in arguments))
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before, "a refusal leaves nothing behind and changes nothing"


def test_bad_input_keeps_the_old_output(index: Path, run: Path, tmp_path: Path) -> None:
    (tmp_path / "run.txt").write_bytes(run.read_bytes())
    (tmp_path / "bad.tsv").write_text("1\ta\nno tab\n")
    refused("search", "--index", index, "--topics", tmp_path / "bad.tsv", "--output", tmp_path / "run.txt", run=shell)
    assert (tmp_path / "run.txt").read_bytes() == run.read_bytes()
    (tmp_path / "bad.jsonl").write_text('{"id": "1", "vector": {"a": -1}}\n')
    assert bmp("index", "--input", DOCS, "--output", tmp_path / "good.bmp").returncode == 0
    refused("index", "--input", tmp_path / "bad.jsonl", "--output", tmp_path / "good.bmp", run=shell)
    assert bmp("verify", tmp_path / "good.bmp").returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["bad.jsonl", "bad.tsv", "good.bmp", "run.txt"]


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser may write everywhere")
def test_no_permission(index: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        output = refused("search", "--index", index, "--topics", QUERIES, "--output", tmp_path / "run.txt")
    finally:
        tmp_path.chmod(0o700)
    assert "Permission denied" in output


def _default_interrupts() -> None:
    """Restores the handling of SIGINT, which a shell sets to ignore for tests that run in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(index: Path, tmp_path: Path, number: int, status: int) -> None:
    topics = tmp_path / "many.jsonl"
    with gzip.open(QUERIES, "rt") as file:
        vectors = [json.loads(line)["vector"] for line in file]
    with open(topics, "w") as file:
        for qid in range(20_000):
            file.write(json.dumps({"qid": str(qid), "vector": vectors[qid % len(vectors)]}) + "\n")
    command = [sys.executable, "-m", "bmp_plugin", "search", "--index", str(index), "--topics", str(topics),
               "--output", str(tmp_path / "run.txt")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               preexec_fn=_default_interrupts)
    limit = time.monotonic() + 120
    while not list(tmp_path.glob(".run.txt.*")) and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(number)
    _, output = process.communicate(timeout=120)
    assert process.returncode == status
    assert "Traceback" not in output
    assert os.listdir(tmp_path) == ["many.jsonl"]


def test_closed_pipe_on_standard_output(index: Path) -> None:
    command = [sys.executable, "-m", "bmp_plugin", "info", str(index)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    process.wait(60)


# --- compared with Pyserini's command line -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def from_lucene(lucene_index: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's steps: a folder with an index made of a Lucene index, and TSV topics."""
    folder = tmp_path_factory.mktemp("from-lucene")
    done = shell("index", "--input", lucene_index("cranfield"), "--output", folder / "i.bmp")
    assert done.returncode == 0, done.stderr
    with gzip.open(QUERIES, "rt") as file:
        vectors = [json.loads(line)["vector"] for line in itertools.islice(file, 12)]
    rows = [[token for token, weight in vector.items() for _ in range(weight)] for vector in vectors]
    rows += [["unknown-token"], ["unknown-token", *rows[0]], ["flow"], ["the", "flow", "flow"]]
    qids = ["10", "9", "007", "1", *(f"{number}" for number in range(20, 20 + len(rows) - 4))]
    (folder / "topics.tsv").write_text("".join(f"{qid}\t {' '.join(row)} \n" for qid, row in zip(qids, rows, strict=True)))
    return folder


@pytest.mark.parametrize("hits", [10, 2000])
def test_same_run_as_pyserinis_command_line(from_lucene: Path, host: Any, lucene_index: Callable[[str], Path], hits: int,
                                            monkeypatch: pytest.MonkeyPatch) -> None:
    """Pyserini's command is run in this process, which has its JVM already."""
    topics, theirs, ours = (from_lucene / name for name in ("topics.tsv", "host.txt", "ours.txt"))
    arguments = "--index", lucene_index("cranfield"), "--topics", topics, "--output", theirs, "--hits", hits
    monkeypatch.setattr(sys, "argv", ["pyserini", "--impact", *map(str, arguments)])
    runpy.run_module("pyserini.search.lucene", run_name="__main__")
    done = shell("search", "--index", from_lucene / "i.bmp", "--topics", topics, "--output", ours, "--hits", hits)
    assert done.returncode == 0, done.stderr
    assert ours.read_bytes() == theirs.read_bytes()
    assert bmp("compare", ours, theirs).returncode == 0


def test_alone_it_prints_help() -> None:
    done = bmp()
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == bmp("--help").stdout


def test_a_misspelt_command_is_suggested() -> None:
    done = bmp("serch", "--index", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "bmp-plugin: error: no command is called serch: do you mean search? (see bmp-plugin --help)\n"
    assert bmp("zzz").stderr == "bmp-plugin: error: no command is called zzz (see bmp-plugin --help)\n"
