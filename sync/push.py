"""Telling peers at once what is new here: the own configuration and checkpoint (protocol.md, section 7).

A peer gets at most one push per second and only ever the newest statement, so many changes in a row cost one. What it
did not take is sent again with growing pauses until it answers ``202``: a removed key dies everywhere. The
configuration goes before the checkpoint, which its keys may be needed for.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.log import load_head
from federation.own_node import load_own_node
from federation.participants import TrustedNode, configurations_chain, load_configuration, load_participant
from federation.tables import ParticipantRow
from sync.errors import StoppedError, SyncError
from sync.node import Node
from sync.storing import put_row, store
from sync.tables import PushedRow
from sync.transport import ENTITY_STATEMENT, JWT, check_status

FIRST_PAUSE = dt.timedelta(seconds=1)
LONGEST_PAUSE = dt.timedelta(minutes=10)
_ANSWER_BYTES = 64 * 1024
_AT_ONCE = 16
_MOST_LINKS = 8
"""How many configurations are posted to a peer that missed changes; one that was away for longer fetches the chain."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement of this node that its peers should have."""

    kind: str
    """``configuration`` or ``checkpoint``."""
    token: str
    issued_at: dt.datetime

    @property
    def digest(self) -> bytes:
        """What tells this statement from an earlier one."""
        return hashlib.sha256(self.token.encode("ascii")).digest()


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of the last push of one kind to one peer."""

    digest: bytes
    failures: int
    retry_at: dt.datetime | None

    def lacks(self, statement: Statement) -> bool:
        """Whether the peer has still to take this statement."""
        return self.failures > 0 or self.digest != statement.digest

    def waits(self, statement: Statement, now: dt.datetime) -> bool:
        """Whether a pause after a failure lasts on. A new configuration does not wait for it: it may remove a key."""
        if self.retry_at is None or self.retry_at <= now:
            return False
        return statement.kind != "configuration" or self.digest == statement.digest


_NOTHING = Pushed(b"", 0, None)
_SELECT_PEERS = (
    sa.select(ParticipantRow.participant)
    .where(ParticipantRow.trust != "own", ParticipantRow.ended_at.is_(None))
    .order_by(ParticipantRow.participant)
)


@dataclass(frozen=True, slots=True)
class Push:
    """One peer and the statements that it lacks, in order."""

    peer: TrustedNode
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Whether a peer took a statement."""

    participant: str
    statement: Statement
    failure: str | None


def pause(failures: int) -> dt.timedelta:
    """How long to wait after so many failures in a row: a second, doubled each time, up to ten minutes."""
    return min(FIRST_PAUSE * (1 << min(max(failures - 1, 0), 20)), LONGEST_PAUSE)


def load_statements(session: Session, participant: str) -> tuple[Statement, ...]:
    """This node's own newest statements, the configuration first; no checkpoint that may not be the newest."""
    configuration, head = load_configuration(session, participant), load_head(session, participant)
    found = []
    if configuration is not None:
        found.append(Statement("configuration", configuration.token, configuration.issued_at))
    if head is None or head.disputed is not None or load_own_node(session).held_back is not None:
        return tuple(found)
    if head.checkpoint is not None and head.issued_at is not None:
        found.append(Statement("checkpoint", head.checkpoint, head.issued_at))
    return tuple(found)


def load_peers(session: Session, now: dt.datetime) -> list[TrustedNode]:
    """Every other node that is trusted now."""
    return _load(session, session.execute(_SELECT_PEERS).scalars(), now)


def _load(session: Session, codes: Iterable[str], now: dt.datetime) -> list[TrustedNode]:
    nodes = (load_participant(session, code) for code in list(codes))
    return [node for node in nodes if node is not None and node.is_trusted(now)]


def load_lacking(
    session: Session,
    statements: Sequence[Statement],
    pushed: Mapping[tuple[str, str], Pushed],
    now: dt.datetime,
) -> list[TrustedNode]:
    """Every other node that is trusted now and has still to take one of the statements; only those are loaded."""
    codes = [
        code
        for code in session.execute(_SELECT_PEERS).scalars()
        if any(pushed.get((code, statement.kind), _NOTHING).lacks(statement) for statement in statements)
    ]
    return _load(session, codes, now)


def load_pushed(session: Session) -> dict[tuple[str, str], Pushed]:
    """What was pushed, by participant and kind."""
    rows = session.execute(sa.select(PushedRow)).scalars()
    return {(row.participant, row.kind): Pushed(row.digest, row.failures, row.retry_at) for row in rows}


