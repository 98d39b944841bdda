"""What the README shows works as it stands there."""
import gzip
import re
import shutil
import subprocess
import sys
from importlib import resources
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
DATA = resources.files("bmp_plugin.data")


def block(section: str, language: str) -> str:
    """The code block of a section."""
    text = README.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2]
    return re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)[1]


def test_from_python(tmp_path):
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "docs.jsonl").write_text(
        '{"id": "a", "contents": "", "vector": {"block": 3, "max": 1}}\n'
        '{"id": "b", "contents": "", "vector": {"pruning": 2}}\n{"id": "c", "contents": "", "vector": {"other": 1}}\n')
    done = subprocess.run([sys.executable, "-c", block("From Python", "python")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "b 60.0 1\n"


def test_from_the_shell(tmp_path):
    """The same commands, with the shipped vectors in the place of the reader's own index."""
    (tmp_path / "indexes" / "my-splade-index").mkdir(parents=True)
    shutil.copy(DATA / "cranfield_docs.jsonl.gz", tmp_path / "indexes" / "my-splade-index")
    shutil.copy(DATA / "cranfield_qrels.txt", tmp_path / "qrels.txt")
    with gzip.open(DATA / "cranfield_queries.jsonl.gz", "rt", encoding="utf-8") as queries:
        (tmp_path / "topics.tsv").write_text("".join(next(queries) for _ in range(20)), encoding="utf-8")
    lines = block("From the shell", "bash").strip().splitlines()
    assert [line.split()[:2] for line in lines] == [["bmp-plugin", x] for x in ("index", "search", "compare", "verify", "info")]
    for line in lines:
        if "run-of-lucene.txt" in line:
            shutil.copy(tmp_path / "run.txt", tmp_path / "run-of-lucene.txt")
        done = subprocess.run([sys.executable, "-m", *line.replace("bmp-plugin", "bmp_plugin", 1).split()], cwd=tmp_path,
                              capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)


def test_ci_runs_the_second_command():
    commands = re.findall(r"```bash\n(.*?)\n```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert commands[0].endswith("bmp-plugin demo")
    assert commands[1].endswith("-m pytest")
    script = (README.parent / ".ci" / "run").read_text()
    assert "README.md" in script
    assert 'eval "$tests"' in script
