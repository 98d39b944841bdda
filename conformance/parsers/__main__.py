"""Fuzzes a parser: atheris (libFuzzer) mutates files, and an independent parser tells the right result.

    python -m bmp_plugin.conformance.parsers ciff --seconds 600
    python -m bmp_plugin.conformance.parsers topics --file crash-0123

NAME is one of: {names}; or `all`, one after the other, for the given time each. Needs `pip install atheris`; kernels run
with bounds checks. Memory is limited to 2 GiB and an input to 60 seconds. A file that fails is written to --output, to be
kept as `seeds/NAME/found-...` once the parser is fixed. Exit status: 0 nothing found, 1 something, 2 unusable input.
"""
from __future__ import annotations

import argparse
import importlib.util
import os
import pkgutil
import re
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Sequence
from importlib.abc import InspectLoader
from pathlib import Path

import bmp_plugin
from bmp_plugin import adapters

from .harness import NAMES, harness, seeds

CHECKED = "NUMBA_BOUNDSCHECK"
INSTRUMENTED = ["bmp_plugin.adapters", "bmp_plugin.trec.topics", "bmp_plugin.trec.run_file", "bmp_plugin.trec.evaluation",
                "bmp_plugin._internal.compressed", "bmp_plugin.trec.run_comparison", "bmp_plugin.trec.rank_differences", "json"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser("python -m bmp_plugin.conformance.parsers", description=(__doc__ or "").format(
        names=", ".join(NAMES)), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="NAME", choices=[*NAMES, "all"], help="the parser")
    parser.add_argument("--seconds", type=int, default=60, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random numbers; default: %(default)s")
    parser.add_argument("--corpus", type=Path, metavar="FOLDER", help="keep inputs that reached new code (default: discard)")
    parser.add_argument("--output", type=Path, default=Path(), metavar="FOLDER", help="for files that fail; default: here")
    parser.add_argument("--file", type=Path, help="try this file instead")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.file is not None and (options.name == "all" or not options.file.is_file()):
        parser.error("--file: give a file that is there, and the name of its parser")
    if options.file is not None:
        return _one(options.name, options.file)
    if options.here:
        _fuzz(options)
    return max(_child(name, options) for name in (NAMES if options.name == "all" else [options.name]))


def _one(name: str, file: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = harness(name).examine(file.read_bytes(), Path(folder))
        except Exception:                     # any exception is a finding
            traceback.print_exc()
            return 1
    print("refused" if found is None else f"read: {str(found)[:200]}")
    return 0


def _child(name: str, options: argparse.Namespace) -> int:
    """Runs the fuzzer in a separate process, because libFuzzer ends its process."""
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("parsers: error: atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    command = [sys.executable, "-m", __package__ or "", name, "--here", "--seconds", str(options.seconds), "--seed",
               str(options.seed), "--output", str(options.output)]
    command += ["--corpus", str(options.corpus)] if options.corpus else []
    with tempfile.TemporaryDirectory() as folder:          # a separate cache: bounds checks are compiled in
        environment = os.environ | {CHECKED: "1", "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", folder)}
        ended = subprocess.run(command, env=environment, check=False).returncode
    print(f"{name}: {options.seconds} s, {'nothing' if ended == 0 else 'SOMETHING'} found", flush=True)
    return int(ended != 0)


def _fuzz(options: argparse.Namespace) -> None:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED, exclude=_compiled()):
        found = harness(options.name)
    with tempfile.TemporaryDirectory(prefix="parsers-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        start, work = Path(folder, "seeds"), Path(folder, "work")
        corpus = (options.corpus / options.name) if options.corpus else Path(folder, "corpus")
        for place in (start, work, corpus, options.output):
            place.mkdir(parents=True, exist_ok=True)
        for name, data in seeds(options.name).items():
            (start / name).write_bytes(data)
            found.examine(data, work)                       # compiles the kernels
        atheris.Setup([sys.argv[0], str(corpus), str(start), f"-max_total_time={options.seconds}", f"-seed={options.seed}",
                       "-rss_limit_mb=2048", "-timeout=60", "-max_len=20000", "-verbosity=1", "-print_final_stats=1",
                       f"-artifact_prefix={options.output}/{options.name}-"],
                      lambda data: found.examine(data, work))
        atheris.Fuzz()


def _compiled() -> list[str]:
    """Returns the modules with kernels: numba cannot compile functions that atheris has instrumented."""
    names = [module.name for package in (bmp_plugin, adapters)
             for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return [name for name in names if re.search(r"^@kernel$", _source(name), re.MULTILINE)]


def _source(name: str) -> str:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert isinstance(spec.loader, InspectLoader)
    return spec.loader.get_source(name) or ""


if __name__ == "__main__":
    sys.exit(main())
