"""What became of the attempts to follow each participant, and when the next one is due (abuse.md T14)."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.store import bump_counter
from federation.errors import LogIntegrityError
from sync.storing import put_row
from sync.tables import SyncStatusRow

FIRST_PAUSE = dt.timedelta(minutes=1)
LONGEST_PAUSE = dt.timedelta(hours=24)
_DETAIL = 1000


@dataclass(frozen=True, slots=True)
class Status:
    """The last attempts to follow one participant."""

    last_result: str | None
    detail: str | None
    last_attempt_at: dt.datetime | None
    last_success_at: dt.datetime | None
    source: str | None
    failures: int
    retry_at: dt.datetime | None
    withholding: bool


def pause(failures: int) -> dt.timedelta:
    """How long to wait after so many failures in a row: a minute, doubled each time, up to a day.

    What a ``Retry-After`` says does not matter: a peer cannot make this node wait for ever, or hurry it.
    """
    doublings = 1 << min(max(failures - 1, 0), 20)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def is_retried(error: Exception) -> bool:
    """Whether an early retry can help: a log that contradicts what is held waits for the nightly run or a person."""
    return not isinstance(error, LogIntegrityError)


def load_status(session: Session, participant: str) -> Status | None:
    """The status of one participant; None before the first attempt."""
    row = session.get(SyncStatusRow, participant, populate_existing=True)
    return None if row is None else _status(row)


def load_statuses(session: Session) -> dict[str, Status]:
    """All statuses, by participant."""
    rows = session.execute(sa.select(SyncStatusRow)).scalars()
    return {row.participant: _status(row) for row in rows}


def _status(row: SyncStatusRow) -> Status:
    return Status(
        last_result=row.last_result,
        detail=row.detail,
        last_attempt_at=row.last_attempt_at,
        last_success_at=row.last_success_at,
        source=row.source,
        failures=row.failures,
        retry_at=row.retry_at,
        withholding=row.withholding,
    )


def record_success(
    session: Session, participant: str, source: str, now: dt.datetime, origin_failure: str | None = None
) -> None:
    """A source gave what it should. With ``origin_failure`` that was a relay, and the origin is asked again soon."""
    failures = _failures(session, participant) + 1 if origin_failure else 0
    _put(
        session,
        participant,
        last_result="ok",
        detail=origin_failure and origin_failure[:_DETAIL],
        last_attempt_at=now,
        last_success_at=now,
        source=source,
        failures=failures,
        retry_at=now + pause(failures) if origin_failure else None,
    )


def record_failure(session: Session, participant: str, code: str, detail: str, now: dt.datetime, retry: bool) -> None:
    """An attempt failed with ``code``; what is held stays."""
    failures = _failures(session, participant) + 1
    _put(
        session,
        participant,
        last_result=code,
        detail=detail[:_DETAIL],
        last_attempt_at=now,
        failures=failures,
        retry_at=now + pause(failures) if retry else None,
    )


def mark_withholding(session: Session, participant: str, withholding: bool) -> None:
    """Whether peers hold more than the origin shows, though it was asked again."""
    marked = (
        sa.update(SyncStatusRow)
        .where(SyncStatusRow.participant == participant, SyncStatusRow.withholding != withholding)
        .values(withholding=withholding)
        .execution_options(synchronize_session=False)
    )
    session.execute(marked)
    bump_counter(session, "federation")


def load_due_retries(session: Session, now: dt.datetime) -> list[str]:
    """The participants whose next attempt is due."""
    due = sa.select(SyncStatusRow.participant).where(SyncStatusRow.retry_at <= now)
    return list(session.execute(due.order_by(SyncStatusRow.retry_at)).scalars())


def _failures(session: Session, participant: str) -> int:
    query = sa.select(SyncStatusRow.failures).where(SyncStatusRow.participant == participant)
    return session.execute(query).scalar_one_or_none() or 0


def _put(session: Session, participant: str, **values: object) -> None:
    insert_only = {} if _exists(session, participant) else {"withholding": False}
    put_row(session, SyncStatusRow, {"participant": participant}, {**insert_only, **values})
    bump_counter(session, "federation")


def _exists(session: Session, participant: str) -> bool:
    query = sa.select(SyncStatusRow.participant).where(SyncStatusRow.participant == participant)
    return session.execute(query).first() is not None
