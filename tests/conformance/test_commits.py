"""The comparison of two commits: in a repository made of these sources, so that the real one's history is neither needed
nor touched, and all kernels are found compiled. No word about how long anything takes."""
from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import bmp_plugin
import bmp_plugin.adapters
import bmp_plugin.conformance
from bmp_plugin._internal.kernels import cache_folder
from bmp_plugin.conformance import commits
from bmp_plugin.conformance.benchmark import commit_sides
from bmp_plugin.errors import BmpError

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
DOCUMENTS, TOKENS, QUERIES = 300, 40, 7
WORSE = """

_search = BmpSearcher.search


def _one_less(self, query, k=10, **options):
    return _search(self, query, k, **options)[:-1 if len(query) == 3 else None]


BmpSearcher.search = _one_less
"""


def git(repository: Path, *arguments: str) -> str:
    return subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false",
                           *arguments], cwd=repository, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collection, queries, and a repository with a commit that cannot be imported before one that can."""
    folder = tmp_path_factory.mktemp("commits")
    rng = np.random.default_rng(1)
    rows = [np.sort(rng.permutation(TOKENS)[:rng.integers(3, 20)]) for _ in range(DOCUMENTS)]
    ptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    np.savez(folder / "vectors.npz", ptr=ptr, terms=np.concatenate(rows), imps=rng.integers(1, 300, ptr[-1]))
    (folder / "vocab.txt").write_text("\n".join(f"t{number}" for number in range(TOKENS)))
    for name in ("queries.jsonl", "others.jsonl"):
        with open(folder / name, "w") as file:
            for number in range(QUERIES):
                tokens = rng.permutation(TOKENS)[:2 + number % 3].tolist()
                file.write(json.dumps({"qid": f"q{number}", "vector": {f"t{token}": 1 + token for token in tokens}}) + "\n")
    repository = folder / "repository"
    for package, name in ((bmp_plugin, "bmp_plugin"), (bmp_plugin.adapters, "adapters"),
                          (bmp_plugin.conformance, "conformance")):
        shutil.copytree(package.__path__[0], repository / name, ignore=shutil.ignore_patterns("__pycache__", "results"))
    (repository / ".gitignore").write_text("__pycache__/\n")
    git(repository, "init", "--quiet")
    init = repository / "bmp_plugin" / "__init__.py"
    sound = init.read_text()
    init.write_text("raise ValueError('not yet')\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "--message", "Broken")
    git(repository, "tag", "broken")
    init.write_text(sound)
    git(repository, "commit", "--quiet", "--all", "--message", "Sound")
    return folder


@pytest.fixture
def repository(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository as the checkout, as it is committed and with no worktree but its own."""
    monkeypatch.setattr(commit_sides, "CHECKOUT", folder / "repository")
    monkeypatch.setattr(commit_sides, "QUERIES_AT_ONCE", 3)
    git(folder / "repository", "reset", "--quiet", "--hard")
    return folder / "repository"


def arguments(folder: Path, *more: str, base: str = "HEAD", vectors: str = "vectors.npz", queries: str = "queries.jsonl",
              vocabulary: str = "vocab.txt") -> list[str]:
    return ["--base", base, "--vectors", str(folder / vectors), "--vocabulary", str(folder / vocabulary),
            "--queries", str(folder / queries), "--k", "3", "--rounds", "1", *more]


def assert_no_worktree_left(repository: Path) -> None:
    assert git(repository, "worktree", "list").count("\n") == 1
    assert not (repository / ".git" / "worktrees").exists()


