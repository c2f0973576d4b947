"""Pulling: one participant, or all of them side by side, with one result each (interface.md, section 2, ``sync``).

A participant that fails delays no other. Several processes may pull at the same time: the compare-and-swap of each
log's head decides, and the one that comes second finds the log where it wanted it.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.errors import ConcurrentAppendError, FederationError, TokenError, TrustError
from federation.log import load_head
from federation.participants import TrustedNode, load_participant, load_participants
from federation.refusals import record_refusal
from federation.trusted_anchor import load_anchor
from sync.errors import LeaseLostError, StoppedError, StorageError, SyncError
from sync.following import Followed, Follower
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.refresh import NodeFault, Refreshed, refresh_trust
from sync.run import Run, Traffic
from sync.status import is_retried, record_failure
from sync.storing import put_row, storage_code, store
from sync.strangers import INTRODUCTIONS
from sync.tables import JobRow

_LOG = logging.getLogger(__name__)
_FAULTS_RECORDED = 100

Report = Callable[["PullResult"], None]


@dataclass(frozen=True, slots=True)
class PullResult:
    """What a pull of one participant brought."""

    participant: str
    result: str
    """``ok`` or a problem code."""
    detail: str | None
    source: str | None
    """The entity identifier of the node that gave what was needed; None where nobody did."""
    entries: int
    """Entries applied."""
    size: int
    """Entries held now."""
    bytes: int
    requests: int
    seconds: float

    def to_json(self) -> dict[str, object]:
        """The form that ``veza sync`` prints."""
        return {
            "participant": self.participant,
            "result": self.result,
            "detail": self.detail,
            "from": self.source,
            "entries": self.entries,
            "size": self.size,
            "bytes": self.bytes,
            "requests": self.requests,
            "seconds": round(self.seconds, 3),
        }


def pull_all(
    node: Node,
    now: dt.datetime,
    codes: Sequence[str] | None = None,
    *,
    fence: Fence | None = None,
    report: Report | None = None,
) -> list[PullResult]:
    """Ask the anchor, then pull every trusted participant, or those in ``codes``; results by participant.

    A node that the anchor lists and that cannot be bound (its code is taken, it is refused) has a result of its own,
    under the code that it claims or else its entity identifier. ``now`` is the run's one reading of the clock.
    ``report`` is told of each result as it comes.
    """
    run = Run(node, now, fence)
    refreshed = _refresh(run)
    wanted = _codes(run) if codes is None else list(dict.fromkeys(codes))
    results = pull_participants(node, now, wanted, fence=fence, report=report)
    unbound = [_unbound(fault) for fault in refreshed.node_faults if _is_shown(fault, codes)]
    for result in unbound:
        _tell(report, result)
    return [*results, *unbound]


def pull_newcomers(node: Node, now: dt.datetime, *, fence: Fence | None = None) -> list[PullResult]:
    """Ask the anchor whom it vouches for now, and pull those whose configuration is not held yet."""
    run = Run(node, now, fence)

    def remember(session: Session) -> None:
        check_epoch(session, fence)
        put_row(session, JobRow, {"name": INTRODUCTIONS}, {"last_attempt_at": now})

    store(node.engine, remember)
    _refresh(run)
    with reading(node.engine) as session:
        known = {each.participant for each in load_participants(session) if each.configuration is not None}
    return pull_participants(node, now, [code for code in _codes(run) if code not in known], fence=fence)


def pull_participants(
    node: Node, now: dt.datetime, codes: Iterable[str], *, fence: Fence | None = None, report: Report | None = None
) -> list[PullResult]:
    """Pull these participants side by side without asking the anchor."""

    def pull(code: str) -> PullResult:
        result = pull_participant(node, code, now, fence=fence)
        _tell(report, result)
        return result

    with ThreadPoolExecutor(max_workers=node.limits.pulls_at_once, thread_name_prefix="pull") as pool:
        return list(pool.map(pull, codes))


def pull_participant(node: Node, code: str, now: dt.datetime, *, fence: Fence | None = None) -> PullResult:
    """Pull one participant: its configuration, its checkpoint, what is new of its log."""
    return _pull(Run(node, now, fence), code, Follower.follow)


def pull_pushed(node: Node, code: str, token: str, now: dt.datetime, *, fence: Fence | None = None) -> PullResult:
    """Pull one participant up to a checkpoint that was pushed: its new entries are the only request."""
    return _pull(Run(node, now, fence), code, lambda follower: follower.follow_pushed(token))


def _pull(run: Run, code: str, follow: Callable[[Follower], Followed]) -> PullResult:
    traffic = Traffic()
    try:
        followed = follow(Follower(run, _load_trusted(run, code), traffic))
    except (FederationError, SyncError) as error:
        return _failed(run, code, error, traffic)
    except sa.exc.DBAPIError as error:
        known = storage_code(error)
        if known is None:
            raise
        return _failed(run, code, StorageError(known, f"the database could not be read: {error.orig}"), traffic)
    return PullResult(
        participant=code,
        result="ok",
        detail=None,
        source=followed.source,
        entries=followed.entries,
        size=followed.size,
        bytes=traffic.bytes,
        requests=traffic.requests,
        seconds=run.elapsed,
    )


def _refresh(run: Run) -> Refreshed:
    refreshed = refresh_trust(run)
    if refreshed.anchor_fault is not None:
        _LOG.warning("the anchor could not be asked: %s", refreshed.anchor_fault)
    if refreshed.anchor_fault is not None or refreshed.node_faults:
        _write(run, "the anchor's answers", lambda session: _record_refreshed(session, run, refreshed))
    return refreshed


def _record_refreshed(session: Session, run: Run, refreshed: Refreshed) -> None:
    """What was refused of the anchor and of nodes that it lists; of a list of thousands the first faults will do."""
    anchor, fault = load_anchor(session), refreshed.anchor_fault
    if anchor is not None and fault is not None:
        record_refusal(session, anchor.entity_id, fault.code, fault.detail, run.now)
    for each in refreshed.node_faults[:_FAULTS_RECORDED]:
        record_refusal(session, each.participant or each.entity_id, each.code, each.detail, run.now)


def _load_trusted(run: Run, code: str) -> TrustedNode:
    with reading(run.node.engine) as session:
        node = load_participant(session, code)
    if node is None or node.trust == "own" or node.ended_at is not None:
        raise TrustError("unknown_participant", f"no node is trusted for {code}: nothing can be pulled of it")
    if not node.is_trusted(run.now):
        raise TokenError("expired", f"the anchor's word about {code} ended at {node.statement_expires_at}")
    return node


def _codes(run: Run) -> list[str]:
    with reading(run.node.engine) as session:
        nodes = load_participants(session)
    return [node.participant for node in nodes if node.trust != "own" and node.ended_at is None]


def _failed(run: Run, code: str, error: FederationError | SyncError, traffic: Traffic) -> PullResult:
    """The result of a failure, recorded so that it is shown and tried again; what was held is unchanged."""
    _LOG.warning("pull of %s failed: %s", code, error)
    if not isinstance(error, (LeaseLostError, StoppedError)):
        _record(run, code, error)
    with reading(run.node.engine) as session:
        head = load_head(session, code)
    return PullResult(
        participant=code,
        result=error.code,
        detail=error.detail,
        source=None,
        entries=0,
        size=0 if head is None else head.size,
        bytes=traffic.bytes,
        requests=traffic.requests,
        seconds=run.elapsed,
    )


def _record(run: Run, code: str, error: FederationError | SyncError) -> None:
    def keep(session: Session) -> None:
        if load_participant(session, code) is not None:
            record_failure(session, code, error.code, error.detail, run.now, is_retried(error))
            if not isinstance(error, (StorageError, ConcurrentAppendError)):  # those are this node's own troubles
                record_refusal(session, code, error.code, error.detail, run.now)

    _write(run, f"the failure of {code}", keep)


def _write(run: Run, what: str, work: Callable[[Session], None]) -> None:
    """Do ``work`` in a transaction of the run; where that cannot be written, the log alone says so."""

    def keep(session: Session) -> None:
        check_epoch(session, run.fence)
        work(session)

    try:
        store(run.node.engine, keep)
    except SyncError as unrecorded:
        _LOG.warning("%s could not be recorded: %s", what, unrecorded)


def _is_shown(fault: NodeFault, codes: Sequence[str] | None) -> bool:
    """Whether the fault has a result of its own: not where the node is bound, as its own pull says how it stands."""
    _LOG.warning("the anchor lists %s (%s): %s: %s", fault.entity_id, fault.participant, fault.code, fault.detail)
    return not fault.bound and (codes is None or fault.participant in codes)


def _unbound(fault: NodeFault) -> PullResult:
    """The result for a node that the anchor lists and that could not be bound."""
    return PullResult(fault.participant or fault.entity_id, fault.code, fault.detail, None, 0, 0, 0, 0, 0.0)


def _tell(report: Report | None, result: PullResult) -> None:
    if report is not None:
        report(result)
