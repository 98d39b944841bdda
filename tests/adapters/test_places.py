"""Paths and places: names that shells, URLs and locales find hard, read-only mounts, and the Java that children find."""
from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bmp_plugin.adapters.host import sidecar_index
from bmp_plugin.adapters.java import jdk, lucene_process
from bmp_plugin.errors import MissingDependencyError, SourceError
from bmp_plugin.search.lucene import main

Index = Callable[[str], Path]


@pytest.mark.parametrize("name", ["with space", "a#b", "100%20", "índice 日本"])
def test_difficult_paths(name: str, host: Any, lucene_index: Index, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    lucene = shutil.copytree(lucene_index("cranfield"), folder / name)
    (folder / "topics.tsv").write_text("1\theat flow\n2\tflow wing\n")
    rest = ["--impact", "--topics", str(folder / "topics.tsv"), "--hits", "20", "--output"]
    assert main(["--index", str(lucene), *rest, str(folder / "run.txt")]) == 0
    assert (folder / f"{name}.bmp" / "manifest.json").exists()
    assert main(["--index", str(lucene), "--bmp-dir", str(folder / "mine.bmp"), *rest, str(folder / "again.txt")]) == 0
    assert (folder / "mine.bmp" / "manifest.json").exists()
    assert main(["--index", str(lucene), *rest, str(folder / "feedback.txt"), "--rm3"]) == 0      # Lucene opens the path, too
    command = [sys.executable, "-m", "bmp_plugin", "search", "--index", str(folder / "mine.bmp"), "--topics",
               str(folder / "topics.tsv"), "--hits", "20", "--output", str(folder / "ours.txt"), "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    runs = [(folder / f"{run}.txt").read_text() for run in ("run", "again", "ours")]
    assert runs[0] == runs[1] == runs[2] != ""


@pytest.mark.skipif(sys.platform != "linux", reason="Java's names do not depend on the locale elsewhere")
def test_the_locale_is_named_as_the_cause(java: Path, lucene_index: Index, tmp_path: Path) -> None:
    lucene = shutil.copytree(lucene_index("nasty"), tmp_path / "日本")
    command = [sys.executable, "-m", "bmp_plugin", "index", "--input", str(lucene), "--output", str(tmp_path / "o.bmp")]
    done = subprocess.run(command, env=os.environ | {"LC_ALL": "C"}, capture_output=True)
    message = done.stderr.decode()
    assert done.returncode == 2
    assert message.count("\n") == 1
    assert "日本: Java cannot open this path" in message
    assert "set LC_ALL=C.UTF-8" in message


def test_paths_outside_the_locale_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jdk.sys, "platform", "linux")
    monkeypatch.setattr(jdk.locale, "getencoding", lambda: "latin-1")
    jdk.check_java_path(Path("/índice"))
    with pytest.raises(SourceError, match="/日本: Java cannot open this path, because the encoding of the locale, latin-1"):
        jdk.check_java_path(Path("/日本"))


def test_a_temporary_folder_where_nothing_else_is_writable(java: Path, lucene_index: Index, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    lucene = shutil.copytree(lucene_index("nasty"), tmp_path / "lucene")
    sidecar_index.temporary_path.cache_clear()
    monkeypatch.setattr(sidecar_index, "_is_writable", lambda folder: False)
    monkeypatch.setattr(sidecar_index, "cache_path", lambda lucene_dir: tmp_path / "cache" / "lucene.bmp")
    index = sidecar_index.index_of(lucene, progress=False)
    assert not index.path.is_relative_to(tmp_path / "lucene.bmp")
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for part in (str(tmp_path), str(index.path), "--bmp-dir"):
        assert part in said
    assert sidecar_index.index_of(lucene, progress=False).path == index.path
    assert capsys.readouterr().err == ""
    assert [path.name for path in tmp_path.iterdir()] == ["lucene"]


def test_the_jdk_is_the_first_on_path(java: Path, tmp_path: Path) -> None:
    """Pyserini's children start ``java`` from PATH."""
    old = tmp_path / "java"
    old.write_text("#!/bin/sh\nexit 17\n")
    old.chmod(0o755)
    code = "import shutil; from bmp_plugin.adapters.java.jdk import use_jdk; use_jdk(); print(shutil.which('java'))"
    environment = os.environ | {"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == java


def test_without_javac_the_reader_says_what_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lucene_process, "_CLASSES", tmp_path)
    with pytest.raises(MissingDependencyError, match=r"from source without javac, which a JRE lacks.*install a JDK 21"):
        lucene_process.PostingReader(tmp_path, "contents", tmp_path / "no.jar")
