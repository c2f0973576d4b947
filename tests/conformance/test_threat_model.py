"""Every module and test that the threat model cites is there, so that its claims can be followed."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "threat-model.md"
TEXT = PAGE.read_text(encoding="utf-8")
PLACES = sorted(set(re.findall(r"`((?:directory|federation|sync|web|tests)/[\w./]+(?:::\w+)?)`", TEXT)))
CASES = sorted(set(re.findall(r"\b[CETXF]\d\d\b", TEXT)))
ATTACKERS = (
    """lies relay network operating federation anchor domain database copied clock flooding curious careless crash"""
)


@cache
def _tests_of(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return frozenset(
        node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@cache
def _all_cases() -> frozenset[str]:
    paths = [path for name in ("abuse", "faults") for path in (ROOT / "tests" / name).glob("test_*.py")]
    return frozenset(name for path in paths for name in _tests_of(path))


@pytest.mark.parametrize("place", PLACES)
def test_a_place_that_is_cited_exists(place: str) -> None:
    name, _, test = place.partition("::")
    path = ROOT / name
    assert path.exists(), f"{name} is cited and not there"
    assert not test or test in _tests_of(path), f"{name} has no {test}"


@pytest.mark.parametrize("case", CASES)
def test_a_case_that_is_cited_is_tried(case: str) -> None:
    assert any(f"_{case.lower()}_" in name for name in _all_cases()), f"no test tries {case}"


@pytest.mark.parametrize("word", ATTACKERS.split())
def test_every_attacker_has_a_part(word: str) -> None:
    headings = re.findall(r"^## (.+)$", TEXT, re.MULTILINE)
    assert any(word in heading.lower() for heading in headings)


def test_every_row_names_a_defence_and_a_proof() -> None:
    rows = [line for line in TEXT.splitlines() if line.startswith("| ") and line.count("|") == 5]
    rows = [row for row in rows if not row.startswith(("| ---", "| they can"))]
    assert len(rows) > 40
    for row in rows:
        _, _, defence, proof = [part.strip() for part in row.strip("|").split("|")]
        assert re.search(r"`(directory|federation|sync|web)/", defence), f"no module: {row}"
        assert re.search(r"`tests/|\b[CETXF]\d\d\b", proof), f"no proof: {row}"
