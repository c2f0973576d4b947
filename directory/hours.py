"""Opening hours of a unit, in the unit's local time (directory.md, section 1).

``24/7``, or rules ``DAYS HH:MM-HH:MM[,HH:MM-HH:MM]`` joined by ``;``, and ``PH off`` to close on public holidays. A
window belongs to the day on which it starts: an end not after its start is on the next day, and a holiday closes the
windows that start on it. Rules add up, whatever their order.
"""

import datetime as dt
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import holidays as calendars

from directory import wallclock

Span = tuple[dt.datetime, dt.datetime]

_DAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_DAY_RANGE = re.compile(r"(Mo|Tu|We|Th|Fr|Sa|Su)(?:-(Mo|Tu|We|Th|Fr|Sa|Su))?")
_WINDOW = re.compile(r"((?:[01]\d|2[0-3]):[0-5]\d)-((?:[01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_MONTH_DAY = re.compile(r"(\d\d)-(\d\d)", re.ASCII)
_LEAP_YEAR = 2000
_SEARCHED_DAYS = 400
_MOST_WORKING_DAYS = 20_000


@dataclass(frozen=True, slots=True)
class Holidays:
    """The public holidays of a participant: fixed dates, and a calendar that knows the movable feasts.

    ``fixed`` holds (month, day); ``calendar`` is a country code of the holiday library.
    """

    fixed: frozenset[tuple[int, int]] = frozenset()
    calendar: str | None = None

    def is_holiday(self, day: dt.date) -> bool:
        """Whether a local date is a public holiday."""
        if (day.month, day.day) in self.fixed:
            return True
        return self.calendar is not None and day in _calendar_year(self.calendar, day.year)


NO_HOLIDAYS = Holidays()


@functools.lru_cache(maxsize=512)
def _calendar_year(calendar: str, year: int) -> frozenset[dt.date]:
    return frozenset(calendars.country_holidays(calendar, years=year))


@functools.cache
def _calendar_names() -> frozenset[str]:
    return frozenset(calendars.list_supported_countries())


def parse_holidays(fixed: Iterable[object] = (), calendar: str | None = None) -> Holidays:
    """Read a participant's ``public_holidays`` (``MM-DD``) and ``holiday_calendar``.

    Raises ValueError for a date that no year has and for a calendar that the library does not know.
    """
    if calendar is not None and calendar not in _calendar_names():
        raise ValueError(f"expected a country with a holiday calendar, found {calendar!r}")
    return Holidays(frozenset(_parse_month_day(text) for text in fixed), calendar)


def _parse_month_day(text: object) -> tuple[int, int]:
    found = _MONTH_DAY.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError(f"expected a date of every year as MM-DD, found {text!r}")
    try:
        day = dt.date(_LEAP_YEAR, int(found[1]), int(found[2]))
    except ValueError as error:
        raise ValueError(f"expected a month and a day that exist as MM-DD, found {text!r}") from error
    return day.month, day.day


@dataclass(frozen=True, slots=True)
class OpeningRule:
    """Windows on the clock that start on each of some weekdays (Monday is 0)."""

    weekdays: frozenset[int]
    windows: tuple[tuple[dt.time, dt.time], ...]


@dataclass(frozen=True, slots=True)
class Hours:
    """When a unit answers. Without rules it always does."""

    rules: tuple[OpeningRule, ...] = ()
    closed_on_holidays: bool = False

    @property
    def always_open(self) -> bool:
        """Whether the unit answers day and night."""
        return not self.rules

    def is_open(self, at: dt.datetime, zone: ZoneInfo, holidays: Holidays = NO_HOLIDAYS) -> bool:
        """Whether the unit answers at an instant."""
        if self.always_open:
            return True
        return any(
            start <= at < end
            for day in _days_around(at, at, zone)
            for start, end in self._windows_of(day, zone, holidays)
        )

    def openings(self, start: dt.datetime, end: dt.datetime, zone: ZoneInfo, holidays: Holidays) -> list[Span]:
        """Return when the unit is open within ``[start, end)``: sorted, clipped, joined where windows touch."""
        if self.always_open:
            return wallclock.united([(start, end)])
        windows = (window for day in _days_around(start, end, zone) for window in self._windows_of(day, zone, holidays))
        return wallclock.united([(max(opens, start), min(closes, end)) for opens, closes in windows])

    def _windows_of(self, day: dt.date, zone: ZoneInfo, holidays: Holidays) -> Iterator[Span]:
        if self.closed_on_holidays and holidays.is_holiday(day):
            return
        weekday = day.weekday()
        for rule in self.rules:
            if weekday in rule.weekdays:
                for start, end in rule.windows:
                    yield wallclock.occurrence(day, start, end, zone)


def _days_around(start: dt.datetime, end: dt.datetime, zone: ZoneInfo) -> list[dt.date]:
    """Every local date on which a window of at most a day that meets ``[start, end]`` may begin."""
    first = wallclock.wall_bounds(start, zone)[0].date() - wallclock.DAY
    return wallclock.days_between(first, wallclock.wall_bounds(end, zone)[1].date())


ALWAYS = Hours()


def parse_hours(text: object) -> Hours:
    """Read opening hours. Raises ValueError that says which part is wrong and what was expected."""
    if not isinstance(text, str):
        raise ValueError("expected opening hours such as '24/7' or 'Mo-Fr 08:00-16:00; PH off'")
    if text.strip() == "24/7":
        return ALWAYS
    parts = [part.strip() for part in text.split(";")]
    rules = tuple(_parse_rule(part) for part in parts if part != "PH off")
    if not rules:
        raise ValueError("expected '24/7' or at least one rule such as 'Mo-Fr 08:00-16:00', found only 'PH off'")
    return Hours(rules, closed_on_holidays=len(rules) < len(parts))


def format_hours(hours: Hours) -> str:
    """Write opening hours in the form that parse_hours reads."""
    if hours.always_open:
        return "24/7"
    parts = [
        ",".join(_DAYS[day] for day in sorted(rule.weekdays))
        + " "
        + ",".join(f"{start:%H:%M}-{end:%H:%M}" for start, end in rule.windows)
        for rule in hours.rules
    ]
    return "; ".join([*parts, "PH off"] if hours.closed_on_holidays else parts)


def _parse_rule(part: str) -> OpeningRule:
    days, _, windows = part.partition(" ")
    if not windows:
        raise ValueError(f"expected '24/7', 'PH off' or days and times such as 'Mo-Fr 08:00-16:00', found {part!r}")
    weekdays = frozenset(day for item in days.split(",") for day in _parse_days(item))
    return OpeningRule(weekdays, tuple(_parse_window(item.strip()) for item in windows.split(",")))


def _parse_days(text: str) -> list[int]:
    found = _DAY_RANGE.fullmatch(text)
    if found is None:
        raise ValueError(f"expected days such as 'Mo-Fr' or 'Mo,We' (Mo Tu We Th Fr Sa Su), found {text!r}")
    first = _DAYS.index(found[1])
    last = _DAYS.index(found[2] or found[1])
    # A range may run over the end of the week: Fr-Mo.
    return [(first + number) % 7 for number in range((last - first) % 7 + 1)]


def _parse_window(text: str) -> tuple[dt.time, dt.time]:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"expected times such as '08:00-16:00' (00:00 for midnight), found {text!r}")
    return dt.time.fromisoformat(found[1]), dt.time.fromisoformat(found[2])


