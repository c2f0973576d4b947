"""Keys and nodes that are not known here yet: noted, so that the worker asks who they are (protocol.md, section 3).

Anybody can provoke these questions with a token of their own making. So nothing is dialled while a request waits, each
question is asked at most once a minute, and its answer comes from the anchor or an address that is trusted already.
"""

import datetime as dt

from sqlalchemy.orm import Session

from directory.database import reading
from federation.participants import TrustedNode, load_by_entity
from federation.trusted_anchor import load_anchor
from sync.node import Node
from sync.status import load_status
from sync.storing import store
from sync.tables import JobRow
from sync.wanted import NEWCOMERS, load_wanted, want_refresh

ASKED_AGAIN_AFTER = dt.timedelta(minutes=1)
INTRODUCTIONS = "introductions"
"""The job that asks the anchor whom it vouches for now."""


def note_unknown_reader(node: Node, entity_id: str, now: dt.datetime) -> None:
    """A reader's token could not be verified for want of its key: let the worker find out whether it may be known."""
    with reading(node.engine) as session:
        reader = load_by_entity(session, entity_id)
        has_anchor = load_anchor(session) is not None
    if reader is not None and reader.is_trusted(now):
        ask_for_configuration(node, reader, now)
    elif has_anchor:
        _ask_for(node, NEWCOMERS, now)


def ask_for_configuration(node: Node, author: TrustedNode, now: dt.datetime) -> None:
    """Let the worker fetch the configuration that may list an unknown key."""
    if author.trust != "own":
        _ask_for(node, author.participant, now)


def _ask_for(node: Node, wanted: str, now: dt.datetime) -> None:
    with reading(node.engine) as session:
        last = _last_asked(session, wanted)
        waiting = wanted in load_wanted(session)
    if not waiting and (last is None or now - last >= ASKED_AGAIN_AFTER):
        store(node.engine, lambda session: want_refresh(session, wanted, now))


def _last_asked(session: Session, wanted: str) -> dt.datetime | None:
    if wanted == NEWCOMERS:
        job = session.get(JobRow, INTRODUCTIONS)
        return None if job is None else job.last_attempt_at
    status = load_status(session, wanted)
    return None if status is None else status.last_attempt_at
