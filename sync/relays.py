"""Whom to ask for a log where its origin does not give it: any other trusted node (protocol.md, section 7)."""

import datetime as dt
import hashlib
import time
from collections.abc import Iterator
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.participants import TrustedNode, load_participant, load_participants
from federation.tables import ParticipantRow
from sync.run import Run, Traffic
from sync.source import Source
from sync.status import Status, load_statuses
from sync.tables import SyncStatusRow

_SILENT = frozenset({"unreachable", "timeout"})
EXPIRY_TOLERANCE = dt.timedelta(seconds=300)


def relay_sources(run: Run, participant: str, traffic: Traffic) -> Iterator[Source]:
    """Every other trusted node, the likeliest first, until the time for asking relays is over."""
    with reading(run.node.engine) as session:
        nodes, statuses = load_participants(session), load_statuses(session)
    candidates = [node for node in nodes if _may_relay(node, participant, run.now)]
    ends = time.monotonic() + run.node.limits.relay_seconds
    for node in sorted(candidates, key=lambda node: _order(node, participant, statuses)):
        if time.monotonic() >= ends:
            return
        yield Source(run, node, participant, traffic)


def peer_sources(run: Run, participant: str, traffic: Traffic, most: int) -> list[Source]:
    """Up to ``most`` other trusted nodes, chosen by chance: an origin cannot know who will compare notes.

    Those that did not answer last time are chosen only where no other is left: a dead peer would cost each run its
    limit, and it is asked anew as soon as a sync of its own log succeeded. Only the chosen ones are loaded.
    """
    with reading(run.node.engine) as session:
        answering, silent = _codes_by_answer(session, participant)
        found = _choose(session, run, participant, answering, most) or _choose(session, run, participant, silent, most)
    return [Source(run, node, participant, traffic) for node in found]


def _choose(session: Session, run: Run, participant: str, codes: list[str], most: int) -> list[TrustedNode]:
    nodes = (load_participant(session, code) for code in run.node.chance.sample(codes, len(codes)))
    return list(islice((node for node in nodes if node and _may_relay(node, participant, run.now)), most))


def _codes_by_answer(session: Session, participant: str) -> tuple[list[str], list[str]]:
    """The other participants: those that answered last time or were never asked, and those that were silent."""
    query = (
        sa.select(ParticipantRow.participant, SyncStatusRow.last_result)
        .outerjoin(SyncStatusRow, SyncStatusRow.participant == ParticipantRow.participant)
        .where(ParticipantRow.participant != participant, ParticipantRow.trust != "own")
        .order_by(ParticipantRow.participant)
    )
    codes: tuple[list[str], list[str]] = ([], [])
    for code, last_result in session.execute(query):
        codes[last_result in _SILENT].append(code)
    return codes


def _may_relay(node: TrustedNode, participant: str, now: dt.datetime) -> bool:
    if node.trust == "own" or node.participant == participant or node.configuration is None:
        return False
    return node.is_trusted(now) and node.configuration.expires_at > now - EXPIRY_TOLERANCE


def _order(node: TrustedNode, participant: str, statuses: dict[str, Status]) -> tuple[bool, bytes]:
    """Nodes that answered last time come first; among those, each participant has an order of its own."""
    status = statuses.get(node.participant)
    answered = status is not None and status.last_result == "ok"
    return not answered, hashlib.sha256(f"{participant} {node.participant}".encode()).digest()
