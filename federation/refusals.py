"""What of other nodes was refused, counted: one row per peer, code and minute, so that a flood stays small.

Written only for those who can be blamed: a node that was asked, or one whose signature verified. Nothing is written
for a post whose signature fails, or anybody could fill the disk, and speak ill of others.
"""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import count_changed, insert_into
from federation.tables import RefusalRow

KEPT_FOR = dt.timedelta(days=396)
"""Thirteen months."""
_DETAIL = 1000
_PEER = 300


@dataclass(frozen=True, slots=True)
class Refusal:
    """How often something of ``peer`` was refused with ``code`` within the minute that begins at ``minute``."""

    peer: str
    """The participant code, or the entity identifier of a node that has none here."""
    code: str
    minute: dt.datetime
    count: int
    detail: str
    """What was wrong with the first of them."""


def record_refusal(session: Session, peer: str, code: str, detail: str, now: dt.datetime, count: int = 1) -> None:
    """Count ``count`` more refusals of ``peer`` with ``code`` in the minute of ``now``."""
    row = {
        "peer": printable(peer)[:_PEER],
        "code": code,
        "minute": now.replace(second=0, microsecond=0),
        "count": count,
        "detail": printable(detail)[:_DETAIL],
    }
    insert = insert_into(session, RefusalRow).values(row)
    more = {"count": RefusalRow.count + insert.excluded["count"]}
    session.execute(insert.on_conflict_do_update(index_elements=["peer", "code", "minute"], set_=more))


def load_refusals(session: Session, since: dt.datetime) -> list[Refusal]:
    """The refusals of the minutes from ``since`` on, oldest first."""
    rows = session.execute(
        sa.select(RefusalRow)
        .where(RefusalRow.minute >= since.replace(second=0, microsecond=0))
        .order_by(RefusalRow.minute, RefusalRow.peer, RefusalRow.code)
    ).scalars()
    return [Refusal(row.peer, row.code, row.minute, row.count, row.detail) for row in rows]


def count_refusals(session: Session) -> dict[tuple[str, str], int]:
    """How many refusals are kept, by peer and code."""
    query = sa.select(RefusalRow.peer, RefusalRow.code, sa.func.sum(RefusalRow.count))
    rows = session.execute(query.group_by(RefusalRow.peer, RefusalRow.code).order_by(RefusalRow.peer, RefusalRow.code))
    return {(peer, code): int(count) for peer, code, count in rows}


def purge_refusals(session: Session, before: dt.datetime) -> int:
    """Forget the refusals of minutes before this instant; how many rows."""
    return count_changed(session, sa.delete(RefusalRow).where(RefusalRow.minute < before))


def printable(text: str) -> str:
    """``text`` with what would break a line, a terminal or a database written as escapes: it may quote a peer."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )
