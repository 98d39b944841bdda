"""``python -m bmp_plugin.swap MODULE ...``: runs one of Pyserini's modules with ``BmpImpactSearcher`` as its impact searcher.

This is for modules that import ``LuceneImpactSearcher`` themselves, such as the REST and MCP servers:
``python -m bmp_plugin.swap pyserini.server.rest --config indexes.yaml``. The module runs unchanged, with its own arguments.
"""
from __future__ import annotations

import importlib.util
import runpy
import sys
from collections.abc import Sequence

UNUSABLE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the module; returns the exit status: its own, or 2 after one line on standard error."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: python -m bmp_plugin.swap MODULE [ARGUMENT ...]\n\n"
              "Runs a module of Pyserini's that searches impact indexes with BmpImpactSearcher.\n\n"
              "example: python -m bmp_plugin.swap pyserini.server.rest --config indexes.yaml --port 8081")
        return 0 if arguments else UNUSABLE
    from .errors import BmpError

    try:
        from bmp_plugin.adapters.pyserini import BmpImpactSearcher, replace_searcher
    except BmpError as error:
        print(f"bmp-plugin: error: {error}", file=sys.stderr)
        return UNUSABLE
    if not _is_there(arguments[0]):
        print(f"bmp-plugin: error: {arguments[0]}: there is no such module", file=sys.stderr)
        return UNUSABLE
    saved = sys.argv
    sys.argv = [arguments[0], *arguments[1:]]
    try:
        with replace_searcher(BmpImpactSearcher):
            runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package in ("", "pyserini", "bmp_plugin", arguments[0].partition(".")[0]):
            raise
        install = "'bmp-plugin[server]'" if package == "faiss" else package.replace("_", "-")
        print(f"bmp-plugin: error: {arguments[0]}: needs {package}, which Pyserini does not install: pip install {install}",
              file=sys.stderr)
        return UNUSABLE
    finally:
        sys.argv = saved
    return 0


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ModuleNotFoundError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