def closing(hours: Hours, at: dt.datetime, zone: ZoneInfo, holidays: Holidays = NO_HOLIDAYS) -> dt.datetime | None:
    """Return when the present opening ends; None where the unit is closed at ``at`` or never closes."""
    if hours.always_open or not hours.is_open(at, zone, holidays):
        return None
    for days in (2, _SEARCHED_DAYS):
        horizon = at + days * wallclock.DAY
        _, closes = hours.openings(at, horizon, zone, holidays)[0]
        if closes < horizon:
            return closes
    return None


def next_opening(hours: Hours, at: dt.datetime, zone: ZoneInfo, holidays: Holidays = NO_HOLIDAYS) -> dt.datetime | None:
    """Return the first instant from ``at`` on at which the unit is open: ``at`` itself while it is.

    None where it does not open within 400 days.
    """
    for day in range(_SEARCHED_DAYS):
        start = at + day * wallclock.DAY
        openings = hours.openings(start, start + wallclock.DAY, zone, holidays)
        if openings:
            return openings[0][0]
    return None


def opening_seconds_between(
    hours: Hours, start: dt.datetime, end: dt.datetime, zone: ZoneInfo, holidays: Holidays = NO_HOLIDAYS
) -> float:
    """Return the seconds within ``[start, end)`` during which the unit is open; 0 where the end is not after."""
    openings = hours.openings(start, end, zone, holidays) if start < end else []
    return sum((closes - opens).total_seconds() for opens, closes in openings)


def add_working_seconds(
    hours: Hours, start: dt.datetime, seconds: float, zone: ZoneInfo, holidays: Holidays = NO_HOLIDAYS
) -> dt.datetime:
    """Return the first instant by which the unit was open for so many seconds since ``start``.

    For a unit that never closes these are elapsed seconds. Nothing to count ends at ``start``, open or not. Raises
    ValueError for a negative number and where so many seconds take longer than 20,000 days.
    """
    if seconds < 0:
        raise ValueError(f"expected a number of seconds that is not negative, found {seconds}")
    remaining = dt.timedelta(seconds=seconds)
    if hours.always_open or not remaining:
        return start + remaining
    for day in range(_MOST_WORKING_DAYS):
        begin = start + day * wallclock.DAY
        for opens, closes in hours.openings(begin, begin + wallclock.DAY, zone, holidays):
            if closes - opens >= remaining:
                return opens + remaining
            remaining -= closes - opens
    raise ValueError(f"expected opening hours that reach {seconds} s within {_MOST_WORKING_DAYS} days")
