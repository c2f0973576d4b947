"""A rota as a value, and how it is read (directory.md, section 3). What follows from one is in ``rota_schedule``.

A rota is layers of rotations in wall-clock time, lowest first, under overrides in instants. Reading refuses what the
rules refuse: overrides that end before they begin (rule 11), and two that replace the same member at the same time
(rule 8).
"""

import datetime as dt
import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from directory import wallclock
from directory.errors import Fault, InvalidInputError
from directory.instants import format_instant, parse_instant

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
ROTATION_UNITS: Mapping[str, dt.timedelta] = {
    "hours": dt.timedelta(hours=1),
    "days": dt.timedelta(days=1),
    "weeks": dt.timedelta(weeks=1),
}
OVERRIDE_REASONS = ("leave", "training", "duty", "swap", "other")

FIRST_YEAR = 1900
LAST_YEAR = 2200
LONGEST_SHIFT = dt.timedelta(days=3660)
LONGEST_TEXT = 200

_LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)
_CLOCK_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_SOME_TIME = dt.datetime(FIRST_YEAR, 1, 1, tzinfo=dt.UTC)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A window on the clock that starts on each of some weekdays (Monday is 0); outside it a layer is masked."""

    weekdays: frozenset[int]
    start: dt.time
    end: dt.time


@dataclass(frozen=True, slots=True)
class Layer:
    """One rotation: hand-off k at wall-clock time ``start + k * every * unit`` to ``members[k mod n]``."""

    name: str | None
    members: tuple[str, ...]
    start: dt.datetime
    every: int
    unit: str
    restrictions: tuple[Restriction, ...] = ()

    @property
    def step(self) -> dt.timedelta:
        """Wall-clock time from one hand-off to the next."""
        return self.every * ROTATION_UNITS[self.unit]


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody on duty within ``[start, end)`` whoever else was (``replaces`` None), or only in place of one member."""

    start: dt.datetime
    end: dt.datetime
    member: str
    replaces: str | None = None
    reason: str | None = None


class OverrideTimeline:
    """Finds the overrides in force at an instant without passing over those of past years."""

    def __init__(self, overrides: Sequence[Override]) -> None:
        order = sorted(range(len(overrides)), key=lambda position: overrides[position].start)
        self._overrides = overrides
        self._order = order
        self._starts = [overrides[position].start for position in order]
        self._latest_ends = list(accumulate((overrides[position].end for position in order), max))

    def active(self, at: dt.datetime) -> list[Override]:
        """Return the overrides in force at ``at``, in list order."""
        found = []
        place = bisect_right(self._starts, at)
        while place and self._latest_ends[place - 1] > at:
            place -= 1
            position = self._order[place]
            if self._overrides[position].end > at:
                found.append(position)
        return [self._overrides[position] for position in sorted(found)]


@dataclass(frozen=True, slots=True)
class Rota:
    """Who takes turns, by which rule, with which exceptions; wall-clock times are those of ``time_zone``."""

    time_zone: str
    layers: tuple[Layer, ...]
    overrides: tuple[Override, ...] = ()
    unit: str | None = None
    name: str | None = None
    timeline: OverrideTimeline = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "timeline", OverrideTimeline(self.overrides))

    @property
    def members(self) -> frozenset[str]:
        """Everybody that a layer or an override names to be on duty."""
        named = {member for layer in self.layers for member in layer.members}
        return frozenset(named | {override.member for override in self.overrides})


def double_replacements(overrides: Sequence[Override]) -> list[tuple[int, int]]:
    """Return the places of overrides that replace the same member at the same time, each pair once (rule 8).

    Of several overlaps of one override, the one with its nearest predecessor in time is returned.
    """
    latest: dict[str, int] = {}
    pairs = []
    for place in sorted(range(len(overrides)), key=lambda each: overrides[each].start):
        override = overrides[place]
        if not override.replaces:
            continue
        other = latest.get(override.replaces)
        if other is not None and overrides[other].end > override.start:
            pairs.append((min(place, other), max(place, other)))
        if other is None or override.end > overrides[other].end:
            latest[override.replaces] = place
    return pairs


