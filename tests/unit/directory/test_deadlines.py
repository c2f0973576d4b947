"""When an answer is due (directory.md, section 5), most of all where the clocks change."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.deadlines import deadline, due_at
from directory.instants import parse_instant

BELGRADE, BUCHAREST, ISTANBUL, UTC = map(ZoneInfo, ("Europe/Belgrade", "Europe/Bucharest", "Europe/Istanbul", "UTC"))


@pytest.mark.parametrize(
    ("subject", "urgency", "access", "rule"),
    [
        ("police_information", "urgent", "direct", "PT8H"),
        ("police_information", "urgent", "indirect", "P3D"),
        ("police_information", "routine", "direct", "P7D"),
        ("police_information", "routine", "indirect", "P7D"),
        ("wanted_worldwide", "urgent", "direct", "PT8H"),
        ("fiu", "urgent", "indirect", "P3D"),
        ("sis_alert", "urgent", "direct", "PT12H"),
        ("sis_alert", "routine", "indirect", "PT12H"),
        ("mla", "urgent", "direct", None),
        ("mla", "routine", "indirect", None),
    ],
)
def test_which_clock_runs(subject, urgency, access, rule):
    found = deadline(subject, urgency, access, dt.datetime(2027, 2, 1, tzinfo=dt.UTC), BELGRADE, both_eu=False)
    assert (found.rule if found else None) == rule


@pytest.mark.parametrize(("both_eu", "profile"), [(True, "eu_2023_977"), (False, "aligned")])
def test_by_which_profile(both_eu, profile):
    at = dt.datetime(2027, 2, 1, tzinfo=dt.UTC)
    found = deadline("police_information", "routine", "direct", at, BELGRADE, both_eu=both_eu)
    assert found is not None
    assert found.profile == profile


@pytest.mark.parametrize(
    ("rule", "zone", "received", "due"),
    [
        ("PT8H", BELGRADE, "2027-02-09T10:00:00+01:00", "2027-02-09T18:00:00+01:00"),
        ("PT8H", BELGRADE, "2027-03-27T22:00:00+01:00", "2027-03-28T07:00:00+02:00"),  # an hour is skipped
        ("PT8H", BELGRADE, "2027-10-30T22:00:00+02:00", "2027-10-31T05:00:00+01:00"),  # an hour comes twice
        ("PT12H", BELGRADE, "2027-10-30T22:00:00+02:00", "2027-10-31T09:00:00+01:00"),
        ("PT8H", ISTANBUL, "2027-03-27T22:00:00+01:00", "2027-03-28T08:00:00+03:00"),  # no change there
        ("PT8H", BELGRADE, "2027-10-31T02:30:00+02:00", "2027-10-31T09:30:00+01:00"),
        ("P7D", BUCHAREST, "2027-10-27T16:00:00+03:00", "2027-11-03T16:00:00+02:00"),
        ("P3D", BELGRADE, "2027-03-26T10:00:00+01:00", "2027-03-29T10:00:00+02:00"),
        ("P3D", BELGRADE, "2027-03-25T02:30:00+01:00", "2027-03-28T03:30:00+02:00"),  # that time does not exist
        ("P3D", BELGRADE, "2027-10-28T02:30:00+02:00", "2027-10-31T02:30:00+02:00"),  # it comes twice: the first
        ("P7D", BELGRADE, "2027-10-31T02:30:00+01:00", "2027-11-07T02:30:00+01:00"),
        ("P7D", ISTANBUL, "2027-02-25T23:30:00+01:00", "2027-03-05T01:30:00+03:00"),  # the asker's day is another
        ("P3D", UTC, "2028-02-27T12:00:00Z", "2028-03-01T12:00:00+00:00"),
    ],
)
def test_when_it_ends(rule, zone, received, due):
    assert due_at(rule, parse_instant(received), zone).isoformat() == due


def test_a_rule_that_is_none_is_refused():
    with pytest.raises(KeyError):
        due_at("P1Y", dt.datetime(2027, 2, 1, tzinfo=dt.UTC), BELGRADE)


_INSTANTS = st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))
_ZONES = st.sampled_from([BELGRADE, BUCHAREST, ISTANBUL, ZoneInfo("Europe/Chisinau"), ZoneInfo("Asia/Kathmandu")])


@given(_INSTANTS, _ZONES)
def test_hours_are_elapsed_whatever_the_clocks_do(received, zone):
    assert due_at("PT8H", received, zone) - received == dt.timedelta(hours=8)


@given(_INSTANTS, _ZONES, st.sampled_from([("P3D", 3), ("P7D", 7)]))
def test_days_end_at_the_same_time_of_day_but_for_a_time_that_does_not_exist(received, zone, term):
    rule, days = term
    local = received.astimezone(zone).replace(tzinfo=None)
    due = due_at(rule, received, zone).replace(tzinfo=None)
    assert due - local in (dt.timedelta(days=days), dt.timedelta(days=days, hours=1))
