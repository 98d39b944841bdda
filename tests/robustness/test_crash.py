"""Killed processes, full disks, missing permissions, races and interruptions: the old output is in place, or the new one.

``python -m bmp_plugin.conformance.crash`` does in full what the first test does for some calls of each stage.
"""
from __future__ import annotations

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import large
import pytest

from bmp_plugin import BmpIndex
from bmp_plugin._internal import atomic_write
from bmp_plugin.adapters.sources.array_source import ArraySource
from bmp_plugin.index import block_max_index as opening

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="mounts, and reads /proc")
PATIENCE = 120.0


def python(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, timeout=300, **options)


def command(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    return python("-m", "bmp_plugin", *arguments, **options)


def refused(done: subprocess.CompletedProcess[str], *message: object) -> None:
    """Checks for one line that names its subject, and exit status 2."""
    assert done.returncode == 2, done
    lines = [line for line in done.stderr.splitlines() if "compiling" not in line]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("bmp-plugin: error: ")
    for text in message:
        assert str(text) in lines[0]


def small(documents: int = 400) -> ArraySource:
    return ArraySource(*large.arrays(documents), large.VOCABULARY)


# --- every stage ------------------------------------------------------------------------------------------------------


def test_every_write_is_atomic(tmp_path: Path) -> None:
    stages = ("two threads over an index", "bp over an index", "JSON over an index", "shards over shards", "fetch", "export",
              "run")
    done = python("-m", "bmp_plugin.conformance.crash", "--step", 67, "--seconds", 1, "--work", tmp_path, "--stage", *stages)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all writes are atomic\n")
    assert list(tmp_path.iterdir()) == []


BROKEN = """
from bmp_plugin._internal import atomic_write
from bmp_plugin.conformance.crash.__main__ import main

def nothing(*_):
    pass

for name, kind, step in (("_sync", "full", 1000), ("_sync_folder", "full", 1000), ("remove_abandoned", "kill", 2),
                         ("_remove", "full", 2)):
    sound = getattr(atomic_write, name)
    setattr(atomic_write, name, nothing)
    print(name, main(["--seconds", "0", "--stage", "run", "--kinds", kind, "--step", str(step)]))
    setattr(atomic_write, name, sound)
"""


def test_broken_atomicity_is_detected() -> None:
    done = python("-c", BROKEN)
    assert done.returncode == 0, done.stderr
    found = done.stdout
    for name, message in (("_sync", "not on the disk"), ("_sync_folder", "its name"),
                          ("remove_abandoned", "the next run leaves"), ("_remove", "leaves")):
        part, found = found.split(f"{name} 1\n", 1)
        assert message in part


NO_EXCHANGE = """
import json, os, sys
from pathlib import Path
from bmp_plugin._internal import atomic_write
from bmp_plugin.conformance.crash.faults import Child, Fault
from bmp_plugin.conformance.crash.writers import left_in, stages, state_of

atomic_write._exchange = lambda one, other: False
work = Path(sys.argv[1])
stage = next(stage for stage in stages(work / "inputs") if stage.name == "join")
stage = type(stage)(stage.name, stage.output, stage.act, work / "inputs" / "old.bmp")
folder = work / "out"
stage.prepare(folder)
before = state_of(folder / stage.output)
calls = Child(lambda: stage.act(folder), folder).wait().calls
after = state_of(folder / stage.output)
low, high = 0, calls
while True:                                 # the old before, none between two renames, the new after
    number = (low + high) // 2
    stage.prepare(folder)
    assert Child(lambda: stage.act(folder), folder, Fault("kill", number)).wait().status == -9
    state = state_of(folder / stage.output)
    if state is None:
        break
    assert low < high and state in (before, after)
    low, high = (number + 1, high) if state == before else (low, number)
# any next run puts the old back first, whatever then happens to it
assert Child(lambda: stage.act(folder), folder, Fault("full", 5)).wait().status == 1
assert state_of(folder / stage.output) == before
assert Child(lambda: stage.act(folder), folder).wait().status == 0
assert state_of(folder / stage.output) == after and not left_in(folder, stage)
"""


def test_the_old_index_is_restored_if_names_cannot_be_exchanged(tmp_path: Path) -> None:
    done = python("-c", NO_EXCHANGE, tmp_path)
    assert done.returncode == 0, done.stderr


KILLED_WITH_SCRATCH = """
import os, sys
from pathlib import Path
from bmp_plugin._internal.atomic_write import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "run.txt").write_text("half of")
    os.kill(os.getpid(), 9)
"""


def test_a_scratch_folder_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    assert python("-c", KILLED_WITH_SCRATCH, tmp_path).returncode == -signal.SIGKILL
    [left] = tmp_path.iterdir()
    with atomic_write.scratch_folder(tmp_path) as mine:
        assert list(tmp_path.iterdir()) == [mine.parent] != [left]
    assert not list(tmp_path.iterdir())


def test_an_index_replaced_while_it_is_opened_is_consistent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = BmpIndex.build(small(), tmp_path / "i.bmp", progress=False, block_size=8)
    read, times = opening.read_manifest, []

    def read_and_replace(folder: Path) -> dict[str, Any]:
        manifest = read(folder)
        if not times:                       # documents in another order: all arrays are as long as before
            times.append(1)
            BmpIndex.build(small(), tmp_path / "i.bmp", progress=False, block_size=8, reorder="leading")
        return manifest

    monkeypatch.setattr(opening, "read_manifest", read_and_replace)
    found = BmpIndex.open(tmp_path / "i.bmp")
    assert found.manifest["reorder"] == "leading"
    assert found.num_docs == one.num_docs
    found.verify()


# --- no room, no permission -------------------------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("this system does not let us mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About 3 MB of JSON vectors, their index of 1 MB, topics, and a run of 2 MB."""
    folder = tmp_path_factory.mktemp("inputs")
    with open(folder / "docs.jsonl", "w") as file:
        for number in range(6000):
            vector = {f"t{(number * 31 + i * i * 7) % 997}": 1 + (number + i) % 300 for i in range(40)}
            file.write(json.dumps({"id": f"d{number}", "contents": "", "vector": vector}) + "\n")
    (folder / "topics.tsv").write_text("".join(f"{qid}\tt{qid % 997} t{qid % 89} t1\n" for qid in range(200)))
    done = command("index", "--input", folder / "docs.jsonl", "--output", folder / "i.bmp")
    assert done.returncode == 0, done.stderr
    return folder


def writers(inputs: Path, folder: Path) -> dict[str, list[object]]:
    """Returns command lines that write to a name in ``folder``."""
    index: list[object] = ["index", "--input", inputs / "docs.jsonl", "--quiet", "--output"]
    return {"i.bmp": [*index, folder / "i.bmp"], "s.bmps": [*index, folder / "s.bmps", "--shards", 2],
            "r.bmp": [*index, folder / "r.bmp", "--reorder", "bp", "--threads", 2],
            "e.ciff": ["export", inputs / "i.bmp", "--output", folder / "e.ciff"],
            "run.txt": ["search", "--index", inputs / "i.bmp", "--topics", inputs / "topics.tsv", "--output",
                        folder / "run.txt"]}


@on_linux
def test_a_full_disk_is_reported_and_the_old_output_remains(inputs: Path, tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "16m") as disk:
        old = BmpIndex.build(small(30), disk / "i.bmp", progress=False)
        digest = large.digest(old.path)
        for name in ("s.bmps", "r.bmp"):
            shutil.copytree(old.path, disk / name)
        for name in ("e.ciff", "run.txt"):
            (disk / name).write_text("old")
        with contextlib.suppress(OSError), open(disk / "filler", "wb", buffering=0) as filler:
            while True:
                filler.write(bytes(1 << 16))
        os.truncate(disk / "filler", (disk / "filler").stat().st_size - 50_000)
        there = sorted(path.name for path in disk.iterdir())
        for name, arguments in writers(inputs, disk).items():
            refused(command(*arguments), disk / name, "No space left on device")
            assert sorted(path.name for path in disk.iterdir()) == there, name
            if (disk / name).is_dir():
                assert large.digest(disk / name) == digest
                BmpIndex.open(disk / name).verify()
            else:
                assert (disk / name).read_text() == "old"


def without_root_capabilities() -> None:
    """Runs in a child, which then obeys permissions as root does not. (Without setuid, so that the interpreter is readable.)"""
    drop, override, search = 24, 1, 2           # PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    for capability in (override, search):
        ctypes.CDLL(None).prctl(drop, capability, 0, 0, 0)


@on_linux
@pytest.mark.parametrize("why", ["Permission denied", "Read-only file system"])
def test_folders_that_cannot_be_written(inputs: Path, tmp_path: Path, why: str) -> None:
    with contextlib.ExitStack() as stack:
        folder = tmp_path / "folder"
        if why == "Read-only file system":
            stack.enter_context(mounted(folder, "2m"))
            subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        else:
            folder.mkdir()
            folder.chmod(0o500)
        for name, arguments in writers(inputs, folder).items():
            refused(command(*arguments, preexec_fn=without_root_capabilities), folder / name, why)
        assert list(folder.iterdir()) == []


@on_linux
def test_unreadable_input(inputs: Path, tmp_path: Path) -> None:
    shutil.copy(inputs / "docs.jsonl", tmp_path)
    shutil.copytree(inputs / "i.bmp", tmp_path / "i.bmp")
    for path in (tmp_path / "docs.jsonl", tmp_path / "i.bmp" / "list_max.bin"):
        path.chmod(0)
    message = tmp_path / "docs.jsonl", "Permission denied"
    refused(command("index", "--input", tmp_path / "docs.jsonl", "--output", tmp_path / "o.bmp",
                    preexec_fn=without_root_capabilities), *message)
    refused(command("search", "--index", tmp_path / "i.bmp", "--topics", inputs / "topics.tsv", "--output",
                    tmp_path / "run.txt", preexec_fn=without_root_capabilities),
            tmp_path / "i.bmp" / "list_max.bin", "Permission denied")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["docs.jsonl", "i.bmp"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_full_standard_output(inputs: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "bmp_plugin", "info", str(inputs / "i.bmp")], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    refused(done, "standard output: No space left on device")
    search = ["search", "--index", inputs / "i.bmp", "--topics", inputs / "topics.tsv", "--output", "/dev/full"]
    refused(command(*search), "/dev/full: No space left on device")
    shell = f"{sys.executable} -m bmp_plugin info {inputs / 'i.bmp'} >&-"
    done = subprocess.run(["bash", "-c", shell], stderr=subprocess.PIPE, text=True)
    assert "Traceback" not in done.stderr


# --- interruptions ----------------------------------------------------------------------------------------------------


def default_interrupts() -> None:
    """Restores the handling of SIGINT, which a shell sets to ignore for tests that run in the background."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@on_linux
@pytest.mark.parametrize("options", [["--threads", "2"], ["--reorder", "bp"], ["--reorder", "leading", "--shards", "3"]])
def test_an_interrupted_build_ends_with_a_line(inputs: Path, tmp_path: Path, options: list[str]) -> None:
    """Ctrl-C reaches all processes of a terminal, so it is sent to the process group."""
    documents = tmp_path / "in"
    documents.mkdir()
    for part in range(12):
        (documents / f"{part}.jsonl").write_text((inputs / "docs.jsonl").read_text().replace('"id": "d', f'"id": "{part}d'))
    out = tmp_path / "out"
    out.mkdir()
    child = subprocess.Popen([sys.executable, "-m", "bmp_plugin", "index", "--input", str(documents), "--output",
                              str(out / "i.bmp"), *options], stderr=subprocess.PIPE, text=True, preexec_fn=default_interrupts)
    wait_for(lambda: bool(list(out.iterdir())))
    time.sleep(0.3)
    os.killpg(child.pid, signal.SIGINT)
    _, message = child.communicate(timeout=PATIENCE)
    assert child.returncode == 130, message
    assert [line for line in message.splitlines() if "compiling" not in line] == ["bmp-plugin: interrupted"]
    assert list(out.iterdir()) == []
    with pytest.raises(ProcessLookupError):
        os.killpg(child.pid, 0)


def wait_for(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_signal_that_arrives_as_soon_as_the_temporary_file_is_there(tmp_path: Path) -> None:
    def made(path: Path) -> None:
        path.touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_write._temporary(tmp_path / "run.txt", made):
        pass
    assert list(tmp_path.iterdir()) == []


# --- races for the first use ------------------------------------------------------------------------------------------

FIRST_USE = """
import sys, time
from bmp_plugin.adapters.host import sidecar_index
from bmp_plugin.adapters.sources.lucene_source import LuceneSource

if sys.argv[2] == "slowly":
    documents = LuceneSource.documents
    def slow(source):
        print("building", flush=True)
        time.sleep(600)
    LuceneSource.documents = slow
index = sidecar_index.index_of(sys.argv[1], progress=False)
index.verify()
print(index.num_docs, flush=True)
"""


@on_linux
def test_a_concurrent_first_use_continues_if_the_first_process_is_killed(lucene_index: Callable[[str], Path],
                                                                         tmp_path: Path) -> None:
    lucene = Path(shutil.copytree(lucene_index("nasty"), tmp_path / "lucene"))
    first = subprocess.Popen([sys.executable, "-c", FIRST_USE, str(lucene), "slowly"], stdout=subprocess.PIPE, text=True)
    assert first.stdout is not None
    assert first.stdout.readline() == "building\n"
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    second = subprocess.Popen([sys.executable, "-c", FIRST_USE, str(lucene), "now"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    assert "Waiting for another process" in second.stderr.readline()
    assert not (tmp_path / "lucene.bmp").exists()
    first.kill()
    first.communicate()
    found, message = second.communicate(timeout=PATIENCE)
    assert second.returncode == 0, message
    assert found == "600\n"
    # the lock file is empty and stays: its lock was the first process's, and ended with it
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lucene.bmp.lock", "lucene", "lucene.bmp"]
    assert (tmp_path / ".lucene.bmp.lock").stat().st_size == 0
    assert children
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes()
                             for pid in children))
