"""Following one participant's log: the workflow that joins sources, proof and storage (protocol.md, sections 5 to 7).

1. What is held is read *before* anything is asked, and every answer is compared with that.
2. The origin's own address gives the configuration, then the checkpoint. What is refused there fails the run with its
   code; where no answer comes, or one that cannot be used, relays are asked: the signature decides, not the sender.
3. A rollback is believed only after asking again. Another root at a size that is held or was accepted is a fork.
4. A larger checkpoint is applied when one source gives all its entries. Where what is held does not lead to its root,
   and yet the whole log from 0 does, the origin has rewritten its history: a fork.
5. Everything of one checkpoint is applied in one transaction that begins with a compare-and-swap of the head.
6. What a few peers hold is compared, whatever the origin said. A peer that holds more is a source; the origin is asked
   again, and where it still shows less it is *withholding*. Nothing of this fails a run, but a fork.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TypeVar

from sqlalchemy.orm import Session

from directory.database import reading
from federation.checkpoint import Checkpoint, compare_checkpoint, read_checkpoint, verify_checkpoint
from federation.entries import PAGE, Entry
from federation.errors import ConcurrentAppendError, EntryError, FederationError, LogIntegrityError, TokenError
from federation.evidence import Divergence
from federation.head import Head
from federation.log import append_entries, create_log, load_head, touch_head
from federation.participants import TrustedNode
from sync.comparing import Comparison, fork
from sync.configurations import is_usable, refresh_configuration
from sync.disputing import attend_dispute, seek_divergence
from sync.errors import PeerError, RunLimitError
from sync.fetching import Allowance, Fetching, fetch_log, read_spooled
from sync.gossip import Gossip
from sync.lease import check_epoch
from sync.relays import relay_sources
from sync.run import Run, Traffic
from sync.source import Source
from sync.spool import Spool, disk_errors_explained
from sync.status import mark_withholding, record_success
from sync.storing import store
from sync.trusted_log import TrustedLog

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_RACES = 3
"""How often a run begins again because another process moved the head meanwhile."""


@dataclass(frozen=True, slots=True)
class Followed:
    """What a run achieved for one participant."""

    source: str
    """The entity identifier of the node that gave what was needed."""
    entries: int
    size: int


@dataclass(frozen=True, slots=True)
class _Offer:
    """A verified checkpoint, and who showed it."""

    checkpoint: Checkpoint
    shown_by: Source
    held: Head
    standing: str
    """``fresh`` or ``ahead`` of what was held when it was asked for."""
    from_origin: bool
    """Whether the origin's own address showed it, in this run."""
    origin_failure: str | None = None
    """Why it did not."""


