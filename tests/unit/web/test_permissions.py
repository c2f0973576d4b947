"""Who may write what, as a table."""

import pytest

from directory.index import Directory
from directory.store import Record
from tests.web.building import NOW
from web.accounts import Principal
from web.errors import ForbiddenError
from web.permissions import check_may_write


def unit(slug: str, agency: str | None) -> Record:
    data = {"name": {"en": slug}, "kind": "spoc", "level": "central", "hours": "24/7", "area": ["ME"]}
    return Record("ME", f"unit/{slug}", "unit", 0, NOW, data | ({"agency": agency} if agency else {}), "live", 1)


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    directory.apply([unit("desk", "police"), unit("other", "police"), unit("customs", "customs"), unit("lone", None)])
    return directory


def principal(role: str, own: str | None) -> Principal:
    return Principal("somebody", frozenset({role}), own)


ALLOWED = [
    ("node_admin", None, "unit/desk", [{}]),
    ("node_admin", None, "rota/r", [{"unit": "customs"}]),
    ("rota_admin", "desk", "rota/r", [{"unit": "desk"}]),
    ("rota_admin", "desk", "rota/r", [{"unit": "other"}, {"unit": "desk"}]),
    ("rota_admin", "desk", "member/m", [{"unit": "other"}]),
    ("rota_admin", "lone", "member/m", [{"unit": "lone"}]),
    ("rota_admin", None, "outage/o", [{"channel": "siena"}]),
]
REFUSED = [
    ("officer", "desk", "rota/r", [{"unit": "desk"}]),
    ("duty", "desk", "outage/o", [{}]),
    ("auditor", "desk", "member/m", [{"unit": "desk"}]),
    ("rota_admin", "desk", "unit/desk", [{}]),
    ("rota_admin", "desk", "agency/police", [{}]),
    ("rota_admin", "desk", "participant/self", [{}]),
    ("rota_admin", "desk", "rota/r", [{"unit": "customs"}]),
    ("rota_admin", "desk", "rota/r", [{"unit": "customs"}, {"unit": "desk"}]),
    ("rota_admin", "desk", "rota/r", [{"unit": "desk"}, {"unit": "customs"}]),
    ("rota_admin", "desk", "member/m", [{}]),
    ("rota_admin", "desk", "member/m", [{"unit": "unknown"}]),
    ("rota_admin", "desk", "member/m", [{"unit": "lone"}]),
    ("rota_admin", None, "member/m", [{"unit": "desk"}]),
    ("rota_admin", "unknown", "member/m", [{"unit": "unknown"}]),
]


@pytest.mark.parametrize(("role", "own", "record", "versions"), ALLOWED)
def test_what_is_allowed(directory: Directory, role: str, own: str | None, record: str, versions: list[dict]) -> None:
    check_may_write(principal(role, own), directory, "ME", record, versions)


@pytest.mark.parametrize(("role", "own", "record", "versions"), REFUSED)
def test_what_is_refused(directory: Directory, role: str, own: str | None, record: str, versions: list[dict]) -> None:
    with pytest.raises(ForbiddenError):
        check_may_write(principal(role, own), directory, "ME", record, versions)
