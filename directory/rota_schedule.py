"""Who is on duty: the arithmetic of rotas (directory.md, section 3).

The rules, by their numbers there:

- 1: every interval is half-open, ``[start, end)``.
- 2-4: hand-off k of a layer is a wall-clock time; ``wallclock.to_instant`` alone says which instant that is. Around a
  clock change later wall-clock times may be equal or even earlier instants.
- 5: at t the member of the *largest* k whose hand-off instant is not after t is on duty, so a hand-off that a later one
  precedes or equals never takes effect.
- 6: restrictions mask a layer and leave its counting alone.
- 7, 10: the highest layer that has somebody wins.
- 8: overrides apply in list order, each to the result so far.
- 9: schedules are maximal intervals, gaps included.

``on_duty`` computes k directly, so its cost does not grow with the age of a rota; ``shifts`` steps through the
hand-offs of its window only.
"""

import datetime as dt
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from zoneinfo import ZoneInfo

from directory import wallclock
from directory.errors import Fault, InvalidInputError
from directory.rota import Layer, Override, Rota

LOOK_AROUND = dt.timedelta(days=400)
"""How far ``shift_at`` and ``next_member`` look to either side."""

_LOOKS = (dt.timedelta(days=2), dt.timedelta(days=30), LOOK_AROUND)
_start_of = itemgetter(0)

# An interval with its member; None is a gap.
_Piece = tuple[dt.datetime, dt.datetime, str | None]


