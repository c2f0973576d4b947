"""Instants as text: RFC 3339 in, aware UTC inside, ``2026-11-21T20:00:00Z`` out."""

import datetime as dt
import re

UTC = dt.UTC
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_instant(text: object) -> dt.datetime:
    """Read an instant with ``Z`` or a numeric offset, to the second; seconds may be left out.

    Raises ValueError where the text is no instant, names no offset, or lies outside the years 1 to 9999 in UTC.
    """
    if not isinstance(text, str) or not _RFC3339.fullmatch(text):
        raise ValueError("expected an instant such as 2026-11-21T20:00:00Z")
    try:
        return dt.datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError("expected an instant within the years 1 to 9999") from error
    except ValueError as error:
        raise ValueError(f"expected an instant that is on the calendar: {error}") from error


def format_instant(instant: dt.datetime) -> str:
    """Write an aware instant in UTC to the second."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    # Not strftime: it writes the year 1 as "1".
    return f"{instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='seconds')}Z"
