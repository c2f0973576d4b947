"""A rota as iCalendar (RFC 5545), under a secret address per user: calendars of telephones cannot carry a token.

The address holds the user and the rota, signed with the node's secret, and ends with the user's password or account.
"""

import datetime as dt
from collections.abc import Iterator, Mapping

from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from directory.rota import Rota
from directory.rota_schedule import Shift, shifts
from directory.store import Record
from web.accounts import password_mark
from web.content_lines import escaped, folded
from web.errors import ForbiddenError

_SALT = "rota calendar"
_BEHIND, _AHEAD = dt.timedelta(days=31), dt.timedelta(days=183)


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
    return b"".join(folded(line) for line in _lines(record, rota, names, now))


def _lines(record: Record, rota: Rota, names: Mapping[str, str], now: dt.datetime) -> Iterator[str]:
    yield from ("BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Veza//Rota//EN", "CALSCALE:GREGORIAN")
    start = now.replace(hour=0, minute=0, second=0, microsecond=0)
    for shift in shifts(rota, start - _BEHIND, start + _AHEAD):
        yield from _event(record, shift, names)
    yield "END:VCALENDAR"


def _event(record: Record, shift: Shift, names: Mapping[str, str]) -> Iterator[str]:
    who = "Nobody on duty" if shift.member is None else names.get(shift.member, shift.member)
    yield "BEGIN:VEVENT"
    yield f"UID:{_utc(shift.start)}-{record.ref.replace(':', '-').replace('/', '-')}@veza"
    yield f"DTSTAMP:{_utc(record.at)}"
    yield f"DTSTART:{_utc(shift.start)}"
    yield f"DTEND:{_utc(shift.end)}"
    yield f"SUMMARY:{escaped(who)}"
    yield "END:VEVENT"


def _utc(instant: dt.datetime) -> str:
    return instant.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")


def _signer(secret: bytes) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=_SALT)
