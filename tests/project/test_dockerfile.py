"""The Dockerfile, as far as it can be tested without a Docker daemon: what it copies is there, and is enough for the wheel."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def found(pattern: str, text: str = DOCKERFILE) -> list[str]:
    return re.findall(pattern, text, re.MULTILINE)


def copy_context(folder: Path) -> None:
    """Copies what .dockerignore leaves: names with an exclamation mark, less the patterns below them."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    kept = [line[1:] for line in lines if line.startswith("!")]
    left_out = shutil.ignore_patterns(*(line.rpartition("/")[2] for line in lines[1:] if not line.startswith("!")))
    for name in kept:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, symlinks=True, ignore=left_out)
        else:
            shutil.copy(ROOT / name, folder)


def test_the_context_is_enough_for_the_wheel(tmp_path: Path) -> None:
    copy_context(tmp_path)
    copied = found(r"^COPY (?!--)(\S+) ")
    assert {"."} < set(copied)
    assert [name for name in copied if not (tmp_path / name).exists()] == []
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "wheels", "."]
    environment = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": "7.8.9"}
    done = subprocess.run(build, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "wheels").glob("bmp_plugin-7.8.9-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {f"bmp_plugin/{path.relative_to(ROOT / 'bmp_plugin')}" for path in (ROOT / "bmp_plugin").rglob("*.py")}
    for room in ("adapters", "conformance"):
        modules |= {f"bmp_plugin/{path.relative_to(ROOT)}" for path in (ROOT / room).rglob("*.py")}
    assert len(modules) > 150
    assert modules <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_page_sets_what_the_image_sets() -> None:
    page = (ROOT / "docs" / "how-to" / "containers.md").read_text(encoding="utf-8")
    (setting,), (cpu,) = found(r"^ENV NUMBA.*$"), found(r"^ARG CPU=(.*)$")
    assert setting.replace("$CPU", cpu) in page
    assert set(found(r"--target (\w+)", page + DOCKERFILE)) < set(found(r"^FROM .* AS (\w+)$"))


def test_containers_do_not_run_as_root() -> None:
    for stage in DOCKERFILE.split("\nFROM ")[2:]:
        assert found(r"^USER (\w+)$", stage)[-1] == "1000"
