"""``bmp-plugin info``: what an index holds and where it came from."""
from __future__ import annotations

import argparse
import json
from typing import Any

from .arguments import add_command


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = add_command(
        commands, "info", "show what a block-max index holds and where it came from", "bmp-plugin info passages.bmp"
    )
    parser.add_argument("index", metavar="INDEX", help="block-max index")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print; returns the exit status."""
    from bmp_plugin import BmpIndex

    index = BmpIndex.open(args.index)
    manifest = index.manifest
    known: dict[str, Any] = {
        "path": str(index.path),
        "num_docs": index.num_docs,
        "num_terms": index.num_terms,
        "num_postings": index.num_postings,
        "size_bytes": index.size_bytes,
        "block_size": manifest["block_size"],
        "reorder": manifest["reorder"],
        "source": manifest["source"],
        "created_with": manifest["created_with"],
    }
    if getattr(args, "json", False):
        print(json.dumps(known, indent=1, ensure_ascii=False))
        return 0
    source = known["source"]
    size, postings = known["size_bytes"], known["num_postings"]
    rows = {
        "index": known["path"],
        "documents": f"{known['num_docs']:,}",
        "terms": f"{known['num_terms']:,}",
        "postings": f"{postings:,}",
        "size": f"{size / 1e6:,.1f} MB ({size / max(postings, 1):.2f} bytes a posting)",
        "block size": known["block_size"],
        "reorder": known["reorder"],
        "source": f"{source['kind']}, {source['path']}",
        "source documents": f"{source['num_docs']:,}",
        "source details": ", ".join(f"{name} {value}" for name, value in source["details"].items()) or "-",
        "fingerprint": source["fingerprint"],
        "created with": _flat(known["created_with"]),
    }
    for name, value in rows.items():
        print(f"{name:<18}{value}")
    return 0


def _flat(value: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in value.items()) if isinstance(value, dict) else str(value)
