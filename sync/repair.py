"""Verifying what is held, and repairing what can be proven (protocol.md, sections 4 to 7).

- A damaged entry is fetched again, from its origin or from any node that relays it (one's own from those that hold it),
  and written only where all headers together then give the root that was signed and is held.
- The head, the accepted checkpoints, erasures, counters and the read model follow from the entries.
- A damaged checkpoint or configuration of another node is pulled again; the own checkpoint is signed anew where the
  head and the entries agree.

What cannot be proven is left as it is and named.
"""

import datetime as dt
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import journal_mode, reading
from federation.checkpoint import Checkpoint
from federation.entries import PAGE, Entry, decode_page, page_end
from federation.entry_checks import HeaderWalk, PayloadCheck
from federation.errors import EntryError, FederationError
from federation.finding import Finding
from federation.head import Head
from federation.last_numbers import LastNumbers
from federation.log import ERASE_AFTER
from federation.mending import (
    drop_beyond,
    drop_strays,
    erase_what_is_superseded,
    incomplete_pages,
    lock_log,
    mend_configurations,
    mend_counters,
    mend_head,
    mend_ownership,
    mend_records,
    read_range,
    write_entries,
)
from federation.merkle import Frontier
from federation.participants import load_participant
from federation.projection import rebuild
from federation.publishing import renew_checkpoint
from federation.stored_log import PAGE as ROWS
from federation.stored_log import (
    AfterPage,
    StackedTree,
    StoredLog,
    load_stored_log,
    load_stored_logs,
    read_entry_pages,
)
from federation.tables import EntryRow
from federation.verification import PASSES, begin_snapshot, read_signed, verify_logs
from sync.errors import PeerError, SyncError
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.pull import pull_participant
from sync.relays import relay_sources
from sync.run import Run, Traffic
from sync.source import Source
from sync.spool import Page, Spool, disk_errors_explained
from sync.storing import store

_LOG = logging.getLogger(__name__)
_ROUNDS = 3
"""How often what was repaired is verified, and what that brings to light is repaired."""
_PAYLOADS = {"digest", "payload"}
_ENTRIES = {"entry", "root"} | _PAYLOADS
_HEAD = {"head", "frontier", "accepted checkpoint", "entry", "root"}
_PULLED = {"checkpoint", "configuration", "payload", "trust"}


@dataclass(frozen=True, slots=True)
class Repair:
    """Something that was set right, or the attempt at it."""

    participant: str
    what: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Repaired:
    """What a repair did, and what it could not set right."""

    repairs: list[Repair] = field(default_factory=list)
    remaining: list[Finding] = field(default_factory=list)


def _nothing() -> None:
    """What is done after a page where nobody asks for more."""


def find_damage(engine: sa.Engine, now: dt.datetime, after_page: AfterPage = _nothing) -> list[Finding]:
    """Verify everything held; nothing is changed.

    Where a reader would keep writers out (SQLite's rollback journal), the first pass lets them in after each page; what
    it finds may then be a change that happened meanwhile, so it counts only if a second pass over that log, on one
    state of the database, finds it too.
    """
    with reading(engine) as session:
        begin_snapshot(session)
        shared = engine.dialect.name != "sqlite" or journal_mode() == "WAL"

        def breathe() -> None:
            if not shared:
                session.rollback()
            after_page()

        findings = verify_logs(session, now, breathe)
    if shared or not findings:
        return findings
    with reading(engine) as session:
        codes = dict.fromkeys(finding.participant for finding in findings)
        return [finding for code in codes for finding in verify_logs(session, now, after_page, code)]


