"""Disputes: two histories that one participant signed, until an operator decides (protocol.md, section 5, *Fork*).

- A log has one dispute at a time: what was found first stays the evidence. Only where the key of what was offered is
  no longer listed, so that the held history goes on, another fork may be found beside it.
- A pair of checkpoints that was decided disputes no more, in either order; nor does the one that was not accepted,
  however far what is held has grown since.
- The dispute of a log that was decided is kept with its evidence and the operator's reason.

The only writer of the tables ``dispute`` and ``heard_checkpoint``.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import count_changed, insert_into
from directory.database import Base
from directory.store import bump_counter
from federation.checkpoint import Checkpoint, read_checkpoint
from federation.encoding import dump_json
from federation.errors import ConcurrentAppendError, NotHeldError
from federation.evidence import Divergence, is_complete, make_evidence
from federation.head import Head
from federation.log import mark_disputed
from federation.participants import load_configurations
from federation.tables import DisputeRow, HeardCheckpointRow, LogRow

Side = Literal["held", "offered"]
Point = tuple[int, bytes]
"""Size and root of a checkpoint."""

HEARD_MOST = 64
"""Checkpoints of one participant that wait to be proven; of more, the oldest are forgotten."""

_LOG = Base.metadata.tables[LogRow.__tablename__]
_DISPUTE = Base.metadata.tables[DisputeRow.__tablename__]
_HEARD = Base.metadata.tables[HeardCheckpointRow.__tablename__]


@dataclass(frozen=True, slots=True)
class Dispute:
    """A fork that was found, and what the operator decided, if anything."""

    id: int
    participant: str
    held: Point
    offered: Point
    evidence: Mapping[str, Any]
    """What ``veza dispute export`` prints."""
    shown_by: str | None
    """The node that showed the offered checkpoint; None where it was posted."""
    detected_at: dt.datetime
    resolved_at: dt.datetime | None
    accepted: Side | None
    reason: str | None
    passed_on_at: dt.datetime | None

    @property
    def is_open(self) -> bool:
        """Whether an operator has still to decide."""
        return self.resolved_at is None

    @property
    def is_complete(self) -> bool:
        """Whether the evidence proves the fork to a third person."""
        return is_complete(self.evidence)


@dataclass(frozen=True, slots=True)
class Heard:
    """A checkpoint that its origin signed, not proven against what is held yet."""

    checkpoint: Checkpoint
    shown_by: str | None


def open_dispute(
    session: Session,
    head: Head,
    offered: Checkpoint,
    *,
    shown_by: str | None,
    now: dt.datetime,
    divergence: Divergence | None = None,
    instead_of: str | None = None,
) -> bool:
    """Record that ``offered`` contradicts what is held at ``head``: the log is disputed from now on.

    ``instead_of`` is the offered token of an open dispute that no longer counts, its key being listed no more. False,
    and nothing is written, where the log is disputed already.
    """
    free = sa.or_(_LOG.c.disputed.is_(None), _LOG.c.disputed == instead_of)
    taken = sa.update(_LOG).where(_LOG.c.participant == head.participant, free).values(disputed=offered.token)
    if count_changed(session, taken) != 1:
        return False
    held = _held_checkpoint(head)
    evidence = make_evidence(held, offered, load_configurations(session, head.participant), divergence)
    values = {
        "participant": head.participant,
        "held_size": held.size,
        "held_root": held.root,
        "offered_size": offered.size,
        "offered_root": offered.root,
        "evidence": dump_json(evidence).decode("utf-8"),
        "shown_by": shown_by,
        "detected_at": now,
    }
    session.execute(sa.insert(_DISPUTE).values(values))
    bump_counter(session, "federation")
    return True


def _held_checkpoint(head: Head) -> Checkpoint:
    if head.checkpoint is None:
        raise NotHeldError(f"no checkpoint of {head.participant} is held, so none can be contradicted")
    return read_checkpoint(head.checkpoint)


def add_divergence(session: Session, dispute: Dispute, divergence: Divergence) -> None:
    """Complete the evidence with the headers, once the offered history could be had.

    LogIntegrityError ``root_mismatch`` where they do not prove it.
    """
    held, offered = (read_checkpoint(dispute.evidence[side]) for side in ("held", "offered"))
    evidence = make_evidence(held, offered, load_configurations(session, dispute.participant), divergence)
    text = dump_json(evidence).decode("utf-8")
    session.execute(sa.update(_DISPUTE).where(_DISPUTE.c.id == dispute.id).values(evidence=text))
    bump_counter(session, "federation")


def load_disputes(session: Session, participant: str | None = None) -> list[Dispute]:
    """All disputes, or one participant's, oldest first."""
    query = sa.select(_DISPUTE).order_by(_DISPUTE.c.id)
    if participant is not None:
        query = query.where(_DISPUTE.c.participant == participant)
    return [_dispute(row) for row in session.execute(query)]


