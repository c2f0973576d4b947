"""Following one participant's log: the workflow that joins sources, proof and storage (protocol.md, sections 5 to 7).

1. What is held is read *before* anything is asked, and every answer is compared with that.
2. The origin's own address gives the configuration, then the checkpoint. What is refused there fails the run with its
   code; where no answer comes, or one that cannot be used, relays are asked: the signature decides, not the sender.
3. A rollback is believed only after asking again. Another root at the same size is a fork.
4. A larger checkpoint is applied when one source gives all its entries. Where what is held does not lead to its root,
   and yet the whole log from 0 does, the origin has rewritten its history: a fork.
5. Everything of one checkpoint is applied in one transaction that begins with a compare-and-swap of the head.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from directory.database import reading
from federation.checkpoint import Checkpoint, compare_checkpoint, read_checkpoint, verify_checkpoint
from federation.entries import PAGE, Entry
from federation.errors import ConcurrentAppendError, EntryError, FederationError, LogIntegrityError, TokenError
from federation.head import Head
from federation.log import append_entries, create_log, load_head, mark_disputed, touch_head
from federation.participants import TrustedNode
from sync.configurations import is_usable, refresh_configuration
from sync.errors import PeerError
from sync.fetching import Allowance, Fetching, fetch_log, is_rewritten, read_spooled
from sync.lease import check_epoch
from sync.relays import relay_sources
from sync.run import Run, Traffic
from sync.source import Source
from sync.spool import Spool, disk_errors_explained
from sync.status import record_success
from sync.storing import store
from sync.trusted_log import TrustedLog

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

    def follow(self) -> Followed:
        """Bring the log up to date from its origin, or from a relay.

        Raises FederationError or SyncError with the code of what went wrong; what was held is then unchanged.
        """
        self._node = refresh_configuration(self._run, self._node, self._origin(), self._relays())
        return self._until_undisturbed(self._follow_once)

    def follow_pushed(self, token: str) -> Followed:
        """Bring the log up to a checkpoint that was pushed and verified on arrival: no other request is needed."""
        return self._until_undisturbed(lambda: self._follow_pushed_once(token))

    def _until_undisturbed(self, attempt: Callable[[], Followed]) -> Followed:
        for _ in range(_RACES - 1):
            try:
                return attempt()
            except ConcurrentAppendError:
                continue  # another process applied something: what is held is read anew
        return attempt()

    def _follow_once(self) -> Followed:
        self._check_undisputed(self._load_held())
        offer = self._find_offer()
        return self._advance(offer) if offer.standing == "ahead" else self._confirm(offer)

    def _follow_pushed_once(self, token: str) -> Followed:
        held = self._load_held()
        self._check_undisputed(held)
        if not is_usable(self._node, self._run.now):
            raise TokenError("expired", f"expected a configuration of {self._participant} in force, found none")
        checkpoint = self._verify(token.encode("ascii"), relayed=True)
        standing = self._compare(held, checkpoint, relayed=True)
        if standing == "ahead":
            return self._advance(_Offer(checkpoint, self._origin(), held, standing, from_origin=False))
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

    def _compare(self, held: Head, offered: Checkpoint, *, relayed: bool) -> str:
        """Where the offer stands; a fork is recorded with its evidence before it is raised."""
        try:
            return compare_checkpoint(held, offered, relayed=relayed)
        except LogIntegrityError as error:
            if error.code == "fork":
                self._dispute(offered)
            raise

    def _dispute(self, offered: Checkpoint) -> None:
        def keep(session: Session) -> None:
            check_epoch(session, self._run.fence)
            mark_disputed(session, self._participant, offered.token)

        store(self._run.node.engine, keep)

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
            standing = self._compare(held, checkpoint, relayed=True)
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
        standing = self._compare(held, checkpoint, relayed=False)
        return _Offer(checkpoint, origin, held, standing, from_origin=True)

    def _confirm(self, offer: _Offer) -> Followed:
        """Nothing new: the times of the checkpoint are stored."""

        def touch(session: Session) -> None:
            check_epoch(session, self._run.fence)
            touch_head(session, self._participant, offer.checkpoint, self._run.now, from_origin=offer.from_origin)
            self._record(session, offer.shown_by, offer)

        store(self._run.node.engine, touch)
        return Followed(offer.shown_by.entity_id, 0, offer.checkpoint.size)

    def _advance(self, offer: _Offer) -> Followed:
        """Fetch the entries from whoever has them, origin or bringer first, and apply them."""
        failures: list[PeerError | FederationError] = []
        mismatched: list[Source] = []
        for source in self._sources(offer.shown_by):
            try:
                return self._advance_from(source, offer)
            except (PeerError, EntryError, LogIntegrityError) as error:
                if error.code == "fork":  # another root was accepted at this size before
                    self._dispute(offer.checkpoint)
                    raise
                failures.append(error)
                if error.code == "root_mismatch" and offer.held.size:
                    mismatched.append(source)
        if any(is_rewritten(source, offer.checkpoint, self._run.node.limits) for source in mismatched):
            self._dispute(offer.checkpoint)
            raise LogIntegrityError(
                "fork",
                f"{self._participant} signed a history of {offer.checkpoint.size} entries that does not continue "
                f"the {offer.held.size} held",
            )
        raise failures[0]

    def _sources(self, first: Source) -> Iterable[Source]:
        yield first
        for relay in self._relays():
            if relay.entity_id != first.entity_id:
                yield relay

    def _advance_from(self, source: Source, offer: _Offer) -> Followed:
        limits, folder = self._run.node.limits, self._run.node.settings.spool
        with disk_errors_explained(), Spool.resume(offer.held, limits.memory_bytes, folder) as spool:
            fetching = Fetching(offer.held, spool, limits, self._allowance)
            relayed = not source.is_origin
            log = fetch_log(fetching, source, offer.checkpoint, lambda token: self._verify(token, relayed=relayed))
            store(self._run.node.engine, lambda session: self._apply(session, log, spool, source, offer))
        return Followed(source.entity_id, log.position - offer.held.size, log.position)

    def _apply(self, session: Session, log: TrustedLog, spool: Spool, source: Source, offer: _Offer) -> None:
        """All entries of one checkpoint, or none: one transaction, fenced, on the head they were proven against."""
        check_epoch(session, self._run.fence)
        head = load_head(session, self._participant)
        if head is None or (head.size, head.root) != (offer.held.size, offer.held.root):
            raise ConcurrentAppendError(f"the log of {self._participant} moved while its entries were fetched")
        append_entries(
            session,
            head,
            self._going_on(read_spooled(spool)),
            log.frontier,
            log.offered,
            self._run.now,
            from_origin=offer.from_origin,
        )
        self._record(session, source, offer)

    def _going_on(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries; a process that is asked to stop gives up the transaction."""
        for number, entry in enumerate(entries):
            if number % PAGE == 0:
                self._run.check_going_on()
            yield entry

    def _record(self, session: Session, source: Source, offer: _Offer) -> None:
        record_success(session, self._participant, source.entity_id, self._run.now, offer.origin_failure)
