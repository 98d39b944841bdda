"""Finding a JDK that Pyserini can run on, and pointing pyjnius to it before the JVM starts.

``setup.py`` also loads this file by its path, before anything is installed: it imports the standard library only.
"""
from __future__ import annotations

import locale
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MINIMUM_VERSION = 21
VECTOR_MODULE = "jdk.incubator.vector"          # Pyserini needs it; trimmed runtimes lack it

_USUAL_PLACES = (
    "/usr/lib/jvm/*", "/usr/lib64/jvm/*", "/usr/java/*", "/opt/java*", "/opt/java/*", "/opt/jdk*", "/opt/*jdk*",
    "/usr/local/java*", "/usr/local/openjdk*", "/usr/local/*jdk*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home", "~/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "/opt/homebrew/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "/usr/local/opt/openjdk*/libexec/openjdk.jdk/Contents/Home",
    "~/.sdkman/candidates/java/*", "~/.jdks/*", "~/.jdk/*", "~/.asdf/installs/java/*",
    "~/.local/share/mise/installs/java/*", "~/.cache/coursier/arc/**/*jdk*",
    "{ProgramFiles}/Java/*", "{ProgramFiles}/Eclipse Adoptium/*", "{ProgramFiles}/Microsoft/*jdk*",
    "{ProgramFiles}/Zulu/*", "{ProgramFiles}/Amazon Corretto/*", "{ProgramFiles}/BellSoft/*",
)


@dataclass(frozen=True)
class JavaHome:
    """A Java installation: its major version and the modules it was linked with."""

    path: Path
    version: int
    modules: frozenset[str]

    @property
    def java(self) -> Path:
        return self.path / "bin" / _executable("java")

    @property
    def javac(self) -> Path:
        return self.path / "bin" / _executable("javac")


def _executable(name: str) -> str:
    return name + ".exe" if sys.platform == "win32" else name


def _major(version: str) -> int:
    numbers = re.findall(r"\d+", version) or ["0"]
    return int(numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0])


def read_java_home(path: Path) -> JavaHome | None:
    """Reads the ``release`` file of the Java installation at ``path``; returns None if there is no Java."""
    home = path.parent if path.name == "bin" else path
    if not (home / "bin" / _executable("java")).is_file():
        return None
    try:
        text = (home / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    entries = dict(re.findall(r'^(\w+)="?(.*?)"?\s*$', text, flags=re.MULTILINE))
    version, modules = _major(entries.get("JAVA_VERSION", "")), frozenset(entries.get("MODULES", "").split())
    if not version or (not modules and version > 8):
        version, modules = _ask_java(home)          # some builds have no release file, or a short one
    return JavaHome(home, version, modules)


def _ask_java(home: Path) -> tuple[int, frozenset[str]]:
    try:
        listed = subprocess.run([home / "bin" / _executable("java"), "--list-modules"], capture_output=True, text=True,
                                timeout=30, stdin=subprocess.DEVNULL, check=False).stdout.split()
    except (OSError, subprocess.SubprocessError):
        return 0, frozenset()
    names = dict(line.partition("@")[::2] for line in listed)
    return _major(names.get("java.base", "")), frozenset(names)


def java_homes() -> Iterator[tuple[str, JavaHome | None]]:
    """Yields every Java installation, best first, with where it was found: environment variables, PATH, the usual folders."""
    seen: set[Path] = set()
    programs = os.environ.get("PROGRAMFILES", "C:/Program Files")

    def look(where: str, path: Path) -> Iterator[tuple[str, JavaHome | None]]:
        resolved = path.resolve()
        if resolved not in seen:
            seen.add(resolved)
            yield where, read_java_home(path)

    for name in ("JAVA_HOME", "JDK_HOME", "JRE_HOME"):
        if os.environ.get(name):
            yield from look(f"{name}={os.environ[name]}", Path(os.environ[name]))
    for program in ("java", "javac"):
        on_path = shutil.which(program)
        if on_path:
            yield from look(f"{program} on PATH ({on_path})", Path(on_path).resolve().parent.parent)
    for pattern in _USUAL_PLACES:
        expanded = os.path.expanduser(pattern.replace("{ProgramFiles}", programs))
        anchor = Path(expanded).anchor
        if not anchor:
            continue
        found = [home for home in Path(anchor).glob(expanded[len(anchor):]) if home.is_dir()]
        homes = [home for home in map(read_java_home, found) if home is not None]
        for home in sorted(homes, key=lambda home: (home.version, str(home.path)), reverse=True):
            yield from look(str(home.path), home.path)


def _lacks(home: JavaHome | None, minimum: int) -> str | None:
    """Returns why Pyserini cannot run on this Java, or None if it can."""
    if home is None:
        return "no bin/java"
    if home.version < minimum:
        return f"Java {home.version or 'of unknown version'}"
    if VECTOR_MODULE not in home.modules:
        return f"Java {home.version} without module {VECTOR_MODULE}"
    return None


def find_jdk(minimum: int = MINIMUM_VERSION) -> Path:
    """Returns the home of a Java of at least version ``minimum`` with the module ``jdk.incubator.vector``.

    The search order is: JAVA_HOME, JDK_HOME, JRE_HOME, ``java`` on PATH, the folders where installers put it.

    Raises
    ------
    bmp_plugin.errors.MissingDependencyError
        If there is none; the message lists what was found and why it is unsuitable.
    """
    refused = []
    for where, home in java_homes():
        reason = _lacks(home, minimum)
        if reason is None and home is not None:
            return home.path
        refused.append(f"{where}: {reason}")
    from bmp_plugin.errors import MissingDependencyError
    raise MissingDependencyError(
        f"no Java {minimum} or newer with module {VECTOR_MODULE} found: install a JDK {minimum}+ or set JAVA_HOME to "
        f"one (looked at JAVA_HOME, JDK_HOME, PATH, /usr/lib/jvm, /opt, ~/.sdkman, ~/.jdks and the like; "
        f"{'; '.join(refused) or 'no Java at all'})")


def find_javac(minimum: int = 17) -> Path | None:
    """Returns the ``javac`` of a JDK of at least version ``minimum``; it compiles the Java class when the package is built."""
    for _, home in java_homes():
        if home is not None and home.version >= minimum and home.javac.is_file():
            return home.javac
    return None


def use_jdk() -> None:
    """Makes pyjnius start its JVM from :func:`find_jdk`: it reads JAVA_HOME when ``jnius`` is imported.

    That JDK also becomes the first on PATH, where Pyserini's child processes, such as those of its evaluation, find ``java``.
    Does nothing if ``jnius`` is imported already, because then the JVM is running.
    """
    if "jnius" in sys.modules:
        return
    home = find_jdk()
    os.environ["JAVA_HOME"] = str(home)
    os.environ["PATH"] = os.pathsep.join(filter(None, [str(home / "bin"), os.environ.get("PATH", "")]))


def check_java_path(path: Path) -> None:
    """Checks that Java can be given ``path``: on Linux, it knows file names only in the encoding of the locale.

    Raises
    ------
    bmp_plugin.errors.SourceError
        It names the locale, and what to set.
    """
    encoding = locale.getencoding()
    if sys.platform in ("darwin", "win32"):
        return
    try:
        str(path).encode(encoding)
    except UnicodeEncodeError:
        from bmp_plugin.errors import SourceError

        raise SourceError(f"{path}: Java cannot open this path, because the encoding of the locale, {encoding}, lacks some of"
                          " its characters: set LC_ALL=C.UTF-8") from None
