"""The guarantees of SECURITY.md and RELIABILITY.md are tested: the tests that they name exist."""
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("name", "least"), [("SECURITY.md", 12), ("RELIABILITY.md", 20)])
def test_named_tests_are_there(name, least):
    here = {path.stem: set(re.findall(r"def (test_\w+)", path.read_text())) for path in (ROOT / "tests").rglob("test_*.py")}
    text = (ROOT / name).read_text()
    named = set(re.findall(r"`(?:tests/(?:\w+/)?)?(test_\w+)\.py::(test_\w+)`", text))
    alone = set(re.findall(r"`(?:::)?(test_\w+)`", text)) - set(here)
    assert len(named) + len(alone) >= least
    assert [one for one in named if one[1] not in here[one[0]]] == []
    assert alone - set.union(*here.values()) == set()
