"""Instants as text."""

import datetime as dt

import pytest

from directory.instants import format_instant, parse_instant


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2027-02-09T10:00:00+01:00", "2027-02-09T09:00:00Z"),
        ("2027-02-09T10:00+01:00", "2027-02-09T09:00:00Z"),
        ("2027-02-09T09:00Z", "2027-02-09T09:00:00Z"),
        ("2027-01-01T00:30:00+05:45", "2026-12-31T18:45:00Z"),
    ],
)
def test_an_instant_is_written_in_utc(text: str, written: str) -> None:
    assert format_instant(parse_instant(text)) == written


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("2027-02-09T10:00:00", "an instant such as"),
        ("2027-02-09", "an instant such as"),
        ("2027-02-09T10:00:00.5Z", "an instant such as"),
        ("2027-02-09T10:00:00Z\n", "an instant such as"),
        ("٢٠٢٧-02-09T10:00:00Z", "an instant such as"),
        (1_800_000_000, "an instant such as"),
        (None, "an instant such as"),
        ("2027-02-30T10:00:00Z", "on the calendar"),
        ("2027-02-09T10:00:60Z", "on the calendar"),
        ("2027-02-09T10:00:00+25:00", "on the calendar"),
        ("9999-12-31T23:59:59-23:59", "years 1 to 9999"),
    ],
)
def test_what_is_no_instant_is_refused_with_what_was_expected(text: object, words: str) -> None:
    with pytest.raises(ValueError, match=f"^expected .*{words}"):
        parse_instant(text)


def test_a_local_time_is_no_instant() -> None:
    with pytest.raises(ValueError, match="needs a time zone"):
        format_instant(dt.datetime(2027, 2, 9))


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0999-12-31T23:59:59Z", "9999-12-31T23:59:59Z"])
def test_a_year_has_four_digits(text: str) -> None:
    assert format_instant(parse_instant(text)) == text
