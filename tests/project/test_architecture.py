"""ARCHITECTURE.md: files that it links are there, functions that it names are in them, and the layers are those of the tool."""
from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
LINKS = re.findall(r"\[`?([\w. ]+)`?\]\(([^)#]+)\)", TEXT)


@pytest.mark.parametrize(("name", "path"), sorted(set(LINKS)))
def test_links(name: str, path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    if f"[`{name}`]({path})" in TEXT:
        assert re.search(rf"(\bdef|\bclass) {name}\b|^{name}\b.* = ", text, re.MULTILINE), f"{path} does not define {name}"


def test_both_ways_have_ten_stops() -> None:
    ways = re.findall(r"\n## The way of [^\n]*\n(.*?)(?=\n## )", TEXT, re.DOTALL)
    assert [re.findall(r"^(\d+)\. ", way, re.MULTILINE) for way in ways] == [[str(stop) for stop in range(1, 11)]] * 2


def test_rooms_are_folders() -> None:
    rows = re.findall(r"^\| (`.*?) \| ", TEXT, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`([\w/]+/)`", row)}
    assert len(named) > 10
    rooms = {path.name for path in (ROOT / "bmp_plugin").iterdir() if path.is_dir() and not path.name.startswith("__pycache__")}
    assert {f"bmp_plugin/{room}/" for room in rooms - {"adapters", "conformance", "demo"}} <= named
    assert all((ROOT / name).is_dir() for name in named if "/" in name.rstrip("/") or (ROOT / name).exists())


def test_layers_are_those_of_the_tool() -> None:
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    layers = [set(re.findall(r"[\w.]+", re.sub(r"bmp_plugin\.(conformance\.)?", "", layer))) for layer in contract["layers"]]
    drawn = TEXT[TEXT.index("    commands of conformance"):TEXT.index("\nThe core, from")].strip().split("\n")
    assert [set(line.partition(":")[0].replace(",", " ").split()) for line in drawn[1:]] == layers[2:]


def test_every_module_has_a_name_of_its_own() -> None:
    """Names say what is in them without their folder."""
    names: dict[str, list[Path]] = {}
    for folder in ("bmp_plugin", "adapters", "conformance"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.stem not in ("__init__", "__main__"):
                names.setdefault(path.stem, []).append(path.resolve())
    assert {name: paths for name, paths in names.items() if len(set(paths)) > 1} == {}
