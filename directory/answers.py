"""The answer of a lookup as values, and as JSON (interface.md, section 3, ``/lookup``)."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from directory.deadlines import Deadline
from directory.duty import Contact, Duty, contact_json
from directory.index import Opening
from directory.instants import format_instant
from directory.query import Query
from directory.values import Unit


@dataclass(frozen=True, slots=True)
class Freshness:
    """How old what is shown is: the participant's state (None without a node), and the unit's own confirmation."""

    state: str | None
    checked_at: dt.datetime | None
    age_s: int | None
    verified_at: dt.datetime | None
    verification: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to ask that is open to the asker, with the reasons in words."""

    unit: Unit
    channel: str
    opening: Opening
    duty: Duty
    next_contact: Contact | None
    """Who is next where the unit's rota has a gap."""
    language: str | None
    local_time: dt.datetime
    freshness: Freshness
    reasons: Sequence[str]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A way to ask that a rule removed; ``unit`` is None where nobody would have been there."""

    unit: Unit | None
    channel: str
    rule: str
    reason: str
    next_opening: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Answer:
    """Addressee and fallbacks in order, what else follows from the question, and why not the others."""

    query: Query
    candidates: Sequence[Candidate]
    rejected: Sequence[Rejected]
    deadline: Deadline | None
    language: str | None
    execution_unit: Unit | None
    copy_to: Sequence[Unit]
    europol_copy_assessment: bool
    next_opening: dt.datetime | None
    """Where nobody can be asked now (R13): when the first of them opens."""
    notes: Sequence[str]
    """The status of a name, and claims that have no effect."""


def to_json(answer: Answer) -> dict[str, Any]:
    """Return an answer in the names of the interface. Instants are UTC, ``due`` and local times carry an offset."""
    return {
        "query": answer.query.to_json(),
        "candidates": [_candidate_json(candidate) for candidate in answer.candidates],
        "no_channel": None if answer.candidates else _no_channel_json(answer),
        "deadline": _deadline_json(answer.deadline),
        "language": answer.language,
        "execution_unit": answer.execution_unit.ref if answer.execution_unit else None,
        "copy_to": [unit.ref for unit in answer.copy_to],
        "europol_copy_assessment": answer.europol_copy_assessment,
        "rejected": [_rejected_json(rejected) for rejected in answer.rejected],
        "notes": list(answer.notes),
    }


def _candidate_json(candidate: Candidate) -> dict[str, Any]:
    unit, freshness = candidate.unit, candidate.freshness
    return {
        "unit": unit.ref,
        "channel": candidate.channel,
        "endpoint": {"phone": unit.phone, "email": unit.email, "address": unit.addresses.get(candidate.channel)},
        "open": candidate.opening.is_open,
        "next_opening": _text(candidate.opening.next_opening),
        "on_duty": _duty_json(candidate.duty),
        "next_contact": contact_json(candidate.next_contact) if candidate.next_contact else None,
        "language": candidate.language,
        "local_time": candidate.local_time.isoformat(timespec="seconds"),
        "freshness": {
            "state": freshness.state,
            "checked_at": _text(freshness.checked_at),
            "age_s": freshness.age_s,
            "verified_at": _text(freshness.verified_at),
            "verification": freshness.verification,
        },
        "reasons": list(candidate.reasons),
    }


def _duty_json(duty: Duty) -> dict[str, Any] | None:
    if duty.slug is None:
        return None
    return {
        "id": duty.slug,
        "name": duty.member.name if duty.member else duty.slug,
        "until": _text(duty.until),
        "phone": duty.member.phone if duty.member else None,
    }


def _no_channel_json(answer: Answer) -> dict[str, Any]:
    rules = ", ".join(dict.fromkeys(rejected.rule for rejected in answer.rejected))
    return {
        "rule": "R13",
        "reason": f"no channel: every candidate was removed by {rules}" if rules else "no channel: no candidates",
        "next_opening": _text(answer.next_opening),
    }


def _deadline_json(deadline: Deadline | None) -> dict[str, Any] | None:
    if deadline is None:
        return None
    return {"rule": deadline.rule, "due": deadline.due.isoformat(timespec="seconds"), "profile": deadline.profile}


def _rejected_json(rejected: Rejected) -> dict[str, Any]:
    return {
        "unit": rejected.unit.ref if rejected.unit else None,
        "channel": rejected.channel,
        "rule": rejected.rule,
        "reason": rejected.reason,
        "next_opening": _text(rejected.next_opening),
    }


def _text(instant: dt.datetime | None) -> str | None:
    if instant is None:
        return None
    # Several per answer: what is in UTC already need not be converted, which takes most of format_instant's time.
    if instant.tzinfo is dt.UTC and instant.microsecond == 0:
        return f"{instant.isoformat()[:19]}Z"
    return format_instant(instant)
