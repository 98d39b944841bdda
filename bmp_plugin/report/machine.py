"""Description of the machine and the software of a measurement, for its readers."""
from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

PACKAGES = ("bmp-plugin", "numpy", "numba", "llvmlite", "pyserini", "bmp", "pyseismic-lsr", "pyterrier-pisa")


def machine() -> dict[str, str | int]:
    """Returns processor, number of cores, memory in bytes (0 where the system does not tell), and operating system."""
    return {"processor": _processor(), "cores": os.cpu_count() or 0,
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0,
            "system": f"{platform.system()} {platform.release()}"}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Returns the versions of Python, relevant packages and ``more``, if installed; in a checkout, the commit too."""
    found = {"python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True,
                            text=True, check=False) if _in_checkout() else None
    if commit is not None and commit.returncode == 0:
        found["commit"] = commit.stdout.strip()
    return found


def licences(distributions: Sequence[str]) -> dict[str, str]:
    """Returns the licences of distributions, as each states its own; those that are not installed are left out."""
    found = {}
    for name in distributions:
        try:
            stated = metadata.metadata(name).json
        except metadata.PackageNotFoundError:
            continue
        classified = [one.split("::")[-1] for one in stated.get("classifier", ()) if one.startswith("License ::")]
        text = str(stated.get("license", "")).strip().splitlines()              # some have the whole text there
        candidates = [stated.get("license_expression"), *classified, *text, "not stated"]
        found[name] = next(str(one).strip() for one in candidates if one)
    return found


def _in_checkout() -> bool:
    return (Path(__file__).parents[2] / ".git").exists()


def command(module: str, arguments: Sequence[str]) -> str:
    """Returns the command line, with paths cut to their last names, because folders are private."""
    return " ".join(["python -m", module, *(_without_folders(argument) for argument in arguments)])


def _without_folders(argument: str) -> str:
    return Path(argument).name if os.sep in argument else argument