@dataclass(frozen=True, slots=True)
class Shift:
    """One member on duty, or nobody (None), within ``[start, end)``."""

    start: dt.datetime
    end: dt.datetime
    member: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a new version of a rota changes within ``[start, end)``."""

    start: dt.datetime
    end: dt.datetime
    before: str | None
    after: str | None


def on_duty(rota: Rota, at: dt.datetime) -> str | None:
    """Return the member on duty at an instant, None in a gap.

    Raises InvalidInputError for an instant outside the years 1800 to 2299.
    """
    at = at.astimezone(wallclock.UTC)
    zone = wallclock.load_zone(rota.time_zone)
    bounds = wallclock.wall_bounds(at, zone)
    member = None
    for layer in reversed(rota.layers):
        member = _layer_member(layer, at, zone, bounds)
        if member is not None:
            break
    for override in rota.timeline.active(at):
        if override.replaces is None or override.replaces == member:
            member = override.member
    return member


def _layer_member(layer: Layer, at: dt.datetime, zone: ZoneInfo, bounds: tuple[dt.datetime, dt.datetime]) -> str | None:
    number = _last_hand_off(layer, at, zone, bounds[1])
    if number < 0 or not layer.members:
        return None
    if layer.restrictions and not _is_within_restrictions(layer, at, zone, bounds):
        return None
    return layer.members[number % len(layer.members)]


def _last_hand_off(layer: Layer, at: dt.datetime, zone: ZoneInfo, latest: dt.datetime) -> int:
    """Return the largest k whose hand-off instant is not after ``at``, negative before all of them (rule 5).

    ``latest`` is the latest wall-clock time that may be an instant up to ``at``: from there down it is never more
    hand-offs than fit into one change of the offset.
    """
    step = layer.step
    number = (latest - layer.start) // step
    while number >= 0 and wallclock.to_instant(layer.start + number * step, zone) > at:
        number -= 1
    return number


def _is_within_restrictions(
    layer: Layer, at: dt.datetime, zone: ZoneInfo, bounds: tuple[dt.datetime, dt.datetime]
) -> bool:
    for day in wallclock.days_between(bounds[0].date() - wallclock.DAY, bounds[1].date()):
        weekday = day.weekday()
        for restriction in layer.restrictions:
            if weekday in restriction.weekdays:
                start, end = wallclock.occurrence(day, restriction.start, restriction.end, zone)
                if start <= at < end:
                    return True
    return False


def shifts(rota: Rota, start: dt.datetime, end: dt.datetime) -> list[Shift]:
    """Return the resolved schedule of ``[start, end)``: maximal intervals in order, gaps included (rule 9).

    Empty where the window is. Raises InvalidInputError for a window that ends before it starts or leaves the years
    1800 to 2299.
    """
    return [Shift(*piece) for piece in _resolve(rota, *_window(start, end))]


def _window(start: dt.datetime, end: dt.datetime) -> tuple[dt.datetime, dt.datetime]:
    if end < start:
        raise InvalidInputError([Fault("/to", end.isoformat(), f"expected an end from {start.isoformat()} on")])
    return start.astimezone(wallclock.UTC), end.astimezone(wallclock.UTC)


def _resolve(rota: Rota, start: dt.datetime, end: dt.datetime) -> list[_Piece]:
    if start == end:
        return []
    zone = wallclock.load_zone(rota.time_zone)
    pieces: list[_Piece] = [(start, end, None)]
    for layer in reversed(rota.layers):
        pieces = _show_through(pieces, _layer_pieces(layer, zone, start, end))
    for override in rota.overrides:
        _apply_override(pieces, override)
    return _merged(pieces)


def _layer_pieces(layer: Layer, zone: ZoneInfo, start: dt.datetime, end: dt.datetime) -> list[_Piece]:
    """Return what one layer alone has within the window, without its gaps."""
    first_bounds, last_bounds = wallclock.wall_bounds(start, zone), wallclock.wall_bounds(end, zone)
    if not layer.members:
        return []
    step = layer.step
    first = max(0, _last_hand_off(layer, start, zone, first_bounds[1]))
    pieces: list[_Piece] = []
    # Backwards, because a hand-off lasts until the earliest of all that follow it (rule 5).
    until = end
    for number in range((last_bounds[1] - layer.start) // step, first - 1, -1):
        begin = max(start, wallclock.to_instant(layer.start + number * step, zone))
        if begin < until:
            pieces.append((begin, until, layer.members[number % len(layer.members)]))
            until = begin
    pieces.reverse()
    if not layer.restrictions:
        return pieces
    days = wallclock.days_between(first_bounds[0].date() - wallclock.DAY, last_bounds[1].date())
    return _masked(pieces, wallclock.united(_restriction_windows(layer, zone, days)))


def _restriction_windows(
    layer: Layer, zone: ZoneInfo, days: Iterable[dt.date]
) -> list[tuple[dt.datetime, dt.datetime]]:
    return [
        wallclock.occurrence(day, restriction.start, restriction.end, zone)
        for day in days
        for restriction in layer.restrictions
        if day.weekday() in restriction.weekdays
    ]


def _masked(pieces: Sequence[_Piece], windows: Sequence[tuple[dt.datetime, dt.datetime]]) -> list[_Piece]:
    """Return what of the pieces lies within the windows; both are in order and do not overlap."""
    result = []
    place = 0
    for start, end, member in pieces:
        while place < len(windows) and windows[place][1] <= start:
            place += 1
        following = place
        while following < len(windows) and windows[following][0] < end:
            opens, closes = windows[following]
            result.append((max(start, opens), min(end, closes), member))
            following += 1
    return result


def _show_through(pieces: Sequence[_Piece], lower: Sequence[_Piece]) -> list[_Piece]:
    """Fill the gaps of higher layers with what a lower layer has there (rule 7)."""
    gaps = [(start, end) for start, end, member in pieces if member is None]
    held = [piece for piece in pieces if piece[2] is not None]
    return _with_gaps(sorted([*held, *_masked(lower, gaps)], key=_start_of), pieces[0][0], pieces[-1][1])


def _with_gaps(pieces: Sequence[_Piece], start: dt.datetime, end: dt.datetime) -> list[_Piece]:
    """Return the pieces with what lies between them, so that they cover the window."""
    result: list[_Piece] = []
    reached = start
    for piece in pieces:
        if reached < piece[0]:
            result.append((reached, piece[0], None))
        result.append(piece)
        reached = piece[1]
    if reached < end:
        result.append((reached, end, None))
    return result


def _apply_override(pieces: list[_Piece], override: Override) -> None:
    """Put an override into a schedule that covers its window (rule 8)."""
    begin, finish = max(override.start, pieces[0][0]), min(override.end, pieces[-1][1])
    if begin >= finish:
        return
    first = bisect_right(pieces, begin, key=_start_of) - 1
    last = bisect_left(pieces, finish, key=_start_of)
    replaced: list[_Piece] = []
    for start, end, member in pieces[first:last]:
        if override.replaces is not None and override.replaces != member:
            replaced.append((start, end, member))
            continue
        parts = (
            (start, begin, member),
            (max(start, begin), min(end, finish), override.member),
            (finish, end, member),
        )
        replaced += [part for part in parts if part[0] < part[1]]
    pieces[first:last] = replaced


def _merged(pieces: Iterable[_Piece]) -> list[_Piece]:
    result: list[_Piece] = []
    for start, end, member in pieces:
        if result and result[-1][2] == member:
            result[-1] = (result[-1][0], end, member)
        else:
            result.append((start, end, member))
    return result


def changes(before: Rota | None, after: Rota | None, start: dt.datetime, end: dt.datetime) -> list[Change]:
    """Return the maximal intervals of ``[start, end)`` in which another member, or nobody, is on duty than before.

    A rota that is not there (None) is a gap throughout. Raises like ``shifts``.
    """
    window = _window(start, end)
    old, new = (_resolve(rota, *window) if rota else _gap(*window) for rota in (before, after))
    result: list[Change] = []
    place = 0
    for begin, finish, member in new:
        while place < len(old) and old[place][0] < finish:
            from_, to, former = max(begin, old[place][0]), min(finish, old[place][1]), old[place][2]
            if former != member:
                result.append(Change(from_, to, former, member))
            if old[place][1] > finish:
                break
            place += 1
    return result


def _gap(start: dt.datetime, end: dt.datetime) -> list[_Piece]:
    return [(start, end, None)] if start < end else []


def shift_at(rota: Rota, at: dt.datetime) -> Shift:
    """Return the shift, or the gap, that an instant lies in, as long as it is.

    One that begins or ends more than 400 days away is cut there. Raises like ``on_duty``.
    """
    at = at.astimezone(wallclock.UTC)
    piece: _Piece = (at, at, None)
    for look in _LOOKS:
        first, last = at - look, at + look
        pieces = _resolve(rota, first, last)
        piece = pieces[bisect_right(pieces, at, key=_start_of) - 1]
        if first < piece[0] and piece[1] < last:
            break
    return Shift(*piece)


def next_member(rota: Rota, at: dt.datetime) -> Shift | None:
    """Return the next shift after ``at`` of another member than the one on duty then, None within 400 days.

    In a gap it is the next shift of anybody. Gaps in between are passed over. Raises like ``on_duty``.
    """
    at = at.astimezone(wallclock.UTC)
    present = on_duty(rota, at)
    for ahead in _LOOKS:
        for start, _, member in _resolve(rota, at, at + ahead):
            if member is not None and member != present:
                return shift_at(rota, start)
    return None
