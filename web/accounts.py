"""Local accounts: passwords, roles, API tokens. Functions take a session and never commit.

Every change bumps the counter ``accounts``, so that each process forgets what it remembered of tokens at once.
"""

import datetime as dt
import hashlib
import json
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

import argon2
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.store import bump_counter
from web.errors import AccountError, UnauthenticatedError, UnknownUserError
from web.tables import ApiTokenRow, SessionRow, UserRow

ROLES = frozenset({"officer", "duty", "rota_admin", "node_admin", "auditor"})
PASSWORD_LENGTHS = (15, 1024)
"""Characters of a password, inclusive; nothing is ever cut off."""
TOKEN_LIFETIME = dt.timedelta(hours=8)
LONGEST_TOKEN_LIFETIME = dt.timedelta(days=366)
COUNTER = "accounts"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TOKEN_PREFIX = "veza_"  # noqa: S105  # tells leaked tokens from other text
_HASHER = argon2.PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""OWASP's second recommendation: strong, and light enough for several sign-ins at once on an old machine."""
_NOBODY = _HASHER.hash(secrets.token_urlsafe())
"""Checked where there is no account, so that an unknown name takes as long as a wrong password."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks: an account with its roles and its unit's slug."""

    name: str
    roles: frozenset[str]
    unit: str | None

    def has(self, *roles: str) -> bool:
        """Whether one of these roles is held."""
        return not self.roles.isdisjoint(roles)


@dataclass(frozen=True, slots=True)
class Account:
    """What an administrator sees of an account."""

    name: str
    roles: tuple[str, ...]
    unit: str | None
    disabled: bool
    created_at: dt.datetime


def add_user(
    session: Session, name: str, password: str, roles: Iterable[str], unit: str | None, now: dt.datetime
) -> Account:
    """Make an account; AccountError where the name is taken or anything is not as expected."""
    if not _NAME.fullmatch(name):
        raise AccountError("a user name has 1 to 64 of a-z, 0-9, dot, hyphen and underscore")
    if session.get(UserRow, name) is not None:
        raise AccountError(f"there is already a user {name}")
    row = UserRow(
        name=name,
        password_hash=_HASHER.hash(_checked_password(name, password)),
        roles=_format_roles(roles),
        unit=_checked_unit(unit),
        disabled=False,
        created_at=now,
    )
    session.add(row)
    session.flush()
    bump_counter(session, COUNTER)
    return _account(row)


def list_users(session: Session) -> list[Account]:
    """Every account by name."""
    return [_account(row) for row in session.scalars(sa.select(UserRow).order_by(UserRow.name))]


def set_roles(session: Session, name: str, roles: Iterable[str], unit: str | None) -> Account:
    """Give an account other roles and another unit; what it may do changes with its next request."""
    row = _load(session, name)
    row.roles = _format_roles(roles)
    row.unit = _checked_unit(unit)
    session.flush()
    bump_counter(session, COUNTER)
    return _account(row)


def set_password(session: Session, name: str, password: str) -> Account:
    """Give an account another password; its sessions and tokens end."""
    row = _load(session, name)
    row.password_hash = _HASHER.hash(_checked_password(name, password))
    _end_access(session, name)
    return _account(row)


def set_disabled(session: Session, name: str, disabled: bool) -> Account:
    """Close or reopen an account; its sessions and tokens end."""
    row = _load(session, name)
    row.disabled = disabled
    _end_access(session, name)
    return _account(row)


def authenticate(session: Session, name: str, password: str) -> Principal:
    """The principal behind a name and password; UnauthenticatedError in equal words whatever was wrong."""
    row = session.get(UserRow, name)
    known = row is not None and not row.disabled
    right = _verify(row.password_hash if row is not None else _NOBODY, password)
    if row is None or not known or not right:
        raise UnauthenticatedError("the name or the password is wrong")
    return _principal(row)


def issue_token(session: Session, user: str, ttl: dt.timedelta, now: dt.datetime) -> str:
    """A new API token of ``user``, returned once; only its digest is kept. AccountError where the time is absurd."""
    if not dt.timedelta(0) < ttl <= LONGEST_TOKEN_LIFETIME:
        raise AccountError(f"a token lives up to {LONGEST_TOKEN_LIFETIME.days} days (found {ttl})")
    row = _load(session, user)
    if row.disabled:
        raise AccountError(f"the user {user} is disabled")
    token = _TOKEN_PREFIX + secrets.token_urlsafe(32)
    session.add(ApiTokenRow(digest=secret_digest(token), user=user, created_at=now, expires_at=now + ttl))
    session.execute(sa.delete(ApiTokenRow).where(ApiTokenRow.expires_at < now))
    session.flush()
    bump_counter(session, COUNTER)
    return token


