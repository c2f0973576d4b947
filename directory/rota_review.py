"""What a planner should see before a rota is saved: what changes, and what looks like a mistake."""

import datetime as dt
from dataclasses import dataclass

from directory import wallclock
from directory.rota import Override, Rota, double_replacements
from directory.rota_schedule import Change, Shift, changes, shifts


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two overrides that replace the same member at the same time (rule 8); ``[start, end)`` is when both do."""

    first: Override
    second: Override
    start: dt.datetime
    end: dt.datetime


@dataclass(frozen=True, slots=True)
class Review:
    """The findings within one window, in order of time; idle members in order of name.

    ``clock_changes`` are the instants at which the clocks of the rota's zone change.
    """

    changes: tuple[Change, ...]
    gaps: tuple[Shift, ...]
    idle_members: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    clock_changes: tuple[dt.datetime, ...]


def review(before: Rota | None, after: Rota, start: dt.datetime, end: dt.datetime) -> Review:
    """Compare a rota with the one that it replaces (None: there was none) within ``[start, end)``.

    ``after`` is read without refusing double replacements, so that they can be shown. Raises InvalidInputError for a
    window that ends before it starts or leaves the years 1800 to 2299.
    """
    schedule = shifts(after, start, end)
    serving = {shift.member for shift in schedule}
    return Review(
        changes=tuple(changes(before, after, start, end)),
        gaps=tuple(shift for shift in schedule if shift.member is None),
        idle_members=tuple(sorted(member for member in _expected(after, start, end) if member not in serving)),
        conflicts=_conflicts(after, start, end),
        clock_changes=tuple(wallclock.clock_changes(wallclock.load_zone(after.time_zone), start, end)),
    )


def _expected(rota: Rota, start: dt.datetime, end: dt.datetime) -> set[str]:
    """Everybody in a layer, and the stand-ins of the window: those of past years are no longer expected to serve."""
    rotating = {member for layer in rota.layers for member in layer.members}
    standing_in = {override.member for override in rota.overrides if override.start < end and start < override.end}
    return rotating | standing_in


def _conflicts(rota: Rota, start: dt.datetime, end: dt.datetime) -> tuple[Conflict, ...]:
    found = []
    for pair in double_replacements(rota.overrides):
        first, second = (rota.overrides[place] for place in pair)
        begin, finish = max(first.start, second.start), min(first.end, second.end)
        if begin < end and start < finish:
            found.append(Conflict(first, second, begin, finish))
    return tuple(sorted(found, key=lambda conflict: conflict.start))
