"""A rota as iCalendar (RFC 5545), under a secret address per user: calendars of telephones cannot carry a token.

The address holds the user and the rota, signed with the node's secret, and ends with the user's password or account.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from directory.rota import Rota
from directory.rota_schedule import LOOK_AROUND, Shift, shift_at, shifts
from directory.store import Record
from web.accounts import password_mark
from web.content_lines import escaped, folded
from web.errors import ForbiddenError

_SALT = "rota calendar"
_YEAR = dt.timedelta(days=366)
_BEHIND, _AHEAD = dt.timedelta(days=31), dt.timedelta(days=183)


@dataclass(frozen=True, slots=True)
class CalendarRota:
    """A rota with its record, the names of its members by id, and what to call it beside other rotas."""

    record: Record
    rota: Rota
    names: Mapping[str, str]
    title: str = ""


def calendar_key(session: Session, secret: bytes, user: str, ref: str) -> str:
    """The secret part of the address at which ``user`` may read the rota ``ref``."""
    return str(_signer(secret).dumps([user, password_mark(session, user), ref]))


def check_calendar_key(session: Session, secret: bytes, key: str, ref: str) -> None:
    """Raise ForbiddenError unless ``key`` was made for this rota and its user's password still stands."""
    try:
        user, mark, made_for = _signer(secret).loads(key)
    except (BadSignature, ValueError) as error:
        raise ForbiddenError("expected the calendar's secret address as it was given") from error
    if made_for != ref or mark is None or mark != password_mark(session, user):
        raise ForbiddenError("this calendar address is no longer good; ask for a new one")


def calendar(record: Record, rota: Rota, names: Mapping[str, str], now: dt.datetime) -> bytes:
    """The shifts of the past month and the coming half year; each keeps its UID however often it is fetched."""
    today = _midnight(now)
    return calendar_of([CalendarRota(record, rota, names)], today - _BEHIND, today + _AHEAD)


def calendar_of(rotas: Iterable[CalendarRota], start: dt.datetime, end: dt.datetime) -> bytes:
    """The shifts of several rotas between two instants; those at the edges are whole, so that they keep their UID."""
    return b"".join(folded(line) for line in _lines(rotas, start, end))


def coming_year(rotas: Iterable[CalendarRota], now: dt.datetime) -> bytes:
    """The shifts of several rotas in the coming twelve months."""
    today = _midnight(now)
    return calendar_of(rotas, today, today + _YEAR)


def _lines(rotas: Iterable[CalendarRota], start: dt.datetime, end: dt.datetime) -> Iterator[str]:
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Veza//Rota//EN", "CALSCALE:GREGORIAN")
    for each in rotas:
        for shift in _whole_shifts(each.rota, start, end):
            yield from _event(each, shift)
    yield "END:VCALENDAR"


def _whole_shifts(rota: Rota, start: dt.datetime, end: dt.datetime) -> list[Shift]:
    found = shifts(rota, start, end)
    found[-1] = replace(found[-1], end=shift_at(rota, found[-1].start).end)
    begun = shift_at(rota, start).start
    if begun <= start - LOOK_AROUND:
        # nobody looks further back: a start that moves once a year keeps the UID for as long
        begun = start.replace(month=1, day=1)
    found[0] = replace(found[0], start=begun)
    return found


def _event(each: CalendarRota, shift: Shift) -> Iterator[str]:
    who = "Nobody on duty" if shift.member is None else each.names.get(shift.member, shift.member)
    yield "BEGIN:VEVENT"
    yield f"UID:{_utc(shift.start)}-{each.record.ref.replace(':', '-').replace('/', '-')}@veza"
    yield f"DTSTAMP:{_utc(each.record.at)}"
    yield f"DTSTART:{_utc(shift.start)}"
    yield f"DTEND:{_utc(shift.end)}"
    yield f"SUMMARY:{escaped(f'{who}, {each.title}' if each.title else who)}"
    yield "END:VEVENT"


def _midnight(now: dt.datetime) -> dt.datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _utc(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def _signer(secret: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=_SALT)
