"""One's own log, compared with what the peers hold of it before anything is signed (protocol.md, section 5).

A node whose database is older than it was (a backup, a copied file, a reverted machine) would sign a second history
without knowing. So it asks all peers side by side, for a few seconds:

1. for newer own configurations, which it takes;
2. for the newest checkpoint of its own log. Only one that its own keys signed, or ``404``, is an answer; expiry
   refuses nothing.

Where one is ahead, the entries are taken back from it, proven like those of any log, and only then does the node sign
again. Where one contradicts the own log, an operator decides. Where none is ahead, or none answers, it signs; after a
restore at least one must have answered, or the operator says that none can be asked.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy.orm import Session

from directory.database import reading
from federation.checkpoint import Checkpoint, verify_checkpoint
from federation.disputes import is_resolved_pair
from federation.errors import FederationError, LogIntegrityError
from federation.head import Head
from federation.log import load_head
from federation.own_node import check_clock_plausible, held_back_words, load_own_node, release
from federation.participants import TrustedNode, load_participant, load_participants, store_configuration
from federation.statements import NodeConfiguration
from federation.trust import follow_chain, parse_chain
from sync.configurations import federation_keys
from sync.errors import ElsewhereError, PeerError, PeerRefusalError
from sync.instance import find_copy
from sync.node import Node
from sync.own_history import ContradictedError, dispute_own_log, root_at, take_back
from sync.run import Run, Traffic
from sync.source import Source
from sync.storing import store

COMPARED_FOR = frozenset({"starting", "restored", "clock"})
"""Why a log may be held back until it was compared."""
_ASKING_SECONDS = 4.8
"""For each of the two questions: both together stay below ten seconds."""
_PEERS_AT_ONCE = 64

A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a peer holds of the own log: a checkpoint that this node signed, or None for nothing at all."""

    source: Source
    checkpoint: Checkpoint | None

    @property
    def size(self) -> int:
        """How far the peer holds the log."""
        return 0 if self.checkpoint is None else self.checkpoint.size


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of comparing the own log with the peers'."""

    released: bool
    """Whether the node may sign checkpoints again, as far as this goes."""
    asked: int
    answered: int
    taken: int
    """Entries that were taken back."""
    detail: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the answers came to."""

    taken: int
    behind: str | None = None
    """Why what a peer holds beyond the own log could not be taken back."""
    disputed: str | None = None
    """How a peer's history contradicts the own log."""


def settle_own_log(node: Node, now: dt.datetime, *, alone: bool = False) -> Comparison:
    """See that this node runs nowhere else, then compare its log; ElsewhereError where it does."""
    found = find_copy(node, now)
    if found is not None:
        raise ElsewhereError(found)
    return compare_own_log(node, now, alone=alone)


def compare_own_log(node: Node, now: dt.datetime, *, alone: bool = False) -> Comparison:
    """Ask the peers what they hold of the own log, take back what is missing here, and let the node sign again.

    With ``alone`` the operator says that nobody's answer is to be waited for. A log that a peer contradicts is
    disputed then, and signed no more for that reason. Raises ClockError while the clock is refused: without read
    tokens nobody can be asked.
    """
    with reading(node.engine) as session:
        reason = load_own_node(session).held_back
        check_clock_plausible(session, now)
        peers = [peer for peer in load_participants(session) if peer.trust != "own" and peer.ended_at is None]
    if reason not in COMPARED_FOR:
        return Comparison(True, 0, 0, 0, "the own log is not held back for a comparison")
    own, answers = _ask(Run(_hurried(node), now), peers)
    outcome = _settle(Run(node, now), own, answers)
    waiting = outcome.behind or _must_wait(reason, answers, alone)
    if waiting is None:
        store(node.engine, lambda session: release(session, reason))
    said = f"{len(answers)} of {len(peers)} peers answered, {outcome.taken} entries were taken back"
    detail = "; ".join(filter(None, (said, outcome.disputed, waiting)))
    return Comparison(waiting is None, len(peers), len(answers), outcome.taken, detail)


def _must_wait(reason: str, answers: Sequence[Answer], alone: bool) -> str | None:
    """Why the node must wait for an answer; None where it need not."""
    return held_back_words(reason) if reason == "restored" and not (answers or alone) else None


def _hurried(node: Node) -> Node:
    """The node with less patience: the questions must not keep it from its work."""
    limits = replace(node.limits, token_seconds=_ASKING_SECONDS, page_seconds=_ASKING_SECONDS)
    return replace(node, settings=replace(node.settings, limits=limits))


