"""The clock on the wall: what a local time means as an instant (directory.md, section 3, rules 3, 4 and 6).

Rotas and opening hours are written in local time; everything else counts in instants. Two nights a year the wall clock
skips or repeats a stretch, and this is the only place that says what a local time means then.
"""

import datetime as dt
import functools
import zoneinfo
from typing import cast

from directory.errors import Fault, InvalidInputError

UTC = dt.UTC
DAY = dt.timedelta(days=1)
_SECOND = dt.timedelta(seconds=1)

EARLIEST = dt.datetime(1800, 1, 1, tzinfo=UTC)
LATEST = dt.datetime(2300, 1, 1, tzinfo=UTC)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_EPOCH = _EPOCH.replace(tzinfo=None)

# Names that a machine's own files may offer but that mean something else elsewhere.
_MACHINE_LOCAL = frozenset({"localtime", "Factory"})


@functools.cache
def _zone_names() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones()) - _MACHINE_LOCAL


@functools.lru_cache(maxsize=1024)
def load_zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the IANA time zone of that name.

    Raises ValueError for anything that is not such a name: paths, abbreviations of the machine, leap-second zones.
    """
    # Only listed names reach the file system, so no name can be a path into it.
    if name not in _zone_names():
        raise ValueError("expected an IANA time zone such as Europe/Skopje")
    return zoneinfo.ZoneInfo(name)


def to_instant(local: dt.datetime, zone: zoneinfo.ZoneInfo) -> dt.datetime:
    """Return the instant (aware, UTC) at which clocks in the zone show a local time.

    A time that does not exist is read with the offset in force before the change, a time that occurs twice means
    the first occurrence. Later local times may therefore be *earlier* instants: with the change from 02:00 to 03:00,
    02:30 is half an hour after 03:00.
    """
    if local.tzinfo is not None:
        raise ValueError(f"expected a local time without an offset, found {local.isoformat()}")
    if local.fold:
        local = local.replace(fold=0)
    # A zone has an offset for every local time. Adding to an aware epoch costs a fifth of replace() and astimezone(),
    # and schedules convert thousands of hand-offs.
    offset = cast(dt.timedelta, zone.utcoffset(local))
    return _EPOCH + (local - _LOCAL_EPOCH - offset)


def occurrence(day: dt.date, start: dt.time, end: dt.time, zone: zoneinfo.ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """Return a window that starts on a day as instants; an end not after its start is on the next day.

    The second instant may be before the first where both local times lie around a change: that window is empty.
    """
    last_day = day + DAY if end <= start else day
    return to_instant(dt.datetime.combine(day, start), zone), to_instant(dt.datetime.combine(last_day, end), zone)


def wall_bounds(at: dt.datetime, zone: zoneinfo.ZoneInfo) -> tuple[dt.datetime, dt.datetime]:
    """Return the earliest and the latest local time that may be read as an instant near ``at``.

    Both equal the local time at ``at`` unless the offset changes within a day of it. Every local time after the second
    is an instant after ``at``, and every local time before the first is an instant before it. Raises InvalidInputError
    for an instant outside the years 1800 to 2299.
    """
    if not EARLIEST <= at < LATEST:
        raise InvalidInputError([Fault("/at", at.isoformat(), "expected an instant in the years 1800 to 2299")])
    offsets = [cast(dt.timedelta, near.astimezone(zone).utcoffset()) for near in (at - DAY, at, at + DAY)]
    utc = _LOCAL_EPOCH + (at - _EPOCH)
    return utc + min(offsets), utc + max(offsets)


def clock_changes(zone: zoneinfo.ZoneInfo, start: dt.datetime, end: dt.datetime) -> list[dt.datetime]:
    """Return the instants after ``start``, up to ``end``, at which the zone's offset changes, to the second."""
    found = []
    start, end = start.replace(microsecond=0), end.replace(microsecond=0)
    while start < end:
        following = min(start + DAY, end)
        if start.astimezone(zone).utcoffset() != following.astimezone(zone).utcoffset():
            found.append(_change_between(zone, start, following))
        start = following
    return found


def _change_between(zone: zoneinfo.ZoneInfo, before: dt.datetime, after: dt.datetime) -> dt.datetime:
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def days_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Return every date from the first to the last, both included."""
    return [first + dt.timedelta(days=number) for number in range((last - first).days + 1)]


def united(
    spans: list[tuple[dt.datetime, dt.datetime]],
) -> list[tuple[dt.datetime, dt.datetime]]:
    """Return half-open spans sorted, without empty ones, those that touch or overlap joined."""
    joined: list[tuple[dt.datetime, dt.datetime]] = []
    for start, end in sorted(spans):
        if end <= start:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined
