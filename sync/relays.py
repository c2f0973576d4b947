"""Whom to ask for a log where its origin does not give it: any other trusted node (protocol.md, section 7)."""

import datetime as dt
import hashlib
import time
from collections.abc import Iterator

from directory.database import reading
from federation.participants import TrustedNode, load_participants
from sync.run import Run, Traffic
from sync.source import Source
from sync.status import Status, load_statuses

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


def peer_sources(run: Run, participant: str, traffic: Traffic) -> list[Source]:
    """Every other trusted node that can be asked now: those that did not answer last time only where no other is left.

    A dead peer would cost each run its limit, and it is asked anew as soon as a sync of its own log succeeded.
    """
    with reading(run.node.engine) as session:
        nodes, statuses = load_participants(session), load_statuses(session)
    candidates = [node for node in nodes if _may_relay(node, participant, run.now)]
    answering = [node for node in candidates if not _was_silent(statuses.get(node.participant))]
    return [Source(run, node, participant, traffic) for node in answering or candidates]


def _was_silent(status: Status | None) -> bool:
    return status is not None and status.last_result in ("unreachable", "timeout")


def _may_relay(node: TrustedNode, participant: str, now: dt.datetime) -> bool:
    if node.trust == "own" or node.participant == participant or node.configuration is None:
        return False
    return node.is_trusted(now) and node.configuration.expires_at > now - EXPIRY_TOLERANCE


def _order(node: TrustedNode, participant: str, statuses: dict[str, Status]) -> tuple[bool, bytes]:
    """Nodes that answered last time come first; among those, each participant has an order of its own."""
    status = statuses.get(node.participant)
    answered = status is not None and status.last_result == "ok"
    return not answered, hashlib.sha256(f"{participant} {node.participant}".encode()).digest()