def _ask(run: Run, peers: Sequence[TrustedNode]) -> tuple[TrustedNode, list[Answer]]:
    """This node with its newest configuration, and the answers of the peers."""
    own = _load_own(run)
    sources = [Source(run, peer, own.participant, Traffic()) for peer in peers]
    chains = _side_by_side(sources, lambda source: _read_chain(run, own, source))
    _take_configurations(run, chains)
    own = _load_own(run)
    return own, _side_by_side(sources, lambda source: _read_answer(run, own, source))


def _load_own(run: Run) -> TrustedNode:
    with reading(run.node.engine) as session:
        own = load_participant(session, run.node.participant)
    assert own is not None  # every node is made with itself among the participants
    return own


def _side_by_side(sources: Sequence[Source], ask: Callable[[Source], A | None]) -> list[A]:
    """What those gave who answered in time; nobody is waited for longer, also where a question was repeated."""
    if not sources:
        return []
    pool = ThreadPoolExecutor(min(len(sources), _PEERS_AT_ONCE), thread_name_prefix="own-log")
    asked = [pool.submit(ask, source) for source in sources]
    try:
        done, _ = wait(asked, _ASKING_SECONDS)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    answers = [future.result() for future in asked if future in done]
    return [answer for answer in answers if answer is not None]


def _read_chain(run: Run, own: TrustedNode, source: Source) -> tuple[NodeConfiguration, ...] | None:
    """The own configurations that are newer than the one held here, as the peer has them."""
    try:
        return follow_chain(
            parse_chain(source.configurations()),
            start=federation_keys(own),
            held=own.configuration,
            entity_id=own.entity_id,
            participant=own.participant,
            now=run.now,
            insecure_urls=run.node.settings.insecure_urls,
            relayed=True,
        )
    except (PeerError, FederationError):
        return None  # what cannot be proven says nothing


def _take_configurations(run: Run, chains: Iterable[tuple[NodeConfiguration, ...]]) -> None:
    newest = max((chain for chain in chains if chain), key=lambda chain: chain[-1].issued_at, default=())

    def keep(session: Session) -> None:
        for configuration in newest:
            try:
                store_configuration(session, configuration)
            except LogIntegrityError:
                continue  # another process stored a newer one meanwhile

    if newest:
        store(run.node.engine, keep)


def _read_answer(run: Run, own: TrustedNode, source: Source) -> Answer | None:
    try:
        return Answer(source, _verify(run, own, source.checkpoint()))
    except PeerRefusalError as error:
        return Answer(source, None) if (error.status, error.code) == (404, "not_found") else None
    except (PeerError, FederationError):
        return None


def _verify(run: Run, own: TrustedNode, token: bytes) -> Checkpoint:
    return verify_checkpoint(
        token,
        entity_id=own.entity_id,
        participant=own.participant,
        keys=own.operating_keys,
        now=run.now,
        relayed=True,
    )


def _settle(run: Run, own: TrustedNode, answers: Sequence[Answer]) -> _Outcome:
    """Judge the answers, the longest log first."""
    taken, faults = 0, []
    for answer in sorted(answers, key=lambda answer: answer.size, reverse=True):
        if answer.checkpoint is None:
            continue
        try:
            taken += _settle_one(run, own, answer.source, answer.checkpoint)
        except ContradictedError as error:
            return _Outcome(taken, disputed=error.detail)
        except (PeerError, FederationError) as error:
            faults.append(f"{answer.source.entity_id} holds {answer.size} entries of the own log: {error}")
    return _Outcome(taken, behind=faults[0] if faults and _is_behind(run, answers) else None)


def _settle_one(run: Run, own: TrustedNode, source: Source, offered: Checkpoint) -> int:
    """How many entries were taken back from the peer; ContradictedError where its history is another one.

    What an operator has decided before disputes no more.
    """
    with reading(run.node.engine) as session:
        head = _head(session, own.participant)
        decided = is_resolved_pair(session, own.participant, (head.size, head.root), (offered.size, offered.root))
        if decided:
            return 0
        if offered.size <= head.size and root_at(session, head, offered.size) == offered.root:
            return 0
    if offered.size <= head.size:
        raise dispute_own_log(run, head, source, offered)
    return take_back(run, head, source, offered, lambda token: _verify(run, own, token))


def _head(session: Session, participant: str) -> Head:
    head = load_head(session, participant)
    assert head is not None  # every node is made with its own log
    return head


def _is_behind(run: Run, answers: Sequence[Answer]) -> bool:
    """Whether a peer holds more of the own log than could be taken back."""
    with reading(run.node.engine) as session:
        head = _head(session, run.node.participant)
    return max(answer.size for answer in answers) > head.size