def repair(node: Node, now: dt.datetime, *, fence: Fence | None = None, after_page: AfterPage = _nothing) -> Repaired:
    """Verify, repair what can be proven, and verify again until nothing more can be done.

    Raises StoppedError where the process is asked to stop.
    """
    repairs: list[Repair] = []
    run = Run(node, now, fence)

    def go_on() -> None:
        run.check_going_on()
        after_page()

    findings = find_damage(node.engine, now, go_on)
    for _ in range(_ROUNDS):
        if not findings:
            break
        repairs += _Repairing(run, findings).work()
        before, findings = findings, find_damage(node.engine, now, go_on)
        if findings == before:
            break
    return Repaired(repairs, findings)


def rebuild_all(session: Session, now: dt.datetime) -> int:
    """Replay the read model of every log, and erase what is superseded where the headers are proven; rows erased."""
    rebuild(session)
    return sum(
        erase_what_is_superseded(session, log.participant, now - ERASE_AFTER)
        for log in load_stored_logs(session)
        if _is_proven(session, read_signed(session, log))
    )


def count_pages(session: Session) -> int:
    """How often ``after_page`` is called while everything held is verified."""
    sizes = session.execute(sa.select(sa.func.count()).select_from(EntryRow).group_by(EntryRow.participant)).scalars()
    return sum(-(-size // ROWS) * PASSES for size in sizes)


def keep_proven(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Verify everything held, repair what can be proven, and log what was found and what is left to the operator."""
    repaired = repair(node, now, fence=fence)
    for finding in repaired.remaining:
        where = f"{finding.participant or 'the database'}, {finding.what} {finding.place}"
        _LOG.error("%s: expected %s, found %s; %s", where, finding.expected, finding.found, finding.what_to_do)
    _LOG.info("verified: %d repairs, %d differences left", len(repaired.repairs), len(repaired.remaining))


class _Repairing:
    """One round: everything that was found is attempted once, in the order in which each rests on the one before."""

    def __init__(self, run: Run, findings: list[Finding]) -> None:
        self._run = run
        self._found: dict[str, set[str]] = {}
        for finding in findings:
            self._found.setdefault(finding.participant, set()).add(finding.what)
        self._repairs: list[Repair] = []

    def work(self) -> list[Repair]:
        """What was done; what failed is among it, with its reason."""
        everything = set().union(*self._found.values())
        if any(what.endswith("of no log") for what in everything):
            self._attempt("", "rows of no log", lambda: self._store(self._drop_strays))
        if "trust" in everything:
            self._attempt("", "own log", lambda: self._store(self._mend_ownership))
        if "counter" in everything:
            self._attempt("", "counters", lambda: self._store(_mend_counters))
            for participant in self._participants():  # each record is to have a version of its own
                self._found.setdefault(participant, set()).add("read model")
        for participant in sorted(self._found.keys() - {""}):
            self._mend(participant, self._found[participant])
        return self._repairs

    def _participants(self) -> list[str]:
        with reading(self._run.node.engine) as session:
            return [log.participant for log in load_stored_logs(session)]

    def _mend(self, participant: str, found: set[str]) -> None:
        own = participant == self._run.node.participant
        works: tuple[tuple[set[str], str, Callable[[], str]], ...] = (
            ({"configuration"}, "configurations", lambda: self._store(_mend_configurations(participant))),
            (_ENTRIES, "entries", lambda: EntryRepair(self._run, participant).work()),
            ({"erasure", "entry", "root"}, "erasures", lambda: self._store(self._erase(participant))),
            (_HEAD, "head", lambda: self._store(lambda session: _mend_head(session, participant))),
            ({"checkpoint"} & _if(own), "checkpoint", lambda: self._store(self._sign_again)),
            (_PULLED & _if(not own), "newest state", lambda: self._pull(participant)),
            ({"read model", "erasure"} | _ENTRIES, "read model", lambda: self._store(self._replay(participant))),
        )
        for reasons, what, work in works:
            if found & reasons:
                self._attempt(participant, what, work)

    def _attempt(self, participant: str, what: str, work: Callable[[], str]) -> None:
        try:
            outcome = work()
        except (FederationError, SyncError) as error:
            outcome = f"not repaired: {error}"
        _LOG.warning("repair of %s, %s: %s", participant or "the database", what, outcome)
        self._repairs.append(Repair(participant, what, outcome))

    def _store(self, work: Callable[[Session], str]) -> str:
        def fenced(session: Session) -> str:
            check_epoch(session, self._run.fence)
            return work(session)

        return store(self._run.node.engine, fenced)

    def _drop_strays(self, session: Session) -> str:
        return f"{drop_strays(session, self._run.node.participant)} removed"

    def _mend_ownership(self, session: Session) -> str:
        return f"{mend_ownership(session, self._run.node.participant)} set right"

    def _erase(self, participant: str) -> Callable[[Session], str]:
        def erase(session: Session) -> str:
            _check_proven(session, participant)
            return f"{erase_what_is_superseded(session, participant, self._run.now - ERASE_AFTER)} set right"

        return erase

    def _replay(self, participant: str) -> Callable[[Session], str]:
        def replay(session: Session) -> str:
            _check_proven(session, participant)
            mend_records(session, participant, self._run.now)
            return "replayed from the log"

        return replay

    def _sign_again(self, session: Session) -> str:
        """The own head anew, where head and entries agree."""
        log = load_stored_log(session, self._run.node.participant)
        if log is None:
            raise EntryError("bad_range", "the own log has no head")
        tree = StackedTree()
        for entry in read_range(session, log.participant, 0, log.size):
            tree.push(entry.header)
        if (tree.root(), tree.frontier()) != (log.root, log.frontier):
            raise EntryError("bad_range", "the own head and the own entries do not agree: restore a backup")
        checkpoint = renew_checkpoint(session, self._run.node.identity, self._run.now)
        return f"signed anew at size {checkpoint.size}"

    def _pull(self, participant: str) -> str:
        result = pull_participant(self._run.node, participant, self._run.now, fence=self._run.fence)
        return f"pulled again: {result.result}" + (f", {result.detail}" if result.detail else "")


def _if(holds: bool) -> set[str]:
    """Every kind of finding, or none."""
    return _ENTRIES | _HEAD | _PULLED if holds else set()


def _mend_configurations(participant: str) -> Callable[[Session], str]:
    return lambda session: f"{mend_configurations(session, participant)} set right or dropped"


def _mend_counters(session: Session) -> str:
    mend_counters(session)
    return "set ahead of every record"


def _mend_head(session: Session, participant: str) -> str:
    log, signed = load_stored_log(session, participant), _signed(session, participant)
    assert log is not None
    lock_log(session, log)  # what somebody appends meanwhile would be dropped again
    drop_beyond(session, participant, signed.size)
    return f"{mend_head(session, log, signed)} rows set right by the signed checkpoint of size {signed.size}"


def _signed(session: Session, participant: str) -> Checkpoint:
    """The checkpoint that everything is proven against; EntryError ``bad_range`` where none can be."""
    log = load_stored_log(session, participant)
    signed = None if log is None else read_signed(session, log)
    if not isinstance(signed, Checkpoint):
        raise EntryError("bad_range", f"no signed checkpoint of {participant} is held that proves anything")
    return signed


def _check_proven(session: Session, participant: str) -> None:
    """Raise EntryError ``bad_range`` unless the stored headers give the signed root."""
    if not _is_proven(session, _signed(session, participant)):
        raise EntryError("bad_range", f"the headers of {participant} are damaged: its entries must be had first")


def _is_proven(session: Session, signed: Checkpoint | Finding | None) -> bool:
    if not isinstance(signed, Checkpoint):
        return False
    tree = StackedTree()
    try:
        for entry in read_range(session, signed.participant, 0, signed.size):
            tree.push(entry.header)
    except EntryError:
        return False
    return tree.root() == signed.root


class EntryRepair:
    """Fetches the pages of one log that are damaged, proves them against the head held, and writes what differs."""

    def __init__(self, run: Run, participant: str) -> None:
        self._run = run
        self._participant = participant
        self._traffic = Traffic()

    def work(self) -> str:
        """What was done; FederationError or SyncError of the last source where none helped."""
        with reading(self._run.node.engine) as session:
            log, signed = load_stored_log(session, self._participant), _signed(session, self._participant)
            assert log is not None
            stages = _stages(session, log, signed, self._run.now)
        failure: FederationError | SyncError = EntryError("bad_range", "no other node could be asked for the entries")
        for source in self._sources():
            for pages in stages:
                try:
                    return self._mend_from(source, log, signed, pages)
                except (PeerError, FederationError) as error:
                    failure = error
        raise failure

    def _sources(self) -> Iterator[Source]:
        with reading(self._run.node.engine) as session:
            origin = load_participant(session, self._participant)
        if origin is not None and origin.trust != "own":
            yield Source(self._run, origin, self._participant, self._traffic)
        yield from relay_sources(self._run, self._participant, self._traffic)

    def _mend_from(self, source: Source, log: StoredLog, signed: Checkpoint, starts: list[int]) -> str:
        head = Head(log.participant, log.own, signed.size, signed.root, Frontier(), None, None, None, None, None)
        limits = self._run.node.limits
        with disk_errors_explained(), Spool(head, limits.memory_bytes, self._run.node.settings.spool) as spool:
            for start in starts:
                self._run.check_going_on()
                spool.append(Page(start, page_end(start, signed.size) - start, source.page(start)))
            changed = store(self._run.node.engine, lambda session: self._write(session, log, signed, spool))
        return f"{changed} entries written anew, as {source.entity_id} has them and the signed root proves"

    def _write(self, session: Session, log: StoredLog, signed: Checkpoint, spool: Spool) -> int:
        check_epoch(session, self._run.fence)
        lock_log(session, log)
        tree = StackedTree()
        for header in _headers(session, log.participant, signed.size, spool):
            tree.push(header)
        if tree.root() != signed.root:
            raise EntryError("root_mismatch", f"{log.participant}: the pages do not lead to the root that is held")
        changed = drop_beyond(session, log.participant, signed.size)
        for page in spool.pages():
            changed += write_entries(session, log.participant, page.start, _entries(page))
        if changed == 0:
            raise EntryError(
                "withheld_payload", f"{log.participant}: the node asked has not got what is missing either"
            )
        return changed


def _entries(page: Page) -> list[Entry]:
    return decode_page(page.body, page.count)


def _headers(session: Session, participant: str, size: int, spool: Spool) -> Iterator[bytes]:
    """The headers of a log with those of the fetched pages in place of what is stored."""
    position = 0
    for page in spool.pages():
        yield from (entry.header for entry in read_range(session, participant, position, page.start))
        yield from (entry.header for entry in _entries(page))
        position = page.start + page.count
    yield from (entry.header for entry in read_range(session, participant, position, size))


def _stages(session: Session, log: StoredLog, signed: Checkpoint, now: dt.datetime) -> list[list[int]]:
    """Where the pages begin that are fetched: those known to be damaged, those that may be, all of them."""
    with LastNumbers() as last:
        walk = HeaderWalk(log, signed, last)
        findings = list(walk.findings(session, _nothing))
        check = PayloadCheck(log, last, walk.proven, now)
        for page in read_entry_pages(session, log.participant, _nothing):
            findings += [finding for finding in check.findings(page) if finding.what in _PAYLOADS]
    everything = range(0, signed.size, PAGE)
    known = {int(finding.place) // PAGE * PAGE for finding in findings} & set(everything)
    known |= incomplete_pages(session, log.participant, signed.size)
    first, end = walk.bracket
    likely = known | {start for start in everything if first - PAGE < start < end}
    return _each_once([sorted(known), sorted(likely), list(everything)])


def _each_once(stages: list[list[int]]) -> list[list[int]]:
    return [stage for place, stage in enumerate(stages) if stage and stage not in stages[:place]]
