"""An operator's decision about two histories (protocol.md, section 5, *Fork*).

To accept what is held ends the dispute and touches nothing. To accept what was offered fetches that history from 0,
from whoever serves it, proves it, and puts it in the place of the held one in one transaction, or changes nothing.
"""

from sqlalchemy.orm import Session

from federation.checkpoint import Checkpoint, verify_checkpoint
from federation.disputes import Dispute, resolve
from federation.errors import FederationError, LogIntegrityError, NotHeldError
from federation.head import Head
from federation.log import append_entries, load_head, reset_log
from federation.merkle import EMPTY_ROOT, Frontier
from federation.participants import TrustedNode
from sync.disputing import offered_sources
from sync.errors import PeerError
from sync.fetching import Allowance, Fetching, fetch_log, read_spooled
from sync.run import Run, Traffic
from sync.source import Source
from sync.spool import Spool, disk_errors_explained
from sync.storing import store
from sync.trusted_log import TrustedLog
from sync.wanted import want_refresh


def accept_held(run: Run, dispute: Dispute, reason: str) -> None:
    """End the dispute; what is held goes on, and this pair disputes no more.

    Raises ConcurrentAppendError where somebody has decided already.
    """

    def decide(session: Session) -> None:
        resolve(session, dispute, "held", reason, run.now)
        _follow_soon(session, run, dispute.participant)

    store(run.node.engine, decide)


def accept_offered(run: Run, node: TrustedNode, dispute: Dispute, reason: str) -> Head:
    """Replace what is held by the offered history; the new head.

    Raises TokenError ``unknown_key`` where the offered checkpoint's key is no longer listed, and the failure of the
    likeliest source where nobody serves that history whole. Nothing has changed then.
    """
    offered = _verify(run, node, str(dispute.evidence["offered"]))
    failures: list[PeerError | FederationError] = []
    for source in offered_sources(run, node, dispute, Traffic()):
        try:
            return _replay(run, node, source, dispute, offered, reason)
        except (PeerError, FederationError) as error:
            failures.append(error)
    if not failures:
        raise NotHeldError(f"nobody can be asked for the history that {dispute.participant} offered")
    raise next((each for each in failures if isinstance(each, LogIntegrityError)), failures[0])


def _verify(run: Run, node: TrustedNode, token: str | bytes) -> Checkpoint:
    return verify_checkpoint(
        token,
        entity_id=node.entity_id,
        participant=node.participant,
        keys=node.operating_keys,
        now=run.now,
        relayed=True,
    )


def _replay(run: Run, node: TrustedNode, source: Source, dispute: Dispute, offered: Checkpoint, reason: str) -> Head:
    limits = run.node.limits
    nothing = Head(node.participant, node.trust == "own", 0, EMPTY_ROOT, Frontier(), None, None, None, None, None)
    with disk_errors_explained(), Spool.resume(nothing, limits.memory_bytes, run.node.settings.spool) as spool:
        fetching = Fetching(nothing, spool, limits, Allowance.of(limits))
        log = fetch_log(fetching, source, offered, lambda token: _verify(run, node, token))
        return store(run.node.engine, lambda session: _replace(session, run, log, spool, dispute, reason))


def _replace(session: Session, run: Run, log: TrustedLog, spool: Spool, dispute: Dispute, reason: str) -> Head:
    """The held history goes, the offered one comes, the dispute ends: one transaction."""
    held = load_head(session, dispute.participant, for_update=True)
    if held is None:
        raise NotHeldError(f"no log of {dispute.participant} is held here")
    empty = reset_log(session, dispute.participant, own=held.own)
    head = append_entries(session, empty, read_spooled(spool), log.frontier, log.offered, run.now, from_origin=False)
    resolve(session, dispute, "offered", reason, run.now)
    _follow_soon(session, run, dispute.participant)
    return head


def _follow_soon(session: Session, run: Run, participant: str) -> None:
    """Ask the origin again at once; a node's own log is asked of nobody."""
    if participant != run.node.participant:
        want_refresh(session, participant, run.now)
