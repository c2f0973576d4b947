"""Whether the node can do its work: its database, its worker, its own checkpoint (interface.md, section 3)."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.instants import format_instant
from federation.log import load_head
from sync.tables import LeaseRow

CHECKPOINT_RESERVE = dt.timedelta(hours=6)
"""A checkpoint that expires sooner says that nobody renews it: followers will show this node as stale."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that must be so, and what was found."""

    name: str
    passed: bool
    detail: str


def readiness_checks(session: Session, participant: str, now: dt.datetime) -> list[Check]:
    """Every check; the first question to the database raises where that is away."""
    checks = [_worker(session, now), _checkpoint(session, participant, now)]
    return [Check("database", True, "the database answers"), *checks]


def _worker(session: Session, now: dt.datetime) -> Check:
    until = session.scalar(sa.select(sa.func.max(LeaseRow.until)))
    if until is None or until <= now:
        return Check("worker", False, "no worker is running: start `veza serve` or `veza worker`")
    return Check("worker", True, "a worker leads the timetable")


def _checkpoint(session: Session, participant: str, now: dt.datetime) -> Check:
    head = load_head(session, participant)
    if head is None or head.expires_at is None:
        return Check("checkpoint", False, "the own log has no checkpoint yet")
    detail = f"the own checkpoint expires at {format_instant(head.expires_at)}"
    return Check("checkpoint", head.expires_at - now > CHECKPOINT_RESERVE, detail)
