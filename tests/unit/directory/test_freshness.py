"""How far what is shown can be relied on (directory.md, section 2)."""

import datetime as dt

import pytest

from directory.freshness import STATES, LogFacts, age_seconds, state, valid_until, verification
from directory.values import Unit
from tests.unit.directory.asking import unit

NOW = dt.datetime(2027, 2, 9, 9, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


def _facts(**members):
    return LogFacts(**{"issued_at": NOW - HOUR, "expires_at": NOW + HOUR, "last_result": "ok", **members})


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "fresh"),
        ({"last_result": None}, "fresh"),
        ({"last_result": "unreachable"}, "failing"),
        ({"last_result": "unreachable", "own": True}, "fresh"),
        ({"issued_at": NOW - 26 * HOUR}, "fresh"),
        ({"issued_at": NOW - 26 * HOUR - dt.timedelta(seconds=1)}, "stale"),
        ({"expires_at": NOW}, "stale"),
        ({"expires_at": NOW + dt.timedelta(seconds=1)}, "fresh"),
        ({"expires_at": None}, "fresh"),
        ({"issued_at": None}, "stale"),
        ({"expires_at": NOW, "own": True}, "stale"),
        ({"expires_at": NOW, "last_result": "unreachable"}, "stale"),
        ({"ended": True}, "stale"),
        ({"ended": True, "disputed": True}, "disputed"),
        ({"withholding": True, "expires_at": NOW}, "withholding"),
        ({"disputed": True, "withholding": True, "expires_at": NOW}, "disputed"),
    ],
)
def test_the_worst_state_wins(members, expected):
    assert state(_facts(**members), NOW) == expected
    assert expected in STATES


@pytest.mark.parametrize(("issued_at", "expected"), [(NOW - HOUR, 3600), (NOW + HOUR, 0), (None, None), (NOW, 0)])
def test_age(issued_at, expected):
    assert age_seconds(_facts(issued_at=issued_at), NOW) == expected


@pytest.mark.parametrize(
    ("members", "at", "expected"),
    [
        ({}, NOW, "verified"),  # the entry's own time counts
        ({}, NOW - dt.timedelta(days=91), "unverified"),
        ({}, None, "unverified"),
        ({"verified_at": "2027-02-01T00:00:00Z"}, None, "verified"),
        ({"verified_at": "2026-11-11T09:00:00Z"}, NOW, "unverified"),  # 90 days ago
        ({"verified_at": "2026-11-11T09:00:01Z"}, NOW, "verified"),
        ({"verified_at": "2026-11-12"}, NOW, "verified"),
        ({"valid_until": "2027-02-09"}, NOW, "verified"),  # a date holds to its end
        ({"valid_until": "2027-02-08"}, NOW, "unverified"),
        ({"valid_until": "2027-02-09T09:00:00Z"}, NOW, "unverified"),
        ({"verified_at": "2020-01-01T00:00:00Z", "valid_until": "2028-01-01"}, NOW, "verified"),
    ],
)
def test_a_units_own_confirmation(members, at, expected):
    assert verification(Unit.from_data("QB", "qb-a", unit("qb-a", "spoc", **members), 1, at), NOW) == expected


def test_until_when_nothing_says_is_unknown():
    assert valid_until(Unit.from_data("QB", "qb-a", unit("qb-a", "spoc"))) is None