class Follower:
    """One run for one participant. ``follow`` may be called once."""

    def __init__(self, run: Run, node: TrustedNode, traffic: Traffic) -> None:
        self._run = run
        self._node = node
        self._traffic = traffic
        self._participant = node.participant
        self._allowance = Allowance.of(run.node.limits)
        self._origin_shows: int | None = None
        """The size that the origin's own address showed last in this run; None where it was silent."""

    def follow(self) -> Followed:
        """Bring the log up to date from its origin, or from a relay, and compare notes with a few peers.

        Raises FederationError or SyncError with the code of what went wrong; what was held is then unchanged.
        """
        return self._attending(self._follow_and_compare)

    def follow_pushed(self, token: str) -> Followed:
        """Bring the log up to a checkpoint that was pushed and verified on arrival: no other request is needed."""
        return self._attending(lambda: self._until_undisturbed(lambda: self._follow_pushed_once(token)))

    def _attending(self, attempt: Callable[[], Followed]) -> Followed:
        """Whoever finds a fork tells its peers and completes the evidence, before it says so."""
        try:
            return attempt()
        except LogIntegrityError as error:
            if error.code == "fork":
                attend_dispute(self._run, self._node, self._traffic)
            raise

    def _follow_and_compare(self) -> Followed:
        with Gossip(self._run, self._participant, self._traffic) as gossip:
            try:
                followed = self._follow_origin()
            except (PeerError, FederationError) as error:
                if error.code != "fork":
                    self._compare_notes(gossip)
                raise
            return self._compare_notes(gossip) or followed

    def _follow_origin(self) -> Followed:
        self._node = refresh_configuration(self._run, self._node, self._origin(), self._relays())
        return self._until_undisturbed(self._follow_once)

    def _until_undisturbed(self, attempt: Callable[[], _T]) -> _T:
        for _ in range(_RACES - 1):
            try:
                return attempt()
            except ConcurrentAppendError:
                continue  # another process applied something: what is held is read anew
        return attempt()

    def _follow_once(self) -> Followed:
        self._check_undisputed(self._load_held())
        offer = self._find_offer()
        if offer.standing == "ahead":
            return self._advance(offer, self._sources(offer.shown_by))
        return self._confirm(offer)

    def _follow_pushed_once(self, token: str) -> Followed:
        held = self._load_held()
        self._check_undisputed(held)
        if not is_usable(self._node, self._run.now):
            raise TokenError("expired", f"expected a configuration of {self._participant} in force, found none")
        checkpoint = self._verify(token.encode("ascii"), relayed=True)
        standing = self._compare(held, checkpoint, None, relayed=True)
        if standing == "ahead":
            offer = _Offer(checkpoint, self._origin(), held, standing, from_origin=False)
            return self._advance(offer, self._sources(offer.shown_by))
        return Followed(self._node.entity_id, 0, held.size)

    def _origin(self) -> Source:
        return Source(self._run, self._node, self._participant, self._traffic)

    def _relays(self) -> Iterable[Source]:
        return relay_sources(self._run, self._participant, self._traffic)

    def _load_held(self) -> Head:
        with reading(self._run.node.engine) as session:
            head = load_head(session, self._participant)
        if head is not None:
            return head
        return store(self._run.node.engine, lambda session: create_log(session, self._participant, own=False))

    def _check_undisputed(self, held: Head) -> None:
        """A disputed log rests until an operator decides, unless the key of what was offered is no longer listed."""
        if held.disputed is None:
            return
        offered = read_checkpoint(held.disputed)
        if offered.kid in self._node.operating_keys:
            raise LogIntegrityError(
                "fork", f"{self._participant} signed two histories (size {offered.size}); an operator must decide"
            )

    def _verify(self, token: bytes, *, relayed: bool) -> Checkpoint:
        return verify_checkpoint(
            token,
            entity_id=self._node.entity_id,
            participant=self._participant,
            keys=self._node.operating_keys,
            now=self._run.now,
            relayed=relayed,
        )

    @property
    def _comparison(self) -> Comparison:
        return Comparison(self._run, self._node)

    def _compare(self, held: Head, offered: Checkpoint, shown_by: str | None, *, relayed: bool) -> str:
        """Where the offer stands; a fork is recorded with its evidence before it is raised.

        What an operator has refused disputes no more: from a relay it counts for nothing, from the origin it fails.
        """
        place = self._comparison.place(held, offered, shown_by)
        if place != "settled":
            return compare_checkpoint(held, offered, relayed=relayed)
        if relayed:
            return "older"
        raise fork(held, offered)

    def _find_offer(self) -> _Offer:
        """The origin's checkpoint, or the first relay's that is not older than what is held."""
        try:
            return self._ask_origin()
        except PeerError as error:
            failure = error
        for relay in self._relays():
            held = self._load_held()
            try:
                checkpoint = self._verify(relay.checkpoint(), relayed=True)
            except (PeerError, FederationError):
                continue  # what a relay says accuses nobody; another may have better
            standing = self._compare(held, checkpoint, relay.entity_id, relayed=True)
            if standing != "older":
                return _Offer(checkpoint, relay, held, standing, from_origin=False, origin_failure=str(failure))
        raise failure

    def _ask_origin(self) -> _Offer:
        """The checkpoint at the origin's own address; a rollback is believed only when it is shown twice."""
        try:
            return self._ask_origin_once()
        except LogIntegrityError as error:
            if error.code != "rollback":
                raise
        return self._ask_origin_once()

    def _ask_origin_once(self) -> _Offer:
        origin, held = self._origin(), self._load_held()
        checkpoint = self._verify(origin.checkpoint(), relayed=False)
        self._origin_shows = checkpoint.size
        standing = self._compare(held, checkpoint, origin.entity_id, relayed=False)
        return _Offer(checkpoint, origin, held, standing, from_origin=True)

    def _confirm(self, offer: _Offer) -> Followed:
        """Nothing new: the times of the checkpoint are stored."""

        def touch(session: Session) -> None:
            check_epoch(session, self._run.fence)
            touch_head(session, self._participant, offer.checkpoint, self._run.now, from_origin=offer.from_origin)
            self._record(session, offer.shown_by, offer)

        store(self._run.node.engine, touch)
        return Followed(offer.shown_by.entity_id, 0, offer.checkpoint.size)

    def _advance(self, offer: _Offer, sources: Iterable[Source]) -> Followed:
        """Fetch the entries from whoever has them, origin or bringer first, and apply them."""
        failures: list[tuple[Source, PeerError | FederationError]] = []
        for source in sources:
            try:
                followed, found = self._advance_from(source, offer)
            except (PeerError, EntryError, LogIntegrityError) as error:
                self._check_no_fork(offer, error)
                failures.append((source, error))
                continue
            except RunLimitError:
                if not failures:
                    raise
                break  # what failed before is the reason, and nothing more may be fetched
            if found is not None:
                raise found
            return followed
        self._check_not_rewritten(offer, failures)
        raise failures[0][1]

    def _check_no_fork(self, offer: _Offer, error: PeerError | FederationError) -> None:
        """Raise ``fork`` where that is what an attempt failed by: another root was accepted at this size before."""
        if error.code == "fork":
            raise self._dispute(offer) from error

    def _check_not_rewritten(
        self, offer: _Offer, failures: Iterable[tuple[Source, PeerError | FederationError]]
    ) -> None:
        """Raise ``fork`` where a source serves a whole log that gives the signed root and is not what is held."""
        if offer.held.checkpoint is None or not offer.held.size:
            return
        held = read_checkpoint(offer.held.checkpoint)
        for source in [source for source, error in failures if error.code == "root_mismatch"]:
            divergence = seek_divergence(self._run, held, offer.checkpoint, source)
            if divergence is not None:
                raise self._dispute(offer, divergence)

    def _dispute(self, offer: _Offer, divergence: Divergence | None = None) -> LogIntegrityError:
        return self._comparison.dispute(offer.held, offer.checkpoint, offer.shown_by.entity_id, divergence)

    def _sources(self, first: Source) -> Iterable[Source]:
        yield first
        for relay in self._relays():
            if relay.entity_id != first.entity_id:
                yield relay

    def _advance_from(self, source: Source, offer: _Offer) -> tuple[Followed, LogIntegrityError | None]:
        """Apply the entries of one source; with the fork that showed when what was heard of before was compared."""
        limits, folder = self._run.node.limits, self._run.node.settings.spool
        with disk_errors_explained(), Spool.resume(offer.held, limits.memory_bytes, folder) as spool:
            fetching = Fetching(offer.held, spool, limits, self._allowance)
            relayed = not source.is_origin
            log = fetch_log(fetching, source, offer.checkpoint, lambda token: self._verify(token, relayed=relayed))
            found = store(self._run.node.engine, lambda session: self._apply(session, log, spool, source, offer))
        return Followed(source.entity_id, log.position - offer.held.size, log.position), found

    def _apply(
        self, session: Session, log: TrustedLog, spool: Spool, source: Source, offer: _Offer
    ) -> LogIntegrityError | None:
        """All entries of one checkpoint, or none: one transaction, fenced, on the head they were proven against."""
        check_epoch(session, self._run.fence)
        head = load_head(session, self._participant)
        if head is None or (head.size, head.root) != (offer.held.size, offer.held.root):
            raise ConcurrentAppendError(f"the log of {self._participant} moved while its entries were fetched")
        moved = append_entries(
            session,
            head,
            self._going_on(read_spooled(spool)),
            log.frontier,
            log.offered,
            self._run.now,
            from_origin=offer.from_origin,
        )
        self._record(session, source, offer)
        found = self._comparison.apply_kept(session, moved, head.frontier)
        return None if found is None else fork(moved, found.checkpoint)

    def _going_on(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries; a process that is asked to stop gives up the transaction."""
        for number, entry in enumerate(entries):
            if number % PAGE == 0:
                self._run.check_going_on()
            yield entry

    def _record(self, session: Session, source: Source, offer: _Offer) -> None:
        record_success(session, self._participant, source.entity_id, self._run.now, offer.origin_failure)
        if offer.from_origin:  # it shows at least what is held
            mark_withholding(session, self._participant, withholding=False)

    def _compare_notes(self, gossip: Gossip) -> Followed | None:
        """Compare what the peers show with what is held, and take what the origin did not show; what was taken."""
        if not is_usable(self._node, self._run.now):
            return None  # nothing verifies with the keys of an expired configuration
        held = self._load_held()
        shown = self._place_shown(gossip, held)
        self._comparison.check_kept(held)
        if not shown or (self._origin_shows is not None and shown[0].checkpoint.size <= self._origin_shows):
            return None
        followed = self._ask_again()
        for offer in shown:
            followed = self._take(offer, [other.shown_by for other in shown]) or followed
        self._note_withholding(shown[0].checkpoint)
        return followed

    def _place_shown(self, gossip: Gossip, held: Head) -> list[_Offer]:
        """What the peers show and is not contradicted by what is held, largest first."""
        offers = []
        for source, checkpoint in gossip.shown(lambda token: self._verify(token, relayed=True)):
            place = self._comparison.place(held, checkpoint, source.entity_id)
            if place == "ahead":
                self._comparison.keep(checkpoint, source.entity_id)
            if place != "settled":
                offers.append(_Offer(checkpoint, source, held, place, from_origin=False))
        return sorted(offers, key=lambda offer: -offer.checkpoint.size)

    def _ask_again(self) -> Followed | None:
        """What the origin gives when it is asked once more, where it had shown anything at all."""
        if self._origin_shows is None:
            return None
        self._origin_shows = None  # the second answer counts

        def ask() -> Followed | None:
            offer = self._ask_origin_once()
            return self._advance(offer, [offer.shown_by]) if offer.standing == "ahead" else None

        return self._unless_it_fails(ask)

    def _take(self, offer: _Offer, sources: Iterable[Source]) -> Followed | None:
        """Apply what a peer shows and the origin did not, where it is still ahead."""

        def take() -> Followed | None:
            held = self._load_held()
            if offer.checkpoint.size <= held.size:
                return None
            return self._advance(replace(offer, held=held), sources)

        return self._unless_it_fails(take)

    def _unless_it_fails(self, attempt: Callable[[], Followed | None]) -> Followed | None:
        """What a peer has or lacks fails no run: only a fork does."""
        try:
            return self._until_undisturbed(attempt)
        except (PeerError, FederationError, RunLimitError) as error:
            if error.code == "fork":
                raise
            _LOG.info("%s: what peers hold could not be taken: %s", self._participant, error)
            return None

    def _note_withholding(self, largest: Checkpoint) -> None:
        if self._origin_shows is None or largest.size <= self._origin_shows:
            return

        def mark(session: Session) -> None:
            check_epoch(session, self._run.fence)
            mark_withholding(session, self._participant, withholding=True)

        _LOG.warning("%s shows %d entries of %d that it signed", self._participant, self._origin_shows, largest.size)
        store(self._run.node.engine, mark)
