"""Everything here that writes: builds of all kinds, shards, exports and runs, each on a small collection."""
from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bmp_plugin import BmpIndex
from bmp_plugin.adapters.arrays import ArraySource
from bmp_plugin.errors import BmpError

DOCUMENTS, TERMS = 600, 40
State = dict[str, str] | None


@dataclass(frozen=True)
class Stage:
    """Something that writes ``output`` into a folder.

    Attributes
    ----------
    name : str
    output : str
    act : callable
        Writes into the folder it is given. Raises what the library raises.
    before : path or None
        What stands at ``output`` before: None for nothing, else it is copied there.
    beside : tuple of str
        What may stand beside ``output`` afterwards: an empty lock file.
    """

    name: str
    output: str
    act: Callable[[Path], object]
    before: Path | None = None
    beside: tuple[str, ...] = ()

    def prepare(self, folder: Path) -> None:
        """An empty folder but for what stands there before."""
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        place = folder / self.output
        if self.before is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            if self.before.is_dir():
                shutil.copytree(self.before, place)
            else:
                shutil.copy(self.before, place)


def state_of(path: Path) -> State:
    """The content of a file, or of all files of a folder; None if nothing is there."""
    if not os.path.lexists(path):
        return None
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def left_in(folder: Path, stage: Stage) -> list[str]:
    """What is in the folder and is not to be there, whatever it is called."""
    place = folder / stage.output
    kept = {place, *place.parents, *(place.with_name(name) for name in stage.beside)}
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path not in kept and place not in path.parents)


def source(seed: int = 0, documents: int = DOCUMENTS, **options: object) -> ArraySource:
    """Lists of every kind, from arithmetic alone."""
    rng = np.random.default_rng(seed)
    present = rng.random((documents, TERMS)) < rng.random(TERMS) ** 2
    columns = np.nonzero(present)[1]
    impacts = rng.integers(1, 300, len(columns))
    return ArraySource(np.concatenate([[0], np.cumsum(present.sum(1))]), columns.astype(np.uint16), impacts,
                       [f"d{number * 7919 % 10_007}-{seed}" for number in range(documents)],
                       [f"t{term}" for term in range(TERMS)], **options)  # type: ignore[arg-type]


def stages(inputs: Path, lucene: Path | None = None) -> list[Stage]:
    """All stages; what they read is made in ``inputs``. ``lucene`` is a Lucene index, which is copied, for the drop-in's."""
    inputs.mkdir(parents=True, exist_ok=True)
    old = BmpIndex.build(source(1), inputs / "old.bmp", progress=False).path
    index = BmpIndex.build(source(), inputs / "index.bmp", progress=False).path
    other = BmpIndex.build(source(2), inputs / "other.bmp", progress=False).path
    (inputs / "old.txt").write_text("an older run\n")
    with open(inputs / "vectors.jsonl", "w", encoding="utf-8") as file:
        for number in range(300):
            vector = {f"t{(number * 31 + i * i) % 97}": 1 + (number * i) % 90 for i in range(1, 9)}
            file.write(json.dumps({"id": f"d{number}", "contents": "", "vector": vector}) + "\n")
    with open(inputs / "topics.jsonl", "w", encoding="utf-8") as file:
        for number in range(64):
            file.write(json.dumps({"qid": str(number), "vector": {f"t{number % TERMS}": 2, f"t{number % 7}": 1}}) + "\n")

    def build(folder: Path, threads: int = 1, reorder: str = "none") -> None:
        given = source(budget=500, temp_dir=folder, threads=threads)
        try:
            BmpIndex.build(given, folder / "i.bmp", progress=False, threads=threads, reorder=reorder)
        finally:
            given.close()

    def shards(folder: Path, seed: int = 0) -> None:
        from bmp_plugin.sharded.build import build_shards

        build_shards(source(seed), folder / "i.bmp", 2, progress=False)

    def join(folder: Path) -> None:
        from bmp_plugin.sharded.join import join

        join([index, other], folder / "i.bmp", progress=False)

    def fetch(folder: Path) -> None:
        from bmp_plugin.sharded import fetch

        fetch.cache_folder = lambda: folder                 # in a process of its own
        fetch.local_copy(f"file://{index}")

    def export(folder: Path) -> None:
        from bmp_plugin.adapters.ciff_writing import write_ciff

        write_ciff(BmpIndex.open(index), folder / "i.ciff.gz", progress=False)

    def search(folder: Path) -> None:
        from bmp_plugin.cli import parser

        args = parser().parse_args(["search", "--index", str(index), "--topics", str(inputs / "topics.jsonl"), "--output",
                                    str(folder / "run.txt"), "--hits", "20", "--quiet"])
        args.run(args)

    identity = hashlib.sha256((index / "manifest.json").read_bytes()).hexdigest()
    found = [
        Stage("arrays", "i.bmp", build), Stage("arrays over an index", "i.bmp", build, old),
        Stage("two threads over an index", "i.bmp", lambda folder: build(folder, 2), old),
        Stage("bp over an index", "i.bmp", lambda folder: build(folder, 2, "bp"), old),
        Stage("leading", "i.bmp", lambda folder: build(folder, 1, "leading")),
        Stage("JSON over an index", "i.bmp", lambda folder: BmpIndex.build(inputs / "vectors.jsonl", folder / "i.bmp",
                                                                           progress=False), old),
        Stage("shards", "i.bmp", shards), Stage("join", "i.bmp", join),
        Stage("fetch", identity, fetch, None, (f".{identity}.lock",)),
        Stage("export", "i.ciff.gz", export, inputs / "old.txt"),
        Stage("run", "run.txt", search, inputs / "old.txt"),
    ]
    shards(inputs, 1)
    shutil.move(inputs / "i.bmp", inputs / "sharded.bmp")
    found.append(Stage("shards over shards", "i.bmp", shards, inputs / "sharded.bmp"))
    return found + ([] if lucene is None else _lucene_stages(inputs, lucene))


def _lucene_stages(inputs: Path, lucene: Path) -> list[Stage]:
    from bmp_plugin.adapters.sidecar_index import index_of

    copy = inputs / "lucene"
    shutil.copytree(lucene, copy)

    def first_use(folder: Path) -> None:
        index_of(copy, bmp_dir=folder / "i.bmp", progress=False)

    def index(folder: Path) -> None:
        BmpIndex.build(copy, folder / "i.bmp", progress=False)

    stale = inputs / "stale.bmp"
    BmpIndex.build(copy, stale, progress=False)
    manifest = json.loads((stale / "manifest.json").read_text())
    manifest["source"]["fingerprint"] = "sha256:of an earlier commit"
    (stale / "manifest.json").write_text(json.dumps(manifest))
    return [Stage("Lucene", "i.bmp", index), Stage("first use", "i.bmp", first_use, None, (".i.bmp.lock",)),
            Stage("use of a stale index", "i.bmp", first_use, stale, (".i.bmp.lock",))]


def opens(path: Path) -> str | None:
    """What is wrong with an index, sharded or not, that stands there; None if it is sound."""
    from bmp_plugin.sharded.index import open_either

    try:
        open_either(path).verify()
    except (BmpError, FileNotFoundError) as error:
        return str(error)
    return None