def test_report(folder: Path, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(commits, "_empty_cache", lambda *_: cache_folder().parent)      # which is not empty
    (repository / "bmp_plugin" / "new.py").touch()
    assert commits.main(arguments(folder, "--queries", str(folder / "others.jsonl"), "--k", "3", "1000", "--reorder", "none",
                                  "bp", "--rounds", "2", "--max-queries", "5", "--cold", "--work", str(tmp_path / "work"),
                                  "--output", str(tmp_path / "results" / "report.md"))) == 0
    (repository / "bmp_plugin" / "new.py").unlink()
    text = capsys.readouterr().out
    assert (tmp_path / "results" / "report.md").read_text() == text
    commit = git(repository, "rev-parse", "--short", "HEAD").strip()
    assert text.startswith(f"# {commit}-dirty against {commit}\n")
    assert f"{DOCUMENTS} documents" in text
    assert "--vectors vectors.npz" in text
    assert str(folder) not in text
    assert len(re.findall(r"^\| (?:none|bp) \| bytes per posting \| [\d.]+ \| [\d.]+ \| 1.000 \|$", text, re.MULTILINE)) == 2
    assert len(re.findall(r"^\| (?:none|bp) \| build, (?:processor|wall) s \|(?: [\d.]+ \|){3}$", text, re.MULTILINE)) == 4
    tables = text.split("\n## ")
    assert [table.partition("\n")[0] for table in tables[2:4]] == ["queries.jsonl, 5 queries", "others.jsonl, 5 queries"]
    for table in tables[2:4]:
        rows = re.findall(r"^\| (\w+) \| (\d+) \| (\w+) \|(?: [\d.]+ \|){3} [\d.]+ to [\d.]+ \|(?: [\d.]+ \|){3}$", table,
                          re.MULTILINE)
        assert rows == [(order, k, clock) for order in ("none", "bp") for k in ("3", "1000") for clock in ("processor", "wall")]
    assert re.findall(r"^\| (\w+) \|(?: [\d.]+ \|){3}$", tables[4], re.MULTILINE) == ["processor", "wall"]
    assert {path.name for path in (tmp_path / "work").glob("*.bmp")} == {
        f"{side}-{order}.bmp" for side in ("base", "new") for order in ("none", "bp")}
    assert_no_worktree_left(repository)


def test_other_answers_are_found(folder: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open(repository / "bmp_plugin" / "searcher" / "bmp_searcher.py", "a") as file:
        file.write(WORSE)
    assert commits.main(arguments(folder)) == 1
    printed = capsys.readouterr()
    assert not printed.out
    errors = [line for line in printed.err.splitlines() if "error" in line]
    assert re.fullmatch(r"commits: error: queries.jsonl, order none, k = 3: query q1: "
                        r"rank 3 has d\d+ with \d+.0 at the base, nothing now", errors[0])
    assert "query q4" in errors[1]
    assert errors[2:] == ["commits: error: queries.jsonl, order none, k = 3: 2 of 7 answers differ"]
    assert_no_worktree_left(repository)


def test_differences() -> None:
    base = [[("a", 2.0), ("b", 1.0)], [("a", 2.0), ("b", 1.0)], [("a", 2.0)], [], [("a", 2.0), ("b", 1.0)]]
    new = [[("a", 2.0), ("b", 1.0)], [("b", 2.0), ("a", 2.0)], [("a", 2.0), ("b", 0.0)], [], [("a", 2.0), ("b", 1.5)]]
    assert commit_sides.differences(base, new) == {
        1: "rank 1 has a with 2.0 at the base, b with 2.0 now", 2: "rank 2 has nothing at the base, b with 0.0 now",
        4: "rank 2 has b with 1.0 at the base, b with 1.5 now"}


def test_figures() -> None:
    """Of two rounds, two sides, two queries."""
    times = np.array([[[1.0, 3.0], [2.0, 2.0]], [[2.0, 1.0], [4.0, 8.0]]])
    assert commits._figures(times) == "1.8 | 4.0 | 2.286 | 1.000 to 4.000 | 2.0 | 5.0 | 2.496"


REFUSED = [
    ({"base": "nowhere"}, (), "--base nowhere: there is no such commit"),
    ({"vectors": "none.npz"}, (), "none.npz: no such collection"),
    ({"queries": "none.jsonl"}, (), "none.jsonl"),
    ({"vocabulary": "none.txt"}, (), "none.txt"),
    ({"base": "broken"}, (), "base: ValueError: not yet"),
    ({}, ("--rounds", "0"), "at least 1"),
    ({}, ("--max-queries", "0"), "at least 1"),
    ({}, ("--queries", "elsewhere/queries.jsonl"), "two files have the same name"),
]


@pytest.mark.parametrize(("files", "more", "message"), REFUSED)
def test_refusals(folder: Path, repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
                  files: dict[str, str], more: tuple[str, ...], message: str) -> None:
    (folder / "elsewhere").mkdir(exist_ok=True)
    shutil.copy(folder / "queries.jsonl", folder / "elsewhere")
    monkeypatch.chdir(folder)
    assert commits.main(arguments(folder, *more, **files)) == 2
    printed = capsys.readouterr()
    assert not printed.out
    errors = [line for line in printed.err.splitlines() if "building" not in line]
    assert len(errors) == 1
    assert errors[0].startswith("commits: error: ")
    assert message in errors[0]
    assert_no_worktree_left(repository)


def test_not_a_checkout(folder: Path, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
                        monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (tmp_path, repository / "bmp_plugin"):              # within another repository, as an installation may be
        monkeypatch.setattr(commit_sides, "CHECKOUT", place)
        assert commits.main(arguments(folder)) == 2
        assert "not imported from a git checkout" in capsys.readouterr().err


def test_another_installation_instead_of_the_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BmpError, match=r"base: ImportError: bmp_plugin is not imported from the checkout"):
        commit_sides.Side("base", tmp_path)


def test_a_process_that_dies(folder: Path, repository: Path) -> None:
    with commit_sides.Side("new", repository) as side:
        side._process.kill()
        with pytest.raises(BmpError, match="new: its process ended with status -9"):
            side.ask("add_queries", "queries", [])


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupted(folder: Path, repository: Path, number: signal.Signals, status: int) -> None:
    code = ("import sys; from pathlib import Path; from bmp_plugin._internal import interrupts; "
            "from bmp_plugin.conformance import commits; from bmp_plugin.conformance.benchmark import commit_sides; "
            "interrupts.install(); "
            "commit_sides.CHECKOUT = Path(sys.argv[1]); sys.exit(commits.main(sys.argv[2:]))")
    with subprocess.Popen([sys.executable, "-c", code, str(repository), *arguments(folder, "--rounds", "100000")],
                          stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "round 1" not in process.stderr.readline():
            assert process.poll() is None
        time.sleep(0.1)
        assert git(repository, "worktree", "list").count("\n") == 2
        process.send_signal(number)
        process.stderr.read()
    assert process.returncode == status
    assert_no_worktree_left(repository)
