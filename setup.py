"""Compile the Java class that reads Lucene indexes when the package is built; everything else is in pyproject.toml."""
from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
JAVA = ROOT / "adapters" / "java"
RELEASE = "17"          # class files that every Java from 17 on loads; Pyserini itself needs 21


def compile_posting_reader(target: Path) -> None:
    """Compile PostingReader.java into ``target``; without a JDK the package still works, but not on Lucene indexes."""
    spec = importlib.util.spec_from_file_location("_jdk", JAVA / "jdk.py")
    jdk = importlib.util.module_from_spec(spec)
    sys.modules["_jdk"] = jdk
    spec.loader.exec_module(jdk)
    javac = jdk.find_javac(int(RELEASE))
    if javac is None:
        print(f"warning: no JDK {RELEASE}+ (javac) found: bmp-plugin is built without its reader of Lucene indexes",
              file=sys.stderr)
        return
    # The stubs stand for Lucene, which comes with Pyserini and need not be installed yet.
    subprocess.run([javac, "--release", RELEASE, "-implicit:none", "-proc:none", "-sourcepath", JAVA / "stubs",
                    "-d", target, JAVA / "PostingReader.java"], check=True)


class BuildWithJava(build_py):
    """``build_py`` that puts the compiled class next to the package's modules, in the source tree if editable."""

    def run(self) -> None:
        super().run()
        target = JAVA if self.editable_mode else Path(self.build_lib) / "bmp_plugin" / "adapters" / "java"
        target.mkdir(parents=True, exist_ok=True)
        compile_posting_reader(target)


setup(cmdclass={"build_py": BuildWithJava})