def parse_rota(data: object, *, refuse_double_replacements: bool = True) -> Rota:
    """Read a rota record or file; ``unit``, names and reasons are optional, unknown members are ignored.

    Raises InvalidInputError with every fault, its place a JSON pointer inside the rota. A preview, which shows double
    replacements itself, reads with ``refuse_double_replacements=False``.
    """
    reader = _RotaReader()
    rota = reader.rota(data)
    if refuse_double_replacements:
        reader.faults += _double_replacement_faults(rota.overrides)
    if reader.faults:
        raise InvalidInputError(reader.faults)
    return rota


def _double_replacement_faults(overrides: Sequence[Override]) -> list[Fault]:
    faults = []
    for first, second in double_replacements(overrides):
        expected = (
            f"expected one override at a time to replace {overrides[first].replaces!r}: this one "
            f"from {_interval(overrides[second])} meets /overrides/{first} from {_interval(overrides[first])}"
        )
        faults.append(Fault(f"/overrides/{second}", overrides[second].member, expected))
    return faults


def _interval(override: Override) -> str:
    return f"{format_instant(override.start)} to {format_instant(override.end)}"


class _RotaReader:
    """Reads part by part and collects what is wrong, so that all of it can be said at once.

    After a refusal a part has some value of its type, which nobody gets to see.
    """

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._missing: list[str] = []

    def _refuse(self, place: str, found: object, expected: str) -> None:
        # What is no object at all is one fault, not one more for each of its members.
        if not any(place.startswith(f"{part}/") for part in self._missing):
            self.faults.append(Fault(place, found, expected))

    def rota(self, data: object) -> Rota:
        fields = self._object(data, "", "a rota: an object with time_zone and layers")
        return Rota(
            time_zone=self._time_zone(fields.get("time_zone"), "/time_zone"),
            layers=tuple(
                self._layer(value, f"/layers/{number}")
                for number, value in enumerate(self._list(fields.get("layers"), "/layers", "layers"))
            ),
            overrides=tuple(
                self._override(value, f"/overrides/{number}")
                for number, value in enumerate(self._list(fields.get("overrides", ()), "/overrides", "overrides"))
            ),
            unit=self._optional_text(fields.get("unit"), "/unit"),
            name=self._optional_text(fields.get("name"), "/name"),
        )

    def _layer(self, data: object, place: str) -> Layer:
        fields = self._object(data, place, "a layer: an object with members, start and rotation")
        every, unit = self._rotation(fields.get("rotation"), f"{place}/rotation")
        return Layer(
            name=self._optional_text(fields.get("name"), f"{place}/name"),
            members=tuple(
                self._member(value, f"{place}/members/{number}")
                for number, value in enumerate(self._list(fields.get("members"), f"{place}/members", "member ids"))
            ),
            start=self._local_time(fields.get("start"), f"{place}/start"),
            every=every,
            unit=unit,
            restrictions=tuple(
                self._restriction(value, f"{place}/restrictions/{number}")
                for number, value in enumerate(
                    self._list(fields.get("restrictions", ()), f"{place}/restrictions", "restrictions")
                )
            ),
        )

    def _rotation(self, data: object, place: str) -> tuple[int, str]:
        fields = self._object(data, place, "a rotation: an object with every and unit")
        every, unit = fields.get("every"), fields.get("unit")
        if not isinstance(unit, str) or unit not in ROTATION_UNITS:
            self._refuse(f"{place}/unit", unit, "expected hours, days or weeks")
            return 1, "days"
        most = LONGEST_SHIFT // ROTATION_UNITS[unit]
        if not isinstance(every, int) or isinstance(every, bool) or not 1 <= every <= most:
            self._refuse(f"{place}/every", every, f"expected a whole number of {unit} from 1 to {most}")
            return 1, unit
        return every, unit

    def _restriction(self, data: object, place: str) -> Restriction:
        fields = self._object(data, place, "a restriction: an object with weekdays, start and end")
        weekdays = fields.get("weekdays")
        if not isinstance(weekdays, list | tuple) or not weekdays or any(day not in WEEKDAYS for day in weekdays):
            self._refuse(f"{place}/weekdays", weekdays, f"expected weekdays: at least one of {', '.join(WEEKDAYS)}")
            weekdays = ()
        return Restriction(
            weekdays=frozenset(WEEKDAYS.index(day) for day in weekdays),
            start=self._clock_time(fields.get("start"), f"{place}/start"),
            end=self._clock_time(fields.get("end"), f"{place}/end"),
        )

    def _override(self, data: object, place: str) -> Override:
        fields = self._object(data, place, "an override: an object with start, end and member")
        replaces, reason = fields.get("replaces"), fields.get("reason")
        if reason is not None and reason not in OVERRIDE_REASONS:
            self._refuse(f"{place}/reason", reason, f"expected one of {', '.join(OVERRIDE_REASONS)}")
        start, end = self._interval(fields, place)
        return Override(
            start=start,
            end=end,
            member=self._member(fields.get("member"), f"{place}/member"),
            replaces=None if replaces is None else self._member(replaces, f"{place}/replaces"),
            reason=reason,
        )

    def _interval(self, fields: Mapping[str, Any], place: str) -> tuple[dt.datetime, dt.datetime]:
        start = self._instant(fields.get("start"), f"{place}/start")
        end = self._instant(fields.get("end"), f"{place}/end")
        if start is None or end is None:
            return _SOME_TIME, _SOME_TIME
        if end <= start:
            self._refuse(f"{place}/end", fields["end"], f"expected an end after the start, {format_instant(start)}")
            return _SOME_TIME, _SOME_TIME
        return start, end

    def _object(self, data: object, place: str, kind: str) -> Mapping[str, Any]:
        if isinstance(data, Mapping):
            return data
        self._refuse(place, data, f"expected {kind}")
        self._missing.append(place)
        return {}

    def _list(self, data: object, place: str, kind: str) -> Sequence[Any]:
        if isinstance(data, list | tuple):
            return data
        self._refuse(place, data, f"expected a list of {kind}")
        return ()

    def _member(self, value: object, place: str) -> str:
        if isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT:
            return value
        self._refuse(place, value, "expected the id of a member")
        return ""

    def _optional_text(self, value: object, place: str) -> str | None:
        if value is None or (isinstance(value, str) and len(value) <= LONGEST_TEXT):
            return value
        self._refuse(place, value, f"expected a text of at most {LONGEST_TEXT} characters")
        return None

    def _time_zone(self, value: object, place: str) -> str:
        try:
            return wallclock.load_zone(str(value)).key
        except ValueError as error:
            self._refuse(place, value, str(error))
            return "UTC"

    def _local_time(self, value: object, place: str) -> dt.datetime:
        if isinstance(value, str) and _LOCAL_TIME.fullmatch(value):
            try:
                return _within_years(dt.datetime.fromisoformat(value))
            except ValueError as error:
                self._refuse(place, value, f"expected a time that is on the calendar: {error}")
        else:
            self._refuse(place, value, "expected a local time without an offset such as 2026-01-05T08:00")
        return _SOME_TIME.replace(tzinfo=None)

    def _clock_time(self, value: object, place: str) -> dt.time:
        if isinstance(value, str) and _CLOCK_TIME.fullmatch(value):
            return dt.time.fromisoformat(value)
        self._refuse(place, value, "expected a time of day from 00:00 to 23:59")
        return dt.time()

    def _instant(self, value: object, place: str) -> dt.datetime | None:
        try:
            return _within_years(parse_instant(value))
        except ValueError as error:
            self._refuse(place, value, str(error))
            return None


def _within_years(time: dt.datetime) -> dt.datetime:
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"expected a year from {FIRST_YEAR} to {LAST_YEAR}")
    return time
