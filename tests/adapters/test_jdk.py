"""Which Java is chosen, and the error if none is suitable."""
from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bmp_plugin.adapters.java import jdk
from bmp_plugin.errors import MissingDependencyError

MODULES = f"java.base java.compiler {jdk.VECTOR_MODULE}"


def fake_java(home: Path, version: str | None, modules: str = MODULES, javac: bool = False) -> Path:
    (home / "bin").mkdir(parents=True)
    for program in ["java", "javac"][:1 + javac]:
        (home / "bin" / jdk._executable(program)).write_text("#!/bin/sh\nexit 1\n")
        (home / "bin" / jdk._executable(program)).chmod(0o755)
    if version is not None:
        (home / "release").write_text(f'IMPLEMENTOR="x"\nJAVA_VERSION="{version}"\nMODULES="{modules}"\nOS_NAME="Linux"\n')
    return home


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Java; the folder ``jvm`` is one of the usual places."""
    for name in ("JAVA_HOME", "JDK_HOME", "JRE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    monkeypatch.setattr(jdk, "_USUAL_PLACES", (f"{tmp_path}/jvm/*",))
    return tmp_path


def test_java_home_if_it_fits(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(machine / "jvm" / "jdk-25", "25.0.3")
    home = fake_java(machine / "mine", "21.0.1")
    monkeypatch.setenv("JAVA_HOME", str(home))
    assert jdk.find_jdk() == home
    monkeypatch.setenv("JAVA_HOME", str(home / "bin"))          # as pyjnius allows
    assert jdk.find_jdk() == home


def test_another_place_if_java_home_is_too_old(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = fake_java(machine / "jvm" / "jdk-21", "21")
    fake_java(machine / "jvm" / "jdk-17", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(fake_java(machine / "old", "1.8.0_402")))
    monkeypatch.setenv("PATH", str(fake_java(machine / "older", "17.0.1") / "bin"))
    assert jdk.find_jdk() == found


def test_order_of_places(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = fake_java(machine / "jvm" / "a", "22")
    newer = fake_java(machine / "jvm" / "b", "25.0.1")
    assert jdk.find_jdk() == newer
    on_path = fake_java(machine / "on-path", "21")
    link = machine / "links"
    link.mkdir()
    (link / jdk._executable("java")).symlink_to(on_path / "bin" / jdk._executable("java"))
    monkeypatch.setenv("PATH", str(link))
    assert jdk.find_jdk() == on_path.resolve()
    monkeypatch.setenv("JDK_HOME", str(usual))
    assert jdk.find_jdk() == usual
    assert jdk.find_jdk(23) == newer


def test_trimmed_runtimes_are_passed_over(machine: Path) -> None:
    fake_java(machine / "jvm" / "trimmed", "25", modules="java.base java.logging")
    whole = fake_java(machine / "jvm" / "whole", "21")
    assert jdk.find_jdk() == whole


def test_without_release_file_java_is_asked(machine: Path) -> None:
    home = fake_java(machine / "jvm" / "bare", None)
    (home / "bin" / "java").write_text(
        f"#!/bin/sh\n[ $1 = --list-modules ] && printf 'java.base@24.0.1\\n{jdk.VECTOR_MODULE}@24\\n'\n")
    assert jdk.read_java_home(home) == jdk.JavaHome(home, 24, frozenset({"java.base", jdk.VECTOR_MODULE}))
    assert jdk.find_jdk() == home


def test_nothing_fits(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(machine / "gone"))
    fake_java(machine / "jvm" / "old", "17.0.15")
    fake_java(machine / "jvm" / "trimmed", "25", modules="java.base")
    with pytest.raises(MissingDependencyError) as caught:
        jdk.find_jdk()
    message = str(caught.value)
    assert "\n" not in message
    for part in ("Java 21", "JAVA_HOME", f"JAVA_HOME={machine / 'gone'}: no bin/java", f"{machine}/jvm/old: Java 17",
                 "Java 25 without module jdk.incubator.vector", "install a JDK 21+"):
        assert part in message


def test_no_java_at_all(machine: Path) -> None:
    with pytest.raises(MissingDependencyError, match="no Java at all"):
        jdk.find_jdk()
    assert jdk.find_javac() is None


def test_javac_of_any_jdk(machine: Path) -> None:
    fake_java(machine / "jvm" / "runtime", "25")
    home = fake_java(machine / "jvm" / "jdk", "17", javac=True)
    assert jdk.find_javac() == home / "bin" / jdk._executable("javac")


@pytest.mark.parametrize(("text", "major"), [
    ("25.0.3", 25), ("21", 21), ("1.8.0_402", 8), ("17.0.15+6-Debian", 17), ("", 0), ("22-ea", 22)])
def test_versions(text: str, major: int) -> None:
    assert jdk._major(text) == major


def test_use_jdk_overrides_an_unfit_java_home(java: Path, tmp_path: Path) -> None:
    """In a fresh process, whose JAVA_HOME is too old, Pyserini's JVM still starts."""
    code = ("import os; from bmp_plugin.adapters.java.jdk import use_jdk, find_jdk; use_jdk(); "
            "assert os.environ['JAVA_HOME'] == str(find_jdk()); from jnius import autoclass; "
            "print(autoclass('java.lang.System').getProperty('java.specification.version')); "
            "os.environ['JAVA_HOME'] = 'kept'; use_jdk(); print(os.environ['JAVA_HOME'])")
    environment = dict(os.environ, JAVA_HOME=str(fake_java(tmp_path / "old", "11.0.2")))
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    version, kept = done.stdout.split()
    assert int(version) >= jdk.MINIMUM_VERSION
    assert kept == "kept"           # the JVM runs: too late to choose


def test_the_release_file_of_the_java_in_use(java: Path) -> None:
    home = jdk.read_java_home(java.parent.parent)
    assert home is not None
    assert home.version >= jdk.MINIMUM_VERSION
    assert jdk.VECTOR_MODULE in home.modules
