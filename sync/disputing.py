"""What a node does about a fork that it found: it tells its peers once, and completes the evidence (section 7).

Both checkpoints of a dispute are passed on to every other peer, once per dispute and node: so all learn of it within a
round, whoever found it, and a flood of forks costs a peer no more than its operator's decisions allow. The headers of
the offered history are fetched from whoever serves them; where nobody does, the next sync tries again.
"""

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import islice

from directory.database import reading
from federation.checkpoint import Checkpoint, read_checkpoint
from federation.disputes import Dispute, add_divergence, claim_passing_on, load_open
from federation.errors import FederationError
from federation.evidence import Divergence, check_divergence, find_divergence
from federation.participants import TrustedNode, load_participants
from federation.projection import CHUNK, read_stored
from sync.errors import PeerError, RunLimitError
from sync.fetching import read_headers
from sync.relays import peer_sources
from sync.run import Run, Traffic
from sync.source import Source
from sync.storing import store
from sync.transport import JWT

_LOG = logging.getLogger(__name__)
_POSTS_AT_ONCE = 16
_ANSWER_BYTES = 64 * 1024
MAX_PEERS = 1000
SOURCES_TRIED = 5
"""How many nodes are asked for the offered history in one run."""


def attend_dispute(run: Run, accused: TrustedNode, traffic: Traffic) -> None:
    """Do what is still to be done about the participant's open dispute; what fails is tried again at the next sync."""
    with reading(run.node.engine) as session:
        dispute = load_open(session, accused.participant)
    if dispute is None:
        return
    pass_on(run, dispute)
    if not dispute.is_complete:
        complete_evidence(run, dispute, offered_sources(run, accused, dispute, traffic))


def offered_sources(run: Run, accused: TrustedNode, dispute: Dispute, traffic: Traffic) -> list[Source]:
    """Who may serve the offered history: the node that showed it first, then the origin, then the other peers."""
    peers = peer_sources(run, accused.participant, traffic, most=MAX_PEERS)
    origin = [] if accused.trust == "own" else [Source(run, accused, accused.participant, traffic)]
    return sorted([*origin, *peers], key=lambda source: source.entity_id != dispute.shown_by)


def pass_on(run: Run, dispute: Dispute) -> int:
    """Post both checkpoints to every other peer, unless that was done; to how many."""
    if dispute.passed_on_at is not None or not _claim(run, dispute):
        return 0
    with reading(run.node.engine) as session:
        nodes = load_participants(session)
    peers = [node for node in nodes if _may_be_told(node, dispute.participant, run)]
    ends = time.monotonic() + run.node.limits.relay_seconds
    with ThreadPoolExecutor(_POSTS_AT_ONCE, thread_name_prefix="dispute") as pool:
        list(pool.map(lambda peer: _tell(run, peer, dispute, ends), peers))
    return len(peers)


def _claim(run: Run, dispute: Dispute) -> bool:
    return store(run.node.engine, lambda session: claim_passing_on(session, dispute, run.now))


def _may_be_told(node: TrustedNode, accused: str, run: Run) -> bool:
    return node.trust != "own" and node.participant != accused and node.is_trusted(run.now)


def _tell(run: Run, peer: TrustedNode, dispute: Dispute, ends: float) -> None:
    """What is held first: whoever lacks it can compare the other with it. A peer that sees the fork refuses it."""
    configuration = peer.configuration
    default = f"{peer.entity_id}/federation/v1/checkpoints"
    for side in ("held", "offered"):
        if time.monotonic() >= ends:
            return
        run.check_going_on()
        try:
            run.node.transport.post(
                default if configuration is None else configuration.checkpoints_url,
                str(dispute.evidence[side]).encode("ascii"),
                content_type=JWT,
                accept=None,
                max_bytes=_ANSWER_BYTES,
                seconds=run.node.limits.token_seconds,
                allowed_networks=peer.allowed_networks,
            )
        except PeerError as error:
            _LOG.info("%s could not be told of the fork of %s: %s", peer.participant, dispute.participant, error)
            return


def complete_evidence(run: Run, dispute: Dispute, sources: Iterable[Source]) -> bool:
    """Ask these sources for the offered history; whether the evidence is complete now."""
    held, offered = (read_checkpoint(str(dispute.evidence[side])) for side in ("held", "offered"))
    for source in islice(sources, SOURCES_TRIED):
        divergence = seek_divergence(run, held, offered, source)
        if divergence is not None:
            _add(run, dispute, divergence)
            return True
    _LOG.warning("the history that %s offered could not be had yet: the evidence lacks its headers", offered.issuer)
    return False


def _add(run: Run, dispute: Dispute, divergence: Divergence) -> None:
    store(run.node.engine, lambda session: add_divergence(session, dispute, divergence))


def seek_divergence(run: Run, held: Checkpoint, offered: Checkpoint, source: Source) -> Divergence | None:
    """The first header in which the offered history, as ``source`` serves it from 0, differs from what is held.

    None where the source does not serve that history, or where it is a prefix of the other: then nothing is proven.
    """
    mine = _held_headers(run, held.participant, held.size)
    try:
        with closing(read_headers(source, offered, run.node.limits)) as theirs:
            divergence = find_divergence(mine, theirs, held.size, offered.size)
        if divergence is not None:
            check_divergence(held, offered, divergence)
    except (PeerError, FederationError, RunLimitError):
        return None
    return divergence


def _held_headers(run: Run, participant: str, size: int) -> Iterator[bytes]:
    """The held headers, a chunk at a time: no transaction stays open while pages are fetched."""
    for start in range(0, size, CHUNK):
        with reading(run.node.engine) as session:
            chunk = list(read_stored(session, participant, min(start + CHUNK, size), start=start, payloads=False))
        yield from (entry.header for _, entry in chunk)
