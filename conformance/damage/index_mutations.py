"""Random mutations of index directories: of their files, or of what a manifest states."""
from __future__ import annotations

import json
import math
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bmp_plugin.index.manifest import MANIFEST

HUGE = 2**42
NASTY: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2, 7, 255, 2**16, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63, 2**64, 10**300, -2**63,
    -0.5, 0.0, 3.0, 1e-320, 1e308, float("nan"), float("inf"), float("-inf"), "", "0", "x" * 5000, "../x", "../../etc/passwd",
    "/etc/passwd", "/dev/zero", "http://127.0.0.1:9/x", "nothing://x", "\0", "a\nb", "\ud800", "é", ".", "0" * 64, "f" * 64, [],
    [1], {}, {"a": 1}, [[[[]]]], "docid", "none")
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def mutate(folder: Path, other: Path, rng: random.Random) -> str:
    """Damages the index in a folder; ``other`` is a sound one of the same kind. Returns a description of the damage."""
    manifests = sorted(folder.rglob(MANIFEST))
    files = sorted(path for path in folder.rglob("*.bin"))
    done = []
    for _ in range(1 if rng.random() < 0.8 else rng.randint(2, 4)):
        if rng.random() < 0.35:
            path = rng.choice(manifests)
            done.append(_named(path, folder, rng.choice(_OF_MANIFESTS)(path, rng)))
        else:
            path = rng.choice(files if rng.random() < 0.95 else manifests)
            change = rng.choice(_OF_FILES)
            done.append(_named(path, folder, change(path, other / path.relative_to(folder), files, rng)))
        if not all(path.is_file() and not path.is_symlink() for path in [*manifests, *files]):
            break                                              # a link could lead out of the folder
    return ", ".join(done)


def _named(path: Path, folder: Path, what: str) -> str:
    return f"{path.relative_to(folder)}: {what}"


def read(path: Path) -> bytearray:
    """Returns a file's content, or nothing if it is not a file or gigantic."""
    return bytearray(path.read_bytes()) if path.is_file() and path.stat().st_size < 2**26 else bytearray()


