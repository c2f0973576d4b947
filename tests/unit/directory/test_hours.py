"""Opening hours: what may be written, when that is open, and the clock that runs only then."""

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.hours import (
    ALWAYS,
    NO_HOLIDAYS,
    Holidays,
    Hours,
    OpeningRule,
    add_working_seconds,
    closing,
    format_hours,
    next_opening,
    opening_seconds_between,
    parse_holidays,
    parse_hours,
)

BELGRADE = ZoneInfo("Europe/Belgrade")
HOUR = dt.timedelta(hours=1)
OFFICE = "Mo-Fr 08:00-16:00; PH off"
REGION = ["RS", "ME", "BA", "MK", "AL", "XK", "HR", "SI", "BG", "RO", "HU", "GR", "MD", "TR", "AT", "IT", "DE"]
NEW_YEAR = parse_holidays(["01-01", "01-02"])


def at(text):
    """An instant by Belgrade's clock; a fold is read as the first pass."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=BELGRADE).astimezone(dt.UTC)


# --- Reading ---


@pytest.mark.parametrize(
    ("text", "weekdays", "windows", "off"),
    [
        ("Mo-Fr 08:00-16:00; PH off", {0, 1, 2, 3, 4}, [("08:00", "16:00")], True),
        ("PH off; Mo-Fr 08:00-16:00", {0, 1, 2, 3, 4}, [("08:00", "16:00")], True),
        ("Mo,We 08:00-12:00,13:00-16:00", {0, 2}, [("08:00", "12:00"), ("13:00", "16:00")], False),
        ("Mo-We,Sa 08:00-12:00", {0, 1, 2, 5}, [("08:00", "12:00")], False),
        ("Fr-Mo 20:00-08:00", {4, 5, 6, 0}, [("20:00", "08:00")], False),
        ("Su 00:00-00:00", {6}, [("00:00", "00:00")], False),
        ("  Mo-Su 06:00-22:00 ", set(range(7)), [("06:00", "22:00")], False),
        ("Mo 08:00-12:00, 13:00-16:00;PH off", {0}, [("08:00", "12:00"), ("13:00", "16:00")], True),
    ],
)
def test_hours_are_read(text, weekdays, windows, off):
    hours = parse_hours(text)
    expected = tuple((dt.time.fromisoformat(start), dt.time.fromisoformat(end)) for start, end in windows)
    assert hours == Hours((OpeningRule(frozenset(weekdays), expected),), off)
    assert not hours.always_open


def test_day_and_night_is_read():
    assert parse_hours("24/7").always_open
    assert parse_hours(" 24/7 ") == ALWAYS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "24/7"),
        (24, "24/7"),
        ("", "days and times"),
        ("always", "days and times"),
        ("PH off", "at least one rule"),
        ("24/7; PH off", "days and times"),
        ("Mo-Fr 08:00-16:00;", "days and times"),
        ("Mo-Fr", "days and times"),
        ("08:00-16:00", "days and times"),
        ("Mon-Fri 08:00-16:00", "expected days"),
        ("mo-fr 08:00-16:00", "expected days"),
        ("Mo-We-Fr 08:00-16:00", "expected days"),
        ("Mo, We 08:00-16:00", "expected days"),
        ("Mo-Fr 8:00-16:00", "expected times"),
        ("Mo-Fr 08:00-25:00", "expected times"),
        ("Mo-Fr 08:00-24:00", "00:00 for midnight"),
        ("Mo-Fr 08:60-16:00", "expected times"),
        ("Mo-Fr 08:00", "expected times"),
        ("Mo-Fr 08:00–16:00", "expected times"),
        ("Mo-Fr ٠٨:٠٠-16:00", "expected times"),
        ("Mo-Fr 08:00-16:00,", "expected times"),
        ("Mo-Fr off", "expected times"),
        ("Mo-Fr 08:00-16:00; SH off", "found 'SH'"),
    ],
)
def test_hours_that_break_the_grammar_are_refused_with_what_was_expected(text, expected):
    with pytest.raises(ValueError, match=expected):
        parse_hours(text)


times = st.times().map(lambda time: time.replace(second=0, microsecond=0))
hours_values = st.builds(
    Hours,
    st.lists(
        st.builds(
            OpeningRule,
            st.frozensets(st.integers(0, 6), min_size=1),
            st.lists(st.tuples(times, times), min_size=1, max_size=3).map(tuple),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.booleans(),
)


@settings(deadline=None)
@given(st.one_of(hours_values, st.just(ALWAYS)))
def test_what_is_written_is_read_back(hours):
    assert parse_hours(format_hours(hours)) == hours


# --- Holidays ---


@pytest.mark.parametrize(
    ("fixed", "calendar", "day", "expected"),
    [
        ([], None, "2026-01-01", False),
        (["01-01"], None, "2026-01-01", True),
        (["01-01"], None, "1999-01-01", True),
        (["02-29"], None, "2028-02-29", True),
        ([], "RS", "2026-04-10", True),
        ([], "RS", "2026-04-17", False),
        ([], "GR", "2026-04-13", True),
        ([], "DE", "2026-04-06", True),
        ([], "AL", "2027-03-28", True),
        (["07-13"], "ME", "2026-07-13", True),
    ],
    ids=str,
)
def test_fixed_dates_and_movable_feasts(fixed, calendar, day, expected):
    assert parse_holidays(fixed, calendar).is_holiday(dt.date.fromisoformat(day)) is expected


@pytest.mark.parametrize("country", REGION)
def test_every_country_of_the_region_has_a_calendar(country):
    assert parse_holidays([], country).is_holiday(dt.date(2027, 1, 1))


@pytest.mark.parametrize("text", ["1-1", "13-01", "00-10", "02-30", "2026-01-01", "01/01", "", None, 101, "٠١-٠١"])
def test_a_holiday_that_no_year_has_is_refused(text):
    with pytest.raises(ValueError, match="MM-DD"):
        parse_holidays([text])


@pytest.mark.parametrize("calendar", ["", "YY", "Serbia", "rs"])
def test_an_unknown_calendar_is_refused(calendar):
    with pytest.raises(ValueError, match="holiday calendar"):
        parse_holidays([], calendar)


# --- Open or closed ---


@pytest.mark.parametrize(
    ("text", "time", "expected"),
    [
        pytest.param("24/7", "2026-01-01T03:00", True, id="day and night, holidays too"),
        pytest.param(OFFICE, "2026-01-05T07:59:59", False, id="a second early"),
        pytest.param(OFFICE, "2026-01-05T08:00", True, id="opens"),
        pytest.param(OFFICE, "2026-01-05T15:59:59", True, id="last second"),
        pytest.param(OFFICE, "2026-01-05T16:00", False, id="closes"),
        pytest.param(OFFICE, "2026-01-03T10:00", False, id="Saturday"),
        pytest.param(OFFICE, "2026-01-01T10:00", False, id="holiday"),
        pytest.param("Mo-Fr 08:00-16:00", "2026-01-01T10:00", True, id="holidays do not matter without PH off"),
        pytest.param("Fr 20:00-08:00", "2026-01-10T07:59", True, id="Friday's window on Saturday"),
        pytest.param("Fr 20:00-08:00", "2026-01-09T07:59", False, id="not Thursday's"),
        pytest.param("Fr 20:00-08:00; PH off", "2026-01-02T21:00", False, id="no window starts on a holiday"),
        pytest.param("We 20:00-08:00; PH off", "2026-01-01T07:00", True, id="a window runs on into a holiday"),
        pytest.param("Mo 08:00-08:00", "2026-01-06T07:59", True, id="24 h on the clock"),
        pytest.param("Su 02:00-03:00", "2026-03-29T03:30", False, id="window in the gap"),
        pytest.param("Su 02:00-02:30", "2026-03-29T03:15", True, id="edges in the gap move on"),
        pytest.param("Sa 08:00-12:00; Sa 11:00-14:00", "2026-01-10T13:00", True, id="rules add up"),
    ],
)
def test_is_open(text, time, expected):
    assert parse_hours(text).is_open(at(time), BELGRADE, NEW_YEAR) is expected


def test_both_passes_of_a_repeated_hour_are_in_the_window_once_begun():
    hours = parse_hours("Su 02:30-04:00")
    first = at("2026-10-25T02:30")
    assert not hours.is_open(first - dt.timedelta(seconds=1), BELGRADE)
    assert all(hours.is_open(first + minutes * HOUR / 60, BELGRADE) for minutes in range(0, 150, 10))
    assert not hours.is_open(first + 2.5 * HOUR, BELGRADE)


@pytest.mark.parametrize(
    ("text", "time", "expected"),
    [
        pytest.param("24/7", "2026-01-01T03:00", "2026-01-01T03:00", id="always"),
        pytest.param(OFFICE, "2026-01-05T10:00", "2026-01-05T10:00", id="open now"),
        pytest.param(OFFICE, "2026-01-05T16:00", "2026-01-06T08:00", id="next day"),
        pytest.param(OFFICE, "2026-01-09T17:00", "2026-01-12T08:00", id="after the week-end"),
        pytest.param(OFFICE, "2025-12-31T17:00", "2026-01-05T08:00", id="after New Year and a week-end"),
        pytest.param("Su 02:00-03:00", "2026-03-28T12:00", "2026-04-05T02:00", id="skips the night without 02:00"),
        pytest.param("Th 08:00-09:00; PH off", "2025-12-26T00:00", "2026-01-08T08:00", id="skips a holiday"),
    ],
)
def test_next_opening(text, time, expected):
    assert next_opening(parse_hours(text), at(time), BELGRADE, NEW_YEAR) == at(expected)


def test_what_never_opens_has_no_next_opening():
    every_day = Holidays(frozenset((month, day) for month in range(1, 13) for day in range(1, 32)))
    assert next_opening(parse_hours(OFFICE), at("2026-01-05T10:00"), BELGRADE, every_day) is None


@pytest.mark.parametrize(
    ("text", "time", "expected"),
    [
        ("24/7", "2026-01-05T10:00", None),
        (OFFICE, "2026-01-05T17:00", None),
        (OFFICE, "2026-01-05T10:00", "2026-01-05T16:00"),
        ("Mo 08:00-12:00; Mo 12:00-16:00", "2026-01-05T10:00", "2026-01-05T16:00"),
        ("Mo-Su 00:00-00:00", "2026-01-05T10:00", None),
    ],
)
def test_closing(text, time, expected):
    assert closing(parse_hours(text), at(time), BELGRADE, NEW_YEAR) == (expected and at(expected))


# --- The working clock ---


@pytest.mark.parametrize(
    ("text", "start", "end", "hours"),
    [
        ("24/7", "2026-03-28T12:00", "2026-03-29T12:00", 23),
        (OFFICE, "2026-01-05T06:00", "2026-01-05T10:00", 2),
        (OFFICE, "2026-01-05T15:00", "2026-01-06T09:00", 2),
        (OFFICE, "2026-01-01T00:00", "2026-01-05T00:00", 0),
        (OFFICE, "2026-01-06T09:00", "2026-01-05T09:00", 0),
        ("24/7", "2026-01-06T09:00", "2026-01-05T09:00", 0),
        ("Mo 08:00-12:00; Mo 10:00-14:00", "2026-01-05T00:00", "2026-01-06T00:00", 6),
        ("Su 00:00-06:00", "2026-10-25T00:00", "2026-10-26T00:00", 7),
    ],
)
def test_opening_seconds_between(text, start, end, hours):
    found = opening_seconds_between(parse_hours(text), at(start), at(end), BELGRADE, NEW_YEAR)
    assert found == hours * 3600


@pytest.mark.parametrize(
    ("text", "start", "hours", "expected"),
    [
        ("24/7", "2026-03-28T12:00", 24, "2026-03-29T13:00"),
        (OFFICE, "2026-01-05T08:00", 4, "2026-01-05T12:00"),
        (OFFICE, "2026-01-05T14:00", 4, "2026-01-06T10:00"),
        (OFFICE, "2026-01-05T12:00", 4, "2026-01-05T16:00"),
        (OFFICE, "2026-01-09T20:00", 4, "2026-01-12T12:00"),
        (OFFICE, "2025-12-31T14:00", 4, "2026-01-05T10:00"),
        (OFFICE, "2026-01-10T10:00", 0, "2026-01-10T10:00"),
        (OFFICE, "2026-01-05T08:00", 16, "2026-01-06T16:00"),
    ],
)
def test_add_working_seconds(text, start, hours, expected):
    assert add_working_seconds(parse_hours(text), at(start), hours * 3600, BELGRADE, NEW_YEAR) == at(expected)


def test_working_time_cannot_be_negative():
    with pytest.raises(ValueError, match="not negative"):
        add_working_seconds(ALWAYS, at("2026-01-05T08:00"), -1, BELGRADE)


def test_working_time_that_is_never_reached_is_refused():
    hours = Hours((OpeningRule(frozenset(), ()),))
    with pytest.raises(ValueError, match="20000 days"):
        add_working_seconds(hours, at("2026-01-05T08:00"), 60, BELGRADE)


@settings(max_examples=50, deadline=None)
@given(
    st.one_of(hours_values, st.just(ALWAYS)),
    st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31)),
    st.integers(1, 4 * 3600),
)
def test_the_two_working_clocks_agree(hours, utc, seconds):
    start = utc.replace(tzinfo=dt.UTC)
    end = add_working_seconds(hours, start, seconds, BELGRADE, NO_HOLIDAYS)
    assert opening_seconds_between(hours, start, end, BELGRADE, NO_HOLIDAYS) == pytest.approx(seconds, abs=1e-3)


@settings(deadline=None)
@given(hours_values, st.datetimes(dt.datetime(2026, 1, 1), dt.datetime(2027, 12, 31)), st.integers(0, 100))
def test_open_now_is_being_within_an_opening(hours, utc, minutes):
    begin = utc.replace(tzinfo=dt.UTC, microsecond=0)
    now = begin + minutes * HOUR / 60
    openings = hours.openings(begin, begin + 2 * HOUR, BELGRADE, NEW_YEAR)
    assert hours.is_open(now, BELGRADE, NEW_YEAR) == any(start <= now < end for start, end in openings)
