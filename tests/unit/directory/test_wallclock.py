"""Local times as instants, above all on the nights on which clocks change."""

import datetime as dt
import zoneinfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory import wallclock
from directory.errors import InvalidInputError

UTC = dt.UTC
HOUR = dt.timedelta(hours=1)


def local(text):
    return dt.datetime.fromisoformat(text)


def instant(text):
    return dt.datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "time", "expected"),
    [
        pytest.param("Europe/Belgrade", "2026-01-05T08:00", "2026-01-05T07:00", id="winter"),
        pytest.param("Europe/Belgrade", "2026-07-05T08:00", "2026-07-05T06:00", id="summer"),
        pytest.param("Europe/Belgrade", "2026-03-29T01:59:59", "2026-03-29T00:59:59", id="before the gap"),
        pytest.param("Europe/Belgrade", "2026-03-29T02:00", "2026-03-29T01:00", id="start of the gap"),
        pytest.param("Europe/Belgrade", "2026-03-29T02:30", "2026-03-29T01:30", id="in the gap: 03:30 summer time"),
        pytest.param("Europe/Belgrade", "2026-03-29T03:00", "2026-03-29T01:00", id="after the gap"),
        pytest.param("Europe/Belgrade", "2026-10-25T02:00", "2026-10-25T00:00", id="first 02:00"),
        pytest.param("Europe/Belgrade", "2026-10-25T02:59:59", "2026-10-25T00:59:59", id="last of the first pass"),
        pytest.param("Europe/Belgrade", "2026-10-25T03:00", "2026-10-25T02:00", id="after both passes"),
        pytest.param("Europe/Sofia", "2026-03-29T03:30", "2026-03-29T01:30", id="Sofia changes at 03:00"),
        pytest.param("Europe/Istanbul", "2026-03-29T02:30", "2026-03-28T23:30", id="Istanbul does not change"),
        pytest.param("Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:45", id="half-hour gap"),
        pytest.param("Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", id="half-hour fold"),
        pytest.param("Pacific/Apia", "2011-12-30T10:00", "2011-12-30T20:00", id="a day that never was"),
        pytest.param("Europe/Belgrade", "1880-01-01T12:00", "1880-01-01T10:38", id="local mean time"),
    ],
)
def test_to_instant(zone, time, expected):
    assert wallclock.to_instant(local(time), zoneinfo.ZoneInfo(zone)) == instant(expected)


def test_to_instant_reads_the_first_occurrence_whatever_fold_says():
    zone = zoneinfo.ZoneInfo("Europe/Belgrade")
    twice = local("2026-10-25T02:30")
    assert wallclock.to_instant(twice.replace(fold=1), zone) == wallclock.to_instant(twice, zone)


def test_to_instant_refuses_a_time_that_has_an_offset():
    with pytest.raises(ValueError, match="without an offset"):
        wallclock.to_instant(instant("2026-01-05T08:00"), zoneinfo.ZoneInfo("Europe/Belgrade"))


@pytest.mark.parametrize("name", ["Europe/Belgrade", "Europe/Podgorica", "Europe/Skopje", "UTC", "Asia/Kathmandu"])
def test_load_zone_knows_iana_names(name):
    assert wallclock.load_zone(name).key == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Olympus",
        "Europe/belgrade",
        "Europe",
        "../../etc/passwd",
        "/etc/localtime",
        "Europe/../Europe/Belgrade",
        "right/Europe/Belgrade",
        "posix/Europe/Belgrade",
        "localtime",
        "Factory",
        "Europe/Belgrade\0",
        "GMT+1",
    ],
)
def test_load_zone_refuses_what_is_no_iana_name(name):
    with pytest.raises(ValueError, match="IANA time zone"):
        wallclock.load_zone(name)


