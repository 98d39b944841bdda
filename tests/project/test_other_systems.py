"""The package works where the system lacks what POSIX has: locks, forks, resource limits, and the exchange of names."""
from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bmp_plugin import BmpSearcher

HIDDEN = """
import ctypes, importlib.abc, os, sys, sysconfig

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource", "termios", "pwd", "grp"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

class Library(ctypes.CDLL):
    def __getattr__(self, name):
        if name in ("renameat2", "renamex_np"):
            raise AttributeError(name)
        return super().__getattr__(name)

assert not {"fcntl", "resource"} & set(sys.modules)
sys.meta_path.insert(0, Hidden())
ctypes.CDLL = Library
for name in ("fork", "forkpty", "register_at_fork", "sysconf", "killpg", "mkfifo"):
    delattr(os, name)
sysconfig.get_config_vars()                                      # reads sys.abiflags here, which Windows does not have
del sys.abiflags
"""

IMPORTS = """
import pkgutil, bmp_plugin
for module in pkgutil.walk_packages(bmp_plugin.__path__, "bmp_plugin."):
    if not module.name.endswith("__main__") and module.name != "bmp_plugin.adapters.pyserini":      # which starts a JVM
        __import__(module.name)
        print(module.name)
"""

WORK = """
from bmp_plugin import BmpIndex
from bmp_plugin.__main__ import main
from bmp_plugin._internal.atomic_write import scratch_folder
from bmp_plugin.report.machine import machine

for attempt in range(2):                                        # the second replaces what the first has written
    documents = [(f"d{i}", {"x": i + attempt + 1}) for i in range(9)]
    BmpIndex.build(documents, "i.bmp", progress=False).verify()
    arguments = ["--index", "i.bmp", "--topics", "topics.tsv", "--output", "run.txt", "--quiet"]
    assert main(["search", *arguments]) == 0
assert "fcntl" not in sys.modules and machine()["memory_bytes"] == 0
"""

KILLED = """
import signal
from pathlib import Path
from bmp_plugin._internal.atomic_write import atomic_folder
with atomic_folder(Path("i.bmp")) as folder:
    (folder / "half.bin").write_text("half of")
    os.kill(os.getpid(), signal.SIGTERM)
"""


def without_posix(code: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, "-c", HIDDEN + code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_can_be_imported(tmp_path: Path) -> None:
    assert len(without_posix(IMPORTS, tmp_path).split()) > 150


def test_indexes_and_runs_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "topics.tsv").write_text("1\tx x\n")
    without_posix(WORK, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.bmp", "run.txt", "topics.tsv"]
    hits = BmpSearcher(tmp_path / "i.bmp", min_idf=-1).search({"x": 2})
    assert [(hit.docid, hit.score) for hit in hits] == [(f"d{i}", 2.0 * (i + 2)) for i in reversed(range(9))]


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    """Without locks of the system, filelock records the process that wrote, and sees that it has ended."""
    subprocess.run([sys.executable, "-c", HIDDEN + KILLED], cwd=tmp_path, capture_output=True, text=True)
    assert [path.name[:16] for path in tmp_path.iterdir()] == [".i.bmp.building-"]
    (tmp_path / "topics.tsv").write_text("1\tx x\n")
    without_posix(WORK, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["i.bmp", "run.txt", "topics.tsv"]
