"""Recomputation of checksums after damage, as an attacker would do it."""
from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from bmp_plugin.index.manifest import MANIFEST, write_manifest

from .index_mutations import read


def reseal(folder: Path) -> bool:
    """Sets all checksums of an index, and of a sharded one's shards, to those of the files; returns False if it cannot."""
    shards = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    done = [_reseal_one(shard) for shard in shards]
    return _reseal_one(folder) and all(done)


def _reseal_one(folder: Path) -> bool:
    try:
        manifest = json.loads(read(folder / MANIFEST))
        _set_checksums(folder, manifest)
        write_manifest(folder, manifest)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return False
    return True


def _set_checksums(folder: Path, manifest: dict[str, Any]) -> None:
    for name, entry in manifest["arrays"].items():
        path = folder / f"{name}.bin"
        if isinstance(entry, dict) and (data := read(path)):
            entry["sha256"] = hashlib.sha256(data).hexdigest()
    for shard in manifest.get("shards", []):
        with suppress(OSError, TypeError, ValueError):
            if data := read(folder / shard["path"] / MANIFEST):
                shard["identity"] = hashlib.sha256(data).hexdigest()
