"""Every case of the three groups has its test, and every test its case."""

import re
from collections import Counter
from pathlib import Path

from tests.abuse.case_list import CASES, GROUPS

_TEST = re.compile(r"^def test_([cet]\d\d)_", re.MULTILINE)


def test_every_case_is_tried() -> None:
    here = Path(__file__).parent
    tried = Counter(number.upper() for path in here.glob("test_*.py") for number in _TEST.findall(path.read_text()))
    assert CASES.keys() - tried.keys() == set()
    assert tried.keys() - CASES.keys() == set()
    assert {group: sum(case.startswith(group) for case in CASES) for group in GROUPS} == GROUPS
