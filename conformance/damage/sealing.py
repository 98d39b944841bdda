"""Making damage look whole: what somebody would do who means harm."""
from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from bmp_plugin.index.manifest import MANIFEST, write_manifest


def reseal(folder: Path) -> bool:
    """Set all checksums of an index, and of a sharded one's shards, to those of the files; False if that makes no sense."""
    shards = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}"))
    done = [_reseal_one(shard) for shard in shards]
    return _reseal_one(folder) and all(done)


def _reseal_one(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():                # but a pipe, say, which would be waited for
        return False
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        _set_checksums(folder, manifest)
        write_manifest(folder, manifest)
    except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):
        return False
    return True


def _set_checksums(folder: Path, manifest: dict[str, Any]) -> None:
    for name, entry in manifest["arrays"].items():
        path = folder / f"{name}.bin"
        if isinstance(entry, dict) and path.is_file() and path.stat().st_size < 2**26:
            entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    for shard in manifest.get("shards", []):
        with suppress(OSError, TypeError, ValueError):
            manifest_of_shard = folder / shard["path"] / MANIFEST
            if manifest_of_shard.is_file():
                shard["identity"] = hashlib.sha256(manifest_of_shard.read_bytes()).hexdigest()