def load_open(session: Session, participant: str) -> Dispute | None:
    """The dispute that an operator has to decide next: the newest open one."""
    found = [dispute for dispute in load_disputes(session, participant) if dispute.is_open]
    return found[-1] if found else None


def _dispute(row: Any) -> Dispute:  # noqa: ANN401  # a row of the table ``dispute``
    return Dispute(
        id=row.id,
        participant=row.participant,
        held=(row.held_size, bytes(row.held_root)),
        offered=(row.offered_size, bytes(row.offered_root)),
        evidence=json.loads(row.evidence),
        shown_by=row.shown_by,
        detected_at=row.detected_at,
        resolved_at=row.resolved_at,
        accepted=row.accepted,
        reason=row.reason,
        passed_on_at=row.passed_on_at,
    )


def is_resolved_pair(session: Session, participant: str, a: Point, b: Point) -> bool:
    """Whether an operator has decided between these two, in either order, or has refused one of them before."""
    for dispute in load_disputes(session, participant):
        if dispute.is_open:
            continue
        refused = dispute.offered if dispute.accepted == "held" else dispute.held
        if {a, b} == {dispute.held, dispute.offered} or refused in (a, b):
            return True
    return False


def claim_passing_on(session: Session, dispute: Dispute, now: dt.datetime) -> bool:
    """Whether the caller is the one to pass both checkpoints on: of all processes one is told so, once."""
    statement = (
        sa.update(_DISPUTE)
        .where(_DISPUTE.c.id == dispute.id, _DISPUTE.c.passed_on_at.is_(None))
        .values(passed_on_at=now)
    )
    return count_changed(session, statement) == 1


def resolve(session: Session, dispute: Dispute, accepted: Side, reason: str, now: dt.datetime) -> None:
    """Record the operator's decision, and end the dispute of the log (the log itself is not touched).

    Raises ConcurrentAppendError where somebody has decided already.
    """
    statement = (
        sa.update(_DISPUTE)
        .where(_DISPUTE.c.id == dispute.id, _DISPUTE.c.resolved_at.is_(None))
        .values(resolved_at=now, accepted=accepted, reason=reason)
    )
    if count_changed(session, statement) != 1:
        raise ConcurrentAppendError(f"the dispute about {dispute.participant} has been decided already")
    remaining = load_open(session, dispute.participant)
    mark_disputed(session, dispute.participant, None if remaining is None else str(remaining.evidence["offered"]))
    forget_heard(session, dispute.participant)


def hear(session: Session, checkpoint: Checkpoint, shown_by: str | None, now: dt.datetime) -> None:
    """Keep a verified checkpoint until it is proven or found to contradict what is held; the oldest give way."""
    values = {
        "participant": checkpoint.participant,
        "size": checkpoint.size,
        "root": checkpoint.root,
        "token": checkpoint.token,
        "shown_by": shown_by,
        "heard_at": now,
    }
    session.execute(insert_into(session, HeardCheckpointRow).values(values).on_conflict_do_nothing())
    kept = (
        sa.select(_HEARD.c.size, _HEARD.c.root)
        .where(_HEARD.c.participant == checkpoint.participant)
        .order_by(_HEARD.c.heard_at.desc(), _HEARD.c.size.desc(), _HEARD.c.root)
    )
    surplus = session.execute(kept.offset(HEARD_MOST).limit(HEARD_MOST)).all()
    forget_heard(session, checkpoint.participant, [(row.size, row.root) for row in surplus])


def load_heard(session: Session, participant: str, up_to: int) -> list[Heard]:
    """The checkpoints that were heard of, of at most this size, smallest first."""
    query = (
        sa.select(_HEARD.c.token, _HEARD.c.shown_by)
        .where(_HEARD.c.participant == participant, _HEARD.c.size <= up_to)
        .order_by(_HEARD.c.size, _HEARD.c.root)
    )
    return [Heard(read_checkpoint(row.token), row.shown_by) for row in session.execute(query)]


def forget_heard(session: Session, participant: str, points: Iterable[Point] | None = None) -> None:
    """Forget these checkpoints, which were proven or refused, or all of the participant's."""
    statement = sa.delete(_HEARD).where(_HEARD.c.participant == participant)
    if points is None:
        session.execute(statement)
        return
    for size, root in points:
        session.execute(statement.where(_HEARD.c.size == size, _HEARD.c.root == root))