@pytest.mark.parametrize(
    ("day", "start", "end", "expected"),
    [
        pytest.param("2026-01-05", "08:00", "16:00", ("2026-01-05T07:00", "2026-01-05T15:00"), id="by day"),
        pytest.param("2026-01-05", "20:00", "08:00", ("2026-01-05T19:00", "2026-01-06T07:00"), id="overnight"),
        pytest.param("2026-01-05", "08:00", "08:00", ("2026-01-05T07:00", "2026-01-06T07:00"), id="24 h on the clock"),
        pytest.param("2026-03-28", "08:00", "08:00", ("2026-03-28T07:00", "2026-03-29T06:00"), id="23 h in spring"),
        pytest.param("2026-10-24", "08:00", "08:00", ("2026-10-24T06:00", "2026-10-25T07:00"), id="25 h in autumn"),
        pytest.param("2026-03-29", "02:00", "03:00", ("2026-03-29T01:00", "2026-03-29T01:00"), id="empty in the gap"),
        pytest.param("2026-03-29", "02:30", "03:10", ("2026-03-29T01:30", "2026-03-29T01:10"), id="end before start"),
        pytest.param("2026-10-25", "02:00", "03:00", ("2026-10-25T00:00", "2026-10-25T02:00"), id="2 h in the fold"),
    ],
)
def test_occurrence(day, start, end, expected):
    found = wallclock.occurrence(
        dt.date.fromisoformat(day),
        dt.time.fromisoformat(start),
        dt.time.fromisoformat(end),
        zoneinfo.ZoneInfo("Europe/Belgrade"),
    )
    assert found == tuple(instant(edge) for edge in expected)


ZONES = [zoneinfo.ZoneInfo(name) for name in ("Europe/Belgrade", "Antarctica/Troll", "Pacific/Apia", "America/Havana")]


@settings(deadline=None)
@given(
    st.sampled_from(ZONES),
    st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2040, 1, 1)),
    st.integers(-3000, 3000),
)
def test_wall_bounds_enclose_whatever_may_be_read_as_the_instant(zone, utc, minutes):
    at = utc.replace(tzinfo=UTC)
    earliest, latest = wallclock.wall_bounds(at, zone)
    assert earliest <= at.astimezone(zone).replace(tzinfo=None) <= latest
    near = at.astimezone(zone).replace(tzinfo=None) + dt.timedelta(minutes=minutes)
    assert near <= latest or wallclock.to_instant(near, zone) > at
    assert near >= earliest or wallclock.to_instant(near, zone) < at


@pytest.mark.parametrize("year", [1, 1799, 2300, 9999])
def test_wall_bounds_refuse_years_out_of_reach(year):
    with pytest.raises(InvalidInputError, match="1800 to 2299"):
        wallclock.wall_bounds(dt.datetime(year, 6, 1, tzinfo=UTC), ZONES[0])


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        ("Europe/Belgrade", "2026-01-01", "2027-01-01", ["2026-03-29T01:00", "2026-10-25T01:00"]),
        ("Europe/Istanbul", "2026-01-01", "2027-01-01", []),
        ("Australia/Lord_Howe", "2026-03-01", "2026-06-01", ["2026-04-04T15:00"]),
        ("Europe/Belgrade", "2026-03-29T01:00", "2026-03-30", []),
        ("Europe/Belgrade", "2026-03-29T00:59:59.5", "2026-03-29T01:00:00.7", ["2026-03-29T01:00"]),
        ("Europe/Belgrade", "2027-01-01", "2026-01-01", []),
    ],
)
def test_clock_changes(zone, start, end, expected):
    found = wallclock.clock_changes(zoneinfo.ZoneInfo(zone), instant(start), instant(end))
    assert found == [instant(change) for change in expected]


def test_united_sorts_joins_and_drops_empty_spans():
    base = instant("2026-01-05T00:00")
    spans = [(5, 6), (1, 3), (3, 4), (2, 3), (9, 9), (8, 7), (1, 2)]
    found = wallclock.united([(base + start * HOUR, base + end * HOUR) for start, end in spans])
    assert [((start - base) // HOUR, (end - base) // HOUR) for start, end in found] == [(1, 4), (5, 6)]


def test_days_between_includes_both_ends_and_nothing_backwards():
    first, last = dt.date(2028, 2, 28), dt.date(2028, 3, 1)
    assert wallclock.days_between(first, last) == [first, dt.date(2028, 2, 29), last]
    assert wallclock.days_between(last, first) == []
