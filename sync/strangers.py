"""Keys and nodes that are not known here yet, and who may be asked about them (protocol.md, sections 2 and 3).

Anybody can provoke these questions with a token of their own making. So the answers come from the anchor, or from an
address that is trusted already or that the anchor vouches for; nothing else is dialled.

- Where a reader or a key is unknown the worker asks, each question once a minute at most, and nobody waits for it.
- The sender of a message is looked up at once: one at a time, ten a minute over all, and a no is kept for ten minutes.
"""

import datetime as dt
import threading
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.addresses import check_entity_id
from federation.errors import FederationError, TokenError, TrustError
from federation.participants import TrustedNode, load_by_entity
from federation.trusted_anchor import load_anchor
from sync.configurations import refresh_configuration
from sync.errors import PeerError
from sync.node import Node
from sync.refresh import introduce
from sync.run import Run, Traffic
from sync.source import Source
from sync.status import load_status
from sync.storing import put_row, store
from sync.tables import JobRow, StrangerRow
from sync.wanted import NEWCOMERS, load_wanted, want_refresh

ASKED_AGAIN_AFTER = dt.timedelta(minutes=1)
LOOKUPS_WITHIN = dt.timedelta(minutes=1)
MOST_LOOKUPS = 10
NO_IS_KEPT = dt.timedelta(minutes=10)
LOOKUP_SECONDS = 3.0
"""For each answer, while the sender waits for its own."""
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


_LOOKING_UP = threading.Lock()
"""A silent anchor holds up one request of this process, not all of them."""


def look_up_sender(node: Node, entity_id: str, now: dt.datetime) -> TrustedNode:
    """A node that sent a message and is not known here: bound now, if the anchor vouches for it.

    Raises TrustError ``unknown_participant`` where the anchor says no or there is none, FederationError ``busy`` where
    it is silent or was asked too often just now: the sender then tries again.
    """
    with reading(node.engine) as session:
        if not _may_be_vouched_for(session, node, entity_id):
            raise _unknown(entity_id)
        _check_may_ask(session, entity_id, now)
    if not _LOOKING_UP.acquire(blocking=False):
        raise _busy("another sender is being looked up")
    try:
        return _look_up(_hurried(Run(node, now)), entity_id)
    finally:
        _LOOKING_UP.release()


def _may_be_vouched_for(session: Session, node: Node, entity_id: str) -> bool:
    """Whether the anchor may be asked: it is not about what an operator pinned or removed by hand, or no address."""
    anchor, known = load_anchor(session), load_by_entity(session, entity_id)
    if anchor is None or (known is not None and known.trust != "anchor"):
        return False
    try:
        check_entity_id(entity_id, node.settings.insecure_urls, anchor.allowed_networks)
    except TrustError:
        return False
    return True


def _check_may_ask(session: Session, entity_id: str, now: dt.datetime) -> None:
    """Raise where a no is still kept, or too many were looked up within the minute."""
    held = session.get(StrangerRow, entity_id, populate_existing=True)
    if held is not None and not held.known and held.asked_at > now - NO_IS_KEPT:
        raise _unknown(entity_id)
    recent = sa.select(sa.func.count()).where(StrangerRow.asked_at > now - LOOKUPS_WITHIN)
    if session.execute(recent).scalar_one() >= MOST_LOOKUPS:
        raise _busy(f"more than {MOST_LOOKUPS} unknown senders a minute")


def _look_up(run: Run, entity_id: str) -> TrustedNode:
    store(run.node.engine, lambda session: _note_asked(session, entity_id, run.now))
    try:
        if not introduce(run, entity_id):
            store(run.node.engine, lambda session: _note_no(session, entity_id, run.now))
            raise _unknown(entity_id)
        return _meet(run, entity_id)
    except (PeerError, TokenError) as error:
        raise _busy(f"the anchor or the sender itself gave no answer that can be used: {error}") from error


def _meet(run: Run, entity_id: str) -> TrustedNode:
    """The node that was just bound, with its configuration from its own address; its log is pulled soon."""
    with reading(run.node.engine) as session:
        bound = load_by_entity(session, entity_id)
    assert bound is not None
    origin = Source(run, bound, bound.participant, Traffic())
    met = refresh_configuration(run, bound, origin, ())
    store(run.node.engine, lambda session: want_refresh(session, bound.participant, run.now))
    return met


def _note_asked(session: Session, entity_id: str, now: dt.datetime) -> None:
    """Count a question before it is asked; what was asked long ago is forgotten. Raises as ``_check_may_ask``."""
    _check_may_ask(session, entity_id, now)
    session.execute(sa.delete(StrangerRow).where(StrangerRow.asked_at <= now - NO_IS_KEPT))
    put_row(session, StrangerRow, {"entity_id": entity_id}, {"asked_at": now, "known": True})


def _note_no(session: Session, entity_id: str, now: dt.datetime) -> None:
    put_row(session, StrangerRow, {"entity_id": entity_id}, {"asked_at": now, "known": False})


def _hurried(run: Run) -> Run:
    """The same run with less patience: somebody waits."""
    settings = run.node.settings
    limits = replace(settings.limits, token_seconds=min(settings.limits.token_seconds, LOOKUP_SECONDS))
    return replace(run, node=replace(run.node, settings=replace(settings, limits=limits)))


def _unknown(entity_id: str) -> TrustError:
    return TrustError("unknown_participant", f"{entity_id[:120]!r} is no node that this one trusts")


def _busy(why: str) -> FederationError:
    return FederationError("busy", f"the sender could not be looked up now ({why}); send the message again")
