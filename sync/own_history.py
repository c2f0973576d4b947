"""The own log's entries, taken back from a peer that holds more of them, or the proof that they are others.

What a peer gives is proven like the entries of any log: against a checkpoint that this node itself signed. Where they
do not continue what is held here, and yet the whole log from 0 gives the signed root, this node has signed two
histories: nothing is taken, and an operator decides.
"""

import datetime as dt
from collections.abc import Callable

from sqlalchemy.orm import Session

from federation.checkpoint import Checkpoint, read_checkpoint
from federation.disputes import open_dispute
from federation.errors import ConcurrentAppendError, LogIntegrityError
from federation.evidence import Divergence
from federation.head import Head
from federation.log import append_entries, compute_frontier, load_head, load_seen_root
from sync.disputing import seek_divergence
from sync.fetching import Allowance, Fetching, fetch_log, read_spooled
from sync.run import Run
from sync.source import Source
from sync.spool import Spool, disk_errors_explained
from sync.storing import store
from sync.trusted_log import TrustedLog


class ContradictedError(LogIntegrityError):
    """A checkpoint that this node signed contradicts its own log: the dispute is recorded, an operator must decide."""

    def __init__(self, head: Head, offered: Checkpoint, source: Source) -> None:
        super().__init__(
            "fork",
            f"{source.entity_id} holds {offered.size} entries of another history of the own log, signed by this node; "
            f"{head.size} are held here: `veza dispute` shows both, and an operator must decide",
        )


def root_at(session: Session, head: Head, size: int) -> bytes:
    """The root of the first ``size`` entries of the log at ``head``."""
    if size == head.size:
        return head.root
    return load_seen_root(session, head.participant, size) or compute_frontier(session, head.participant, size).root()


def take_back(run: Run, head: Head, source: Source, offered: Checkpoint, verify: Callable[[bytes], Checkpoint]) -> int:
    """Fetch the entries after ``head`` from the peer, prove them, and append them in one transaction; how many.

    Raises ContradictedError where the offered history is another one, PeerError or FederationError where the peer does
    not give entries that lead to its checkpoint.
    """
    limits = run.node.limits
    with disk_errors_explained(), Spool(head, limits.memory_bytes, run.node.settings.spool) as spool:
        fetching = Fetching(head, spool, limits, Allowance.of(limits))
        try:
            log = fetch_log(fetching, source, offered, verify)
        except LogIntegrityError as error:
            divergence = _seek(run, head, source, offered)
            if divergence is None or not _dispute(run, head, source, offered, divergence):
                raise  # the peer's own fault: what it serves is not what it shows
            raise ContradictedError(head, offered, source) from error
        return store(run.node.engine, lambda session: _append(session, head, log, spool, run.now))


def dispute_own_log(run: Run, head: Head, source: Source, offered: Checkpoint) -> ContradictedError:
    """Record that a checkpoint of at most the own log's size contradicts it, and give the error to raise."""
    divergence = None if offered.size == head.size else _seek(run, head, source, offered)
    if divergence is None or not _dispute(run, head, source, offered, divergence):
        _dispute(run, head, source, offered, None)
    return ContradictedError(head, offered, source)


def _append(session: Session, known: Head, log: TrustedLog, spool: Spool, now: dt.datetime) -> int:
    head = load_head(session, known.participant, for_update=True)
    if head is None or (head.size, head.root) != (known.size, known.root):
        raise ConcurrentAppendError(f"the log of {known.participant} moved while its entries were fetched")
    append_entries(session, head, read_spooled(spool), log.frontier, log.offered, now)
    return log.position - head.size


def _seek(run: Run, head: Head, source: Source, offered: Checkpoint) -> Divergence | None:
    assert head.checkpoint is not None  # every node is made with one
    return seek_divergence(run, read_checkpoint(head.checkpoint), offered, source)


def _dispute(run: Run, head: Head, source: Source, offered: Checkpoint, divergence: Divergence | None) -> bool:
    """Keep both histories as evidence: the own log is disputed from now on. False where nothing proves it."""

    def keep(session: Session) -> None:
        open_dispute(session, head, offered, shown_by=source.entity_id, now=run.now, divergence=divergence)

    try:
        store(run.node.engine, keep)
    except LogIntegrityError:
        return False
    return True
