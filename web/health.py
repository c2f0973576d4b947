"""Whether the node can do its work: its database, worker, checkpoint, own log and clock (interface.md, section 3)."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import describe_library
from directory.instants import format_instant
from federation.log import load_head
from federation.own_node import OwnNode, held_back_words, load_own_node
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
    own = load_own_node(session)
    checks = [_worker(session, now), _checkpoint(session, participant, now), _own_log(session, participant, own)]
    checks.append(_clock(own))
    library = describe_library(session.connection().engine)
    return [Check("database", True, f"the database answers: {library}"), *checks]


def _own_log(session: Session, participant: str, own: OwnNode) -> Check:
    head = load_head(session, participant)
    if own.held_back is not None:
        return Check("own_log", False, held_back_words(own.held_back))
    if head is not None and head.disputed is not None:
        return Check("own_log", False, "peers hold another history of the own log: `veza dispute list` shows it")
    return Check("own_log", True, "the own log is what the peers hold of it, as far as they answered")


def _clock(own: OwnNode) -> Check:
    return Check("clock", own.clock_refused is None, own.clock_refused or "the clock can be right")


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
