"""The federation as this node sees it: who is trusted, how fresh each log is, what was skipped."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sqlalchemy.orm import Session

from directory.freshness import LogFacts, state
from directory.instants import format_instant
from directory.store import load_skipped
from federation.encoding import b64url_encode
from federation.head import Head
from federation.log import load_heads
from federation.participants import TrustedNode, load_participants
from sync.status import Status, load_statuses


def report(session: Session, now: dt.datetime) -> list[dict[str, Any]]:
    """One object per participant, by code, in the form of interface.md, section 2."""
    heads = {head.participant: head for head in load_heads(session)}
    statuses: Mapping[str, Status] = load_statuses(session)
    return [
        _describe(session, node, heads.get(node.participant), _status_of(node, statuses), now)
        for node in load_participants(session)
    ]


def log_facts(head: Head | None, status: Status | None, *, ended: bool = False) -> LogFacts:
    """What decides a log's state; nobody has to ask a node about its own log, and ``ended`` trust asks no more."""
    last_result, withholding = (None, False) if status is None else (status.last_result, status.withholding)
    if head is None:
        return LogFacts(issued_at=None, expires_at=None, last_result=last_result, withholding=withholding, ended=ended)
    return LogFacts(
        issued_at=head.issued_at,
        expires_at=head.expires_at,
        checked_at=head.issued_at if head.own else head.checked_at,
        last_result=last_result,
        disputed=head.disputed is not None,
        withholding=withholding,
        own=head.own,
        ended=ended,
    )


def _status_of(node: TrustedNode, statuses: Mapping[str, Status]) -> Status | None:
    """The last attempts to follow it; a node does not follow itself."""
    return None if node.trust == "own" else statuses.get(node.participant)


def _describe(
    session: Session, node: TrustedNode, head: Head | None, status: Status | None, now: dt.datetime
) -> dict[str, Any]:
    facts = log_facts(head, status, ended=node.ended_at is not None)
    return {
        "participant": node.participant,
        "url": node.entity_id,
        "trust": node.trust,
        "state": state(facts, now),
        "size": 0 if head is None else head.size,
        "root": None if head is None else b64url_encode(head.root),
        "checked_at": _instant(facts.checked_at),
        "expires_at": _instant(facts.expires_at),
        "last_result": None if status is None else status.last_result,
        "last_success_at": _instant(None if status is None else status.last_success_at),
        "skipped": [
            {"seq": skipped.seq, "code": skipped.code, "detail": skipped.detail}
            for skipped in load_skipped(session, node.participant)
        ],
    }


def _instant(instant: dt.datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)
