"""Comparing what a participant signed with what is held of it, whoever shows it (protocol.md, sections 5 and 7).

- Another root at the size held, or at a size that was accepted before, is a fork at once.
- A smaller one whose root was never worked out is compared with the root over the held leaves, at most once a minute
  per participant; until then it is kept.
- A larger one that was posted, or shown by a peer, is kept until the log reaches it.
- A pair that an operator has decided is *settled*: it disputes no more.

A fork is recorded with its evidence before it is raised.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import insert_into
from directory.database import reading
from federation.checkpoint import Checkpoint, read_checkpoint
from federation.comparison import find_contradicting, place_checkpoint, remember_proven
from federation.disputes import Heard, forget_heard, hear, is_resolved_pair, load_heard, open_dispute
from federation.errors import LogIntegrityError
from federation.evidence import Divergence
from federation.head import Head
from federation.merkle import Frontier
from federation.participants import TrustedNode
from sync.lease import check_epoch
from sync.run import Run
from sync.storing import store
from sync.tables import RootCheckRow

CHECKED_AGAIN_AFTER = dt.timedelta(minutes=1)

Place = Literal["ahead", "proven", "unproven", "settled"]

_LAST_CHECK = sa.select(RootCheckRow.checked_at).where(RootCheckRow.participant == sa.bindparam("of"))


class Comparison:
    """One participant's signed checkpoints beside what is held of it, in one run."""

    def __init__(self, run: Run, node: TrustedNode) -> None:
        self._run = run
        self._node = node
        self.has_opened = False
        """Whether a dispute was opened here."""

    def place(self, head: Head, offered: Checkpoint, shown_by: str | None) -> Place:
        """Where a verified checkpoint stands; raises LogIntegrityError ``fork`` where it contradicts what is held."""
        with reading(self._run.node.engine) as session:
            place = place_checkpoint(session, head, offered)
        if place == "contradicting":
            return self._contradicted(head, offered, shown_by)
        if place == "unproven":
            self.keep(offered, shown_by)
            return self._settle_kept(head, offered)
        return place

    def keep(self, offered: Checkpoint, shown_by: str | None) -> None:
        """Keep a verified checkpoint until it is proven, or contradicts."""
        with reading(self._run.node.engine) as session:
            kept = _checkpoints(load_heard(session, offered.participant, offered.size))
        if (offered.size, offered.root) not in {(each.size, each.root) for each in kept}:
            store(self._run.node.engine, lambda session: hear(session, offered, shown_by, self._run.now))

    def check_kept(self, head: Head) -> None:
        """Compare the smaller checkpoints that were kept, unless that was done within the last minute.

        Raises LogIntegrityError ``fork`` where one contradicts what is held.
        """
        found = self._find_among_kept(head)
        if found:
            raise self.dispute(head, found[0].checkpoint, found[0].shown_by)

    def apply_kept(self, session: Session, head: Head, since: Frontier) -> Heard | None:
        """Within the transaction that moved the log from ``since`` to ``head``: compare what was kept meanwhile.

        A contradiction is recorded, and given back for the caller to raise once the transaction is durable.
        """
        kept = load_heard(session, head.participant, head.size)
        found = self._sift(session, head, kept, find_contradicting(session, head, _checkpoints(kept), since))
        if not found:
            return None
        return found[0] if self._open(session, head, found[0].checkpoint, found[0].shown_by, None) else None

    def dispute(
        self, head: Head, offered: Checkpoint, shown_by: str | None, divergence: Divergence | None = None
    ) -> LogIntegrityError:
        """Record a fork and give the error to raise; nothing is written where it is disputed or settled already."""

        def keep(session: Session) -> bool:
            check_epoch(session, self._run.fence)
            settled = _is_settled(session, head, offered)
            return not settled and self._open(session, head, offered, shown_by, divergence)

        if head.disputed is None or self._outlived(head) is not None:
            self.has_opened |= store(self._run.node.engine, keep)
        return fork(head, offered)

    def _contradicted(self, head: Head, offered: Checkpoint, shown_by: str | None) -> Place:
        with reading(self._run.node.engine) as session:
            if _is_settled(session, head, offered):
                return "settled"
        raise self.dispute(head, offered, shown_by)

    def _settle_kept(self, head: Head, offered: Checkpoint) -> Place:
        found = self._find_among_kept(head)
        accused = next((heard for heard in found if heard.checkpoint == offered), found[0] if found else None)
        if accused is not None:
            raise self.dispute(head, accused.checkpoint, accused.shown_by)
        with reading(self._run.node.engine) as session:
            return "proven" if place_checkpoint(session, head, offered) == "proven" else "unproven"

    def _find_among_kept(self, head: Head) -> list[Heard]:
        """Those that contradict what is held and are not settled; none where the last pass was a moment ago."""
        engine = self._run.node.engine
        with reading(engine) as session:
            kept = load_heard(session, head.participant, head.size)
        if not kept or not self._may_check(head.participant):
            return []
        with reading(engine) as session:  # the pass over the log keeps no writer waiting
            judged = find_contradicting(session, head, _checkpoints(kept))
        return store(engine, lambda session: self._sift(session, head, kept, judged))

    def _sift(self, session: Session, head: Head, kept: Sequence[Heard], judged: dict[Checkpoint, bool]) -> list[Heard]:
        """The contradicting ones that count; what is proven is remembered as true, and only those go on waiting."""
        found = [heard for heard in kept if judged.get(heard.checkpoint) and self._counts(session, head, heard)]
        accused = _checkpoints(found)
        _forget(session, {each: contradicts for each, contradicts in judged.items() if each not in accused})
        return found

    def _counts(self, session: Session, head: Head, heard: Heard) -> bool:
        """A key that is no longer listed accuses nobody any more, nor does what an operator has decided."""
        listed = heard.checkpoint.kid in self._node.operating_keys
        return listed and not _is_settled(session, head, heard.checkpoint)

    def _open(
        self, session: Session, head: Head, offered: Checkpoint, shown_by: str | None, divergence: Divergence | None
    ) -> bool:
        return open_dispute(
            session,
            head,
            offered,
            shown_by=shown_by,
            now=self._run.now,
            divergence=divergence,
            instead_of=self._outlived(head),
        )

    def _outlived(self, head: Head) -> str | None:
        """The dispute that the log is in, where the key of what was offered then is no longer listed."""
        if head.disputed is None or read_checkpoint(head.disputed).kid in self._node.operating_keys:
            return None
        return head.disputed

    def _may_check(self, participant: str) -> bool:
        """Whether a minute has passed since the last pass over the log; of all processes one is told so."""
        now = self._run.now
        values = {"participant": participant, "checked_at": now}
        with reading(self._run.node.engine) as session:  # who posts the same again and again costs no write
            last = session.scalar(_LAST_CHECK, {"of": participant})
        if last is not None and dt.timedelta(0) <= now - last < CHECKED_AGAIN_AFTER:
            return False
        due = sa.or_(RootCheckRow.checked_at <= now - CHECKED_AGAIN_AFTER, RootCheckRow.checked_at > now)

        def claim(session: Session) -> bool:
            insert = insert_into(session, RootCheckRow).values(values)
            claimed = insert.on_conflict_do_update(
                index_elements=["participant"], set_={"checked_at": now}, where=due
            ).returning(RootCheckRow.participant)
            return session.execute(claimed).first() is not None

        return store(self._run.node.engine, claim)


def fork(head: Head, offered: Checkpoint) -> LogIntegrityError:
    """Two histories, in words."""
    return LogIntegrityError(
        "fork",
        f"{head.participant} signed two histories: held size {head.size} with root {head.root.hex()}, "
        f"offered size {offered.size} with root {offered.root.hex()}",
    )


def _is_settled(session: Session, head: Head, offered: Checkpoint) -> bool:
    held = (head.size, head.root)
    return is_resolved_pair(session, head.participant, held, (offered.size, offered.root))


def _forget(session: Session, judged: dict[Checkpoint, bool]) -> None:
    """These wait no longer; what is proven is remembered as true, so that it costs nothing when it comes again."""
    remember_proven(session, [checkpoint for checkpoint, contradicts in judged.items() if not contradicts])
    for checkpoint in judged:
        forget_heard(session, checkpoint.participant, [(checkpoint.size, checkpoint.root)])


def _checkpoints(kept: Sequence[Heard]) -> list[Checkpoint]:
    return [heard.checkpoint for heard in kept]
