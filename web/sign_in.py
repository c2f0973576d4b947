"""Signing in with a password: counted, limited, and answered alike whoever asks (abuse.md W05–W09, W20).

A try is counted as failed before the password is looked at and forgiven when it was right, so that a hundred tries at
once are a hundred failures. Failures count per name, apart for a browser that this user signed in with before: whoever
guesses locks out strangers, not the user. They also count per address, against one password tried on many names.
"""

import datetime as dt
import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from itsdangerous import BadSignature, URLSafeSerializer
from sqlalchemy.orm import Session

from web.accounts import Principal, secret_digest
from web.errors import RateLimitedError
from web.tables import FailedLoginRow

WINDOW = dt.timedelta(seconds=60)
PER_NAME = 5
PER_ADDRESS = 60
_KEPT = dt.timedelta(hours=1)
_SALT = "known device"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries from where; ``device`` is empty for a browser that this user never signed in with."""

    name: str
    device: str
    address: str


def count_attempt(session: Session, attempt: Attempt, now: dt.datetime) -> int:
    """Count a try as failed until it is forgiven; its number. RateLimitedError where there were too many."""
    session.execute(sa.delete(FailedLoginRow).where(FailedLoginRow.at < now - _KEPT))
    digest = secret_digest(attempt.name)
    recent = FailedLoginRow.at > now - WINDOW
    same_name = sa.and_(recent, FailedLoginRow.name_digest == digest, FailedLoginRow.device == attempt.device)
    same_address = sa.and_(recent, FailedLoginRow.address == attempt.address)
    _refuse(session, same_name, PER_NAME, now)
    _refuse(session, same_address, PER_ADDRESS, now)
    row = FailedLoginRow(name_digest=digest, device=attempt.device, address=attempt.address, at=now)
    session.add(row)
    session.flush()
    return row.id


def forgive_attempt(session: Session, number: int) -> None:
    """The password was right: the try does not count."""
    session.execute(sa.delete(FailedLoginRow).where(FailedLoginRow.id == number))


def make_device_mark(secret: bytes, principal: Principal) -> str:
    """What a browser keeps to be known as one that this user signed in with."""
    return str(URLSafeSerializer(secret, salt=_SALT).dumps([principal.name, secrets.token_urlsafe(16)]))


def known_device(secret: bytes, mark: str, name: str) -> str:
    """The browser's own number where ``mark`` was made for ``name``, else empty."""
    try:
        user, number = URLSafeSerializer(secret, salt=_SALT).loads(mark)
    except (BadSignature, ValueError):
        return ""
    return str(number) if user == name else ""


def safe_target(target: str | None) -> str | None:
    """A path of this node to go on to after signing in; None for anything that could lead elsewhere."""
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\"):
        return None
    return target if target.isprintable() and "\\" not in target else None


def _refuse(session: Session, which: sa.ColumnElement[bool], most: int, now: dt.datetime) -> None:
    found, oldest = session.execute(sa.select(sa.func.count(), sa.func.min(FailedLoginRow.at)).where(which)).one()
    if found >= most:
        wait = int((oldest + WINDOW - now).total_seconds()) + 1
        raise RateLimitedError("too many tries; wait a minute and try again", max(1, wait))
