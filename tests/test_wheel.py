"""The wheel: built from a checkout without git and with tags, installed and run in an empty environment, typed."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
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
    assert wheel.name.startswith("bmp_plugin-0.1.0-")
    assert {"bmp_plugin/py.typed", "bmp_plugin/adapters/ciff.py", "bmp_plugin/conformance/oracle.py",
            "bmp_plugin/data/cranfield_docs.jsonl.gz"} <= set(names)
    packages = {name.partition("/")[0] for name in names}
    assert packages == {"bmp_plugin", "bmp_plugin-0.1.0.dist-info"}
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.skipif(shutil.which("git") is None, reason="no git")
def test_version_is_the_tag(checkout: Path, tmp_path: Path) -> None:
    tagged = shutil.copytree(checkout, tmp_path / "tagged", ignore=PRIVATE)
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]
    for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-q", "-m", "all"], ["tag", "v7.8.9"]):
        subprocess.run(["git", *command], cwd=tagged, check=True, capture_output=True)
    assert build(tagged, tmp_path / "dist").name.startswith("bmp_plugin-7.8.9-")


def test_runs_in_an_empty_environment(wheel: Path, tmp_path: Path) -> None:
    """Outside the checkout, with what the wheel asks for and nothing else."""
    venv.create(tmp_path / "empty", with_pip=True)
    python = tmp_path / "empty" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", wheel]
    installed = subprocess.run(install, capture_output=True, text=True, cwd=tmp_path)
    if installed.returncode and not os.environ.get("CI"):
        pytest.skip(f"pip cannot install here: {installed.stderr[-200:]}")
    assert installed.returncode == 0, installed.stderr
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
