"""What a planner is shown before saving."""

import datetime as dt

import pytest

from directory.errors import InvalidInputError
from directory.rota import parse_rota
from directory.rota_review import Conflict, review
from directory.rota_schedule import Change, Shift


def at(text):
    return dt.datetime.fromisoformat(text).astimezone(dt.UTC)


def rota(members=("ana", "boris"), overrides=(), zone="Europe/Belgrade"):
    return parse_rota(
        {
            "time_zone": zone,
            "layers": [
                {"members": list(members), "start": "2026-01-05T08:00", "rotation": {"every": 1, "unit": "days"}}
            ],
            "overrides": [
                {"start": start, "end": end, "member": member, "replaces": replaces}
                for start, end, member, replaces in overrides
            ],
        },
        refuse_double_replacements=False,
    )


WINDOW = at("2026-01-05T07:00Z"), at("2026-01-09T07:00Z")


def test_nothing_to_remark_on():
    found = review(rota(), rota(), *WINDOW)
    assert (found.changes, found.gaps, found.idle_members, found.conflicts, found.clock_changes) == ((), (), (), (), ())


def test_changes_from_the_rota_before():
    absence = ("2026-01-05T12:00Z", "2026-01-06T12:00Z", "ceca", "ana")
    found = review(rota(), rota(overrides=[absence]), *WINDOW)
    assert found.changes == (Change(at("2026-01-05T12:00Z"), at("2026-01-06T07:00Z"), "ana", "ceca"),)


def test_a_new_rota_changes_everything():
    found = review(None, rota(["ana"]), *WINDOW)
    assert found.changes == (Change(*WINDOW, None, "ana"),)


def test_gaps():
    early = at("2026-01-05T00:00Z")
    found = review(None, rota(), early, WINDOW[1])
    assert found.gaps == (Shift(early, WINDOW[0], None),)


@pytest.mark.parametrize(
    ("members", "overrides", "expected"),
    [
        pytest.param("abcdef", [], ("e", "f"), id="their turn comes after the window"),
        pytest.param("ab", [("2026-01-05T07:00Z", "2026-01-09T07:00Z", "x", "a")], ("a",), id="always replaced"),
        pytest.param("ab", [("2026-01-05T08:00Z", "2026-01-05T09:00Z", "x", "b")], ("x",), id="replaces nobody there"),
        pytest.param("ab", [("2025-01-05T08:00Z", "2025-01-05T09:00Z", "x", None)], (), id="a stand-in of last year"),
        pytest.param("", [], (), id="nobody at all"),
    ],
)
def test_idle_members(members, overrides, expected):
    assert review(None, rota(members, overrides), *WINDOW).idle_members == expected


def test_conflicts_of_the_window_with_the_time_that_both_cover():
    overrides = [
        ("2026-01-06T08:00Z", "2026-01-06T20:00Z", "boris", "ana"),
        ("2026-01-06T12:00Z", "2026-01-06T23:00Z", "ceca", "ana"),
        ("2025-01-06T08:00Z", "2025-01-06T20:00Z", "boris", "ana"),
        ("2025-01-06T12:00Z", "2025-01-06T23:00Z", "ceca", "ana"),
    ]
    after = rota(overrides=overrides)
    found = review(None, after, *WINDOW)
    assert found.conflicts == (
        Conflict(after.overrides[0], after.overrides[1], at("2026-01-06T12:00Z"), at("2026-01-06T20:00Z")),
    )


@pytest.mark.parametrize(
    ("zone", "expected"),
    [("Europe/Belgrade", ("2026-03-29T01:00Z",)), ("Europe/Istanbul", ())],
)
def test_nights_on_which_the_clocks_of_the_rota_change(zone, expected):
    found = review(None, rota(zone=zone), at("2026-03-01T00:00Z"), at("2026-04-01T00:00Z"))
    assert found.clock_changes == tuple(at(change) for change in expected)


def test_a_window_that_ends_before_it_starts_is_refused():
    with pytest.raises(InvalidInputError, match="expected an end"):
        review(None, rota(), WINDOW[1], WINDOW[0])


def test_a_window_out_of_reach_is_refused():
    with pytest.raises(InvalidInputError, match="1800 to 2299"):
        review(None, rota(), WINDOW[0], dt.datetime(2300, 1, 1, tzinfo=dt.UTC))