def plan_pushes(
    peers: Iterable[TrustedNode],
    statements: Sequence[Statement],
    pushed: Mapping[tuple[str, str], Pushed],
    now: dt.datetime,
) -> tuple[list[Push], dt.datetime | None]:
    """The pushes that are due, and when the next one is, of those that wait after a failure."""
    due: dict[str, Push] = {}
    waiting: list[dt.datetime] = []
    for peer, statement in product(peers, statements):
        last = pushed.get((peer.participant, statement.kind), _NOTHING)
        if last.retry_at is not None and last.waits(statement, now):
            waiting.append(last.retry_at)
        elif last.lacks(statement):
            earlier = due.get(peer.participant, Push(peer, ()))
            due[peer.participant] = Push(peer, (*earlier.statements, statement))
    return list(due.values()), min(waiting, default=None)


def push_now(node: Node, now: dt.datetime) -> None:
    """Push what is new to every peer that lacks it, side by side, and remember who took it; the worker goes on.

    Raises StorageError where the outcome could not be written.
    """
    with reading(node.engine) as session:
        statements, pushed = load_statements(session, node.participant), load_pushed(session)
        due, _ = plan_pushes(load_lacking(session, statements, pushed, now), statements, pushed, now)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="push") as pool:
        sent = list(pool.map(lambda push: send_push(node, push), due))
    outcomes = [outcome for each in sent for outcome in each]
    store(node.engine, lambda session: record_outcomes(session, outcomes, now))


def load_behind(session: Session, participant: str, now: dt.datetime) -> list[str]:
    """The peers that have not taken this node's newest configuration yet, by code."""
    newest = [each for each in load_statements(session, participant) if each.kind == "configuration"]
    return [peer.participant for peer in load_lacking(session, newest, load_pushed(session), now)]


def send_push(node: Node, push: Push) -> list[Outcome]:
    """Post the statements to the peer; after one that it did not take, the rest waits with it.

    Raises StoppedError when the process stops.
    """
    outcomes: list[Outcome] = []
    failure: str | None = None
    for statement in push.statements:
        if failure is None:
            failure = _post(node, push.peer, statement)
        outcomes.append(Outcome(push.peer.participant, statement, failure))
    return outcomes


def _post(node: Node, peer: TrustedNode, statement: Statement) -> str | None:
    """Why the peer did not take the statement; None where it did."""
    refusal = _refusal(node, peer, statement.kind, statement.token)
    if refusal is not None and refusal.code == "unknown_key" and statement.kind == "configuration":
        refusal = _post_chain(node, peer)
    return None if refusal is None else str(refusal)


def _post_chain(node: Node, peer: TrustedNode) -> SyncError | None:
    """Why a peer that missed a change of federation keys did not take the newest configuration after those before it.

    What it holds already it refuses as older; only the answer to the last counts.
    """
    with reading(node.engine) as session:
        links = configurations_chain(session, node.participant)[-_MOST_LINKS:]
    refusals = [_refusal(node, peer, "configuration", token) for token in links]
    return refusals[-1]


def _refusal(node: Node, peer: TrustedNode, kind: str, token: str) -> SyncError | None:
    """Why the peer did not take the token; None where it did."""
    configuration = peer.configuration
    default = f"{peer.entity_id}/federation/v1/checkpoints"
    try:
        response = node.transport.post(
            default if configuration is None else configuration.checkpoints_url,
            token.encode("ascii"),
            content_type=JWT if kind == "checkpoint" else ENTITY_STATEMENT,
            accept=None,
            max_bytes=_ANSWER_BYTES,
            seconds=node.limits.token_seconds,
            allowed_networks=peer.allowed_networks,
        )
        check_status(response, 202)
    except StoppedError:
        raise
    except SyncError as error:
        return error
    return None


def record_outcomes(session: Session, outcomes: Iterable[Outcome], now: dt.datetime) -> None:
    """Remember what was taken, and when to try the rest again."""
    pushed = load_pushed(session)
    for outcome in outcomes:
        last = pushed.get((outcome.participant, outcome.statement.kind))
        failures = 0 if outcome.failure is None else 1 + (last.failures if last else 0)
        put_row(
            session,
            PushedRow,
            {"participant": outcome.participant, "kind": outcome.statement.kind},
            {
                "issued_at": outcome.statement.issued_at,
                "digest": outcome.statement.digest,
                "failures": failures,
                "retry_at": now + pause(failures) if failures else None,
            },
        )