def revoke_tokens(session: Session, user: str) -> int:
    """End every token of ``user``; how many there were."""
    _load(session, user)
    ended = session.execute(sa.delete(ApiTokenRow).where(ApiTokenRow.user == user))
    bump_counter(session, COUNTER)
    return int(ended.rowcount)  # type: ignore[attr-defined]


def principal_of_token(session: Session, token: str, now: dt.datetime) -> Principal | None:
    """Who a token speaks for, or None where it is unknown, expired or its user disabled."""
    known = find_token(session, token)
    return known[0] if known is not None and now < known[1] else None


def find_token(session: Session, token: str) -> tuple[Principal, dt.datetime] | None:
    """Who a token speaks for and until when, or None where nobody stands behind it."""
    found = session.execute(
        sa.select(UserRow, ApiTokenRow.expires_at)
        .join(ApiTokenRow, ApiTokenRow.user == UserRow.name)
        .where(ApiTokenRow.digest == secret_digest(token), UserRow.disabled.is_(False))
    ).one_or_none()
    return None if found is None else (_principal(found[0]), found[1])


def password_mark(session: Session, user: str) -> str | None:
    """A few characters that change with the user's password; None where the account is closed or gone.

    What was signed together with them (a calendar's address) ends with that password.
    """
    row = session.get(UserRow, user)
    return None if row is None or row.disabled else hashlib.sha256(row.password_hash.encode()).hexdigest()[:16]


def open_session(session: Session, user: str, lifetime: dt.timedelta, now: dt.datetime) -> str:
    """A new browser session of ``user``; its secret, kept only as a digest."""
    secret = secrets.token_urlsafe(32)
    session.execute(sa.delete(SessionRow).where(SessionRow.expires_at < now))
    session.add(SessionRow(digest=secret_digest(secret), user=user, created_at=now, expires_at=now + lifetime))
    session.flush()
    return secret


def principal_of_session(session: Session, secret: str, now: dt.datetime) -> Principal | None:
    """Who is signed in with this secret, or None where the session ended."""
    row = session.scalars(
        sa.select(UserRow)
        .join(SessionRow, SessionRow.user == UserRow.name)
        .where(SessionRow.digest == secret_digest(secret), SessionRow.expires_at > now, UserRow.disabled.is_(False))
    ).one_or_none()
    return None if row is None else _principal(row)


def close_session(session: Session, secret: str) -> None:
    """End a browser session; one that ended before is no error."""
    session.execute(sa.delete(SessionRow).where(SessionRow.digest == secret_digest(secret)))


def secret_digest(secret: str) -> bytes:
    """What is kept of a random secret. One SHA-256 is enough: it holds 256 random bits."""
    return hashlib.sha256(secret.encode()).digest()


def _load(session: Session, name: str) -> UserRow:
    row = session.get(UserRow, name)
    if row is None:
        raise UnknownUserError(f"there is no user {name}")
    return row


def _end_access(session: Session, name: str) -> None:
    session.flush()
    session.execute(sa.delete(SessionRow).where(SessionRow.user == name))
    session.execute(sa.delete(ApiTokenRow).where(ApiTokenRow.user == name))
    bump_counter(session, COUNTER)


def _checked_password(name: str, password: str) -> str:
    shortest, longest = PASSWORD_LENGTHS
    if not shortest <= len(password) <= longest:
        raise AccountError(f"a password has {shortest} to {longest} characters (found {len(password)})")
    if len(set(password)) < 5 or name in password.lower():
        raise AccountError("a password has at least 5 different characters and does not hold the user name")
    return password


def _checked_unit(unit: str | None) -> str | None:
    if unit is not None and not _SLUG.fullmatch(unit):
        raise AccountError(f"a unit is named by its id, such as me-spoc (found {unit!r})")
    return unit


def _format_roles(roles: Iterable[str]) -> str:
    chosen = frozenset(roles)
    if not chosen or not chosen <= ROLES:
        raise AccountError(f"expected one or more of {', '.join(sorted(ROLES))} (found {', '.join(sorted(chosen))})")
    return json.dumps(sorted(chosen))


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password[: PASSWORD_LENGTHS[1] + 1])
    except argon2.exceptions.VerifyMismatchError:
        return False


def _principal(row: UserRow) -> Principal:
    return Principal(row.name, frozenset(json.loads(row.roles)), row.unit)


def _account(row: UserRow) -> Account:
    return Account(row.name, tuple(json.loads(row.roles)), row.unit, row.disabled, row.created_at)