def _flip(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    data = read(path)
    count = rng.choice((1, 1, 2, 8))
    for _unused in range(count if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    return f"{count} bits flipped"


def _set_numbers(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    data = read(path)
    width, value = rng.choice((1, 2, 4, 8)), rng.choice(EXTREMES)
    for _unused in range(rng.choice((1, 1, 3, 20))):
        if len(data) >= width:
            at = rng.randrange(len(data) // width) * width
            data[at:at + width] = (value % 2**(8 * width)).to_bytes(width, "little")
    path.write_bytes(data)
    return f"numbers of {width} bytes set to {value}"


def _nudge(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    data = read(path)
    width, by = rng.choice((1, 2, 4, 8)), rng.choice((-2, -1, 1, 2, 100))
    if len(data) >= width:
        at = rng.randrange(len(data) // width) * width
        value = int.from_bytes(data[at:at + width], "little") + by
        data[at:at + width] = (value % 2**(8 * width)).to_bytes(width, "little")
    path.write_bytes(data)
    return f"a number of {width} bytes moved by {by}"


def _truncate(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    data = read(path)
    length = rng.choice((0, len(data) // 2, max(len(data) - 1, 0), max(len(data) - 8, 0), rng.randrange(len(data) + 1)))
    path.write_bytes(data[:length])
    return f"cut to {length} bytes"


def _extend(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    length = rng.choice((1, 4, 8, 4096, HUGE))
    with open(path, "ab") as file:
        if length == HUGE:
            file.truncate(HUGE)
        else:
            file.write(rng.choice((b"\0", b"\xff", b"x")) * length)
    return f"{length} bytes added"


def _fill(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    data = read(path)
    start = rng.choice((0, rng.randrange(len(data) + 1)))
    end = rng.choice((len(data), rng.randrange(start, len(data) + 1)))
    value = rng.choice((0, 0, 255, 1))
    data[start:end] = bytes([value]) * (end - start)
    path.write_bytes(data)
    return f"filled with {value} from {start} to {end}"


def _shuffle(path: Path, _: Path, __: list[Path], rng: random.Random) -> str:
    data = read(path)
    at, by = rng.randrange(len(data) + 1), rng.choice((1, 2, 4, 8, 64))
    path.write_bytes(data[:at] + data[at + by:] + data[at:at + by])
    return f"{by} bytes moved from {at} to the end"


def _swap(path: Path, _: Path, files: list[Path], rng: random.Random) -> str:
    same = [file for file in files if file.stat().st_size == path.stat().st_size]
    other = rng.choice(same if same and rng.random() < 0.5 else files)
    mine, theirs = read(path), read(other)
    path.write_bytes(theirs)
    other.write_bytes(mine)
    return f"swapped with {other.name}"


def _take(path: Path, other: Path, _: list[Path], rng: random.Random) -> str:
    shutil.copyfile(other, path)
    return "taken from another index"


def _remove(path: Path, other: Path, _: list[Path], rng: random.Random) -> str:
    path.unlink()
    kind = rng.choice(("nothing", "folder", "pipe", "dangling", "itself", "device", "other"))
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind != "nothing":
        path.symlink_to({"dangling": "nowhere", "itself": path.name, "device": "/dev/zero", "other": str(other)}[kind])
    return f"replaced by: {kind}"


def _change_entry(path: Path, rng: random.Random) -> str:
    manifest = _json(path)
    places = _places(manifest)
    if not places:
        return "is no manifest any more"
    owner, key = rng.choice(places)
    what, value = rng.choice(("set", "set", "set", "remove", "rename", "nudge", "double")), rng.choice(NASTY)
    if what == "remove":
        del owner[key]
    elif what == "rename" and isinstance(owner, dict):
        owner[value if isinstance(value, str) else "renamed"] = owner.pop(key)
    elif what == "nudge" and isinstance(owner[key], int):
        owner[key] += rng.choice((-1, 1, 256))
    elif what == "double" and isinstance(owner, list):
        owner.append(owner[key])
    else:
        what, owner[key] = f"set to {value!r:.40}", value
    _write_json(path, manifest)
    return f"entry {key!r:.40} {what}"


def _swap_entries(path: Path, rng: random.Random) -> str:
    manifest = _json(path)
    places = _places(manifest)
    if len(places) < 2:
        return "is no manifest any more"
    (a, i), (b, j) = rng.sample(places, 2)
    a[i], b[j] = b[j], a[i]
    try:
        _write_json(path, manifest)
    except (ValueError, RecursionError):            # one in the other
        return "left as it is"
    return f"entries {i!r} and {j!r} swapped"


def _grow(path: Path, rng: random.Random) -> str:
    """Makes a count and everything that it counts gigantic, in sparse files that take no space."""
    from bmp_plugin.index.layout import Geometry, dtype, shapes

    manifest = _json(path)
    try:
        name = rng.choice(sorted(manifest["counts"]))
        manifest["counts"][name] = rng.choice((2**26, 2**31 - 1, 2**40))
        if name in manifest:
            manifest[name] = manifest["counts"][name]
        geometry = Geometry(manifest["counts"]["num_docs"], manifest["block_size"])
        for array, shape in shapes(manifest["counts"], geometry).items():
            os.truncate(path.with_name(f"{array}.bin"), math.prod(shape) * dtype(array).itemsize)
    except (KeyError, TypeError, OSError, OverflowError, ValueError):
        return "left as it is"
    _write_json(path, manifest)
    return f"{name} grown to {manifest['counts'][name]}, files alike"


def _nonsense(path: Path, rng: random.Random) -> str:
    data = bytes(read(path))
    texts: dict[str, Callable[[], bytes]] = {
        "nothing": lambda: b"", "deep": lambda: b"[" * 10**6, "deep objects": lambda: b'{"a":' * 10**5,
        "deep source": lambda: data.replace(b'"details": {', b'"details": {"a": ' + b"[" * 10**5 + b"]" * 10**5 + b", ", 1),
        "lists": lambda: b'{"format": "bmp-plugin block-max index", "a": [' + b"[]," * 5 * 10**6 + b"[]]}",
        "gigantic": lambda: data + b" " * 2**25, "byte order mark": lambda: b"\xef\xbb\xbf" + data,
        "UTF-16": lambda: data.decode("utf-8", "replace").encode("utf-16"), "spaces": lambda: data + b" ",
        "shards": lambda: b'{"format": "bmp-plugin block-max index, sharded", "version": 1, "shards": ['
                          + b'{"name": "a"},' * 10**6 + b"{}]}",
        "other format": lambda: data.replace(b"block-max index", b"block-max index, sharded", 1),
        "long number": lambda: data.replace(b": 1", b": " + b"1" * 10**5, 1), "null": lambda: b"null",
        "twice": lambda: data.replace(b"{", b'{"num_docs": 1, ', 1)}
    name = rng.choice(sorted(texts))
    path.write_bytes(texts[name]())
    return name


def _json(path: Path) -> Any:
    try:
        return json.loads(read(path))
    except (ValueError, OSError, RecursionError):
        return None


def _write_json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Returns every entry of nested dicts and lists: (dict or list, key)."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]


_OF_FILES = (_flip, _flip, _set_numbers, _set_numbers, _nudge, _nudge, _truncate, _extend, _fill, _shuffle, _swap, _take,
             _remove)
_OF_MANIFESTS = (_change_entry, _change_entry, _change_entry, _change_entry, _swap_entries, _grow, _nonsense)
