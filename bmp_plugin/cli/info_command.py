"""``bmp-plugin info``: shows the contents and the origin of an index."""
from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from .arguments import add_command, add_json, print_json, wants_json

if TYPE_CHECKING:
    from .. import BmpIndex
    from ..sharded.sharded_index import ShardedIndex


def add_parser(commands: Any) -> None:
    """Adds the command."""
    parser = add_command(
        commands, "info", "show the contents and the origin of a block-max index", "bmp-plugin info passages.bmp"
    )
    parser.add_argument("index", metavar="INDEX", help="block-max index, sharded or not: path or URL")
    add_json(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Prints the description; returns the exit status."""
    from ..sharded.sharded_index import open_either

    known = described(open_either(args.index))
    if wants_json(args):
        print_json(known)
        return 0
    for name, value in _rows(known).items():
        print(f"{name:<18}{value}")
    return 0


def described(index: BmpIndex | ShardedIndex) -> dict[str, Any]:
    """Describes an index, for ``--json`` here and where an index is built."""
    from .. import BmpIndex

    manifest = index.manifest
    known: dict[str, Any] = {
        "path": str(index.path),
        "num_docs": index.num_docs,
        "num_terms": index.num_terms,
        "num_postings": index.num_postings,
        "size_bytes": index.size_bytes,
        "source": manifest["source"],
        "created_with": manifest["created_with"],
    }
    if isinstance(index, BmpIndex):
        known |= {"block_size": manifest["block_size"], "reorder": manifest["reorder"]}
    else:
        _ = index.arrays          # validates them, quickly: sizes alone would not reveal files of another manifest
        known |= {"order": manifest["order"], "shards": manifest["shards"]}
    return known


def _rows(known: dict[str, Any]) -> dict[str, Any]:
    source = known["source"]
    size, postings = known["size_bytes"], known["num_postings"]
    rows = {
        "index": known["path"],
        "documents": f"{known['num_docs']:,}",
        "terms": f"{known['num_terms']:,}",
        "postings": f"{postings:,}",
        "size": f"{size / 1e6:,.1f} MB ({size / max(postings, 1):.2f} bytes per posting)",
    }
    if "shards" in known:
        rows["ties"] = f"by {known['order']['ties']}{', adjusted' if known['order']['adjust_ties'] else ''}"
    else:
        rows |= {"block size": known["block_size"], "reorder": known["reorder"]}
    rows |= {
        "source": f"{source['kind']}, {source['path']}",
        "source documents": f"{source['num_docs']:,}",
        "source details": ", ".join(f"{name} {value}" for name, value in source["details"].items()) or "-",
        "fingerprint": source["fingerprint"],
        "created with": _flat(known["created_with"]),
    }
    for shard in known.get("shards", []):
        rows[shard["name"]] = (
            f"{shard['path']}: {shard['num_docs']:,} documents from {shard['first_lucene_docid']:,} on,"
            f" {shard['num_postings']:,} postings, {shard['num_bytes'] / 1e6:,.1f} MB"
        )
    return rows


def _flat(value: Any) -> str:
    return ", ".join(f"{name} {version}" for name, version in value.items()) if isinstance(value, dict) else str(value)
