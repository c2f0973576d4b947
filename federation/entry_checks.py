"""The entries of one log, proven from their stored bytes (protocol.md, sections 4 to 6).

1. The numbers run from 0 without a gap, and the tree over the headers gives the root that was signed, and on the way
   the root of every checkpoint that was accepted. Where it does not, the accepted checkpoints say between which
   entries the first damage lies.
2. Each payload is the one that its header covers; what no later entry supersedes has one, what one supersedes has
   none, or one that waits its hour to be erased. Supersession is judged only where the headers are proven.
"""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain

from sqlalchemy.orm import Session

from federation.checkpoint import Checkpoint
from federation.entries import Entry, Header, check_payload
from federation.errors import FederationError
from federation.finding import REPAIR, RESTORE, Finding, beside
from federation.last_numbers import LastNumbers
from federation.projection import read_header
from federation.stored_log import AfterPage, StackedTree, StoredEntry, StoredLog, read_entry_pages, read_seen

ERASURE_OVERDUE = dt.timedelta(hours=1, minutes=10)
"""A superseded payload is kept for one hour; the job that erases it runs each minute."""


@dataclass(slots=True)
class HeaderWalk:
    """One pass over the headers of a log: ``findings`` first, then the rest is known."""

    log: StoredLog
    signed: Checkpoint | None
    last: LastNumbers
    tree: StackedTree = field(default_factory=StackedTree)
    proven: bool = False
    """Whether the headers are those that the origin signed."""
    bracket: tuple[int, int] = (0, 0)
    """Where they are not: the entries among which the first that differs lies, the end not included."""

    def findings(self, session: Session, after_page: AfterPage) -> Iterator[Finding]:
        """Everything that is wrong with numbers, headers, roots and the frontier."""
        seen = _SeenRoots(session, self.log.participant)
        for page in read_entry_pages(session, self.log.participant, after_page, payloads=False):
            for entry in page:
                if entry.seq != self.tree.size:
                    yield self._misnumbered(entry.seq)
                    return
                self.tree.push(entry.header)
                seen.compare(self.tree)
            self.last.note(_records(page))
        yield from self._judge(seen)

    def _misnumbered(self, found: int) -> Finding:
        expected = self.tree.size
        return Finding(
            self.log.participant, "entry", min(expected, found), f"entry {expected}", f"entry {found}", REPAIR
        )

    def _judge(self, seen: "_SeenRoots") -> Iterator[Finding]:
        computed = (self.tree.size, self.tree.root())
        known = self.log if self.signed is None else self.signed
        expected = (known.size, known.root)
        self.proven = computed == expected
        if not self.proven:
            yield from self._broken(seen, expected)
        else:
            yield from seen.differences()
            yield from self._frontier()

    def _broken(self, seen: "_SeenRoots", expected: tuple[int, bytes]) -> Iterator[Finding]:
        participant, size = self.log.participant, self.tree.size
        if size != expected[0]:
            place = min(size, expected[0])
            yield Finding(participant, "entry", place, f"{expected[0]} entries", f"{size} entries", REPAIR)
        self.bracket = good, bad = seen.bracket(expected[0])
        yield Finding(
            participant,
            "root",
            good,
            f"root {expected[1].hex()} at size {expected[0]}, as signed",
            f"root {self.tree.root().hex()}; the first header that differs is one of entries {good} to {bad - 1}",
            REPAIR,
        )

    def _frontier(self) -> Iterator[Finding]:
        expected, found = self.tree.frontier(), self.log.frontier
        if found != expected:
            shown = beside(expected, found), beside(found, expected)
            yield Finding(self.log.participant, "frontier", self.tree.size, *shown, RESTORE)


class _SeenRoots:
    """The accepted checkpoints beside the tree as it grows; what differs first, and what lies beyond."""

    def __init__(self, session: Session, participant: str) -> None:
        self._participant = participant
        self._remaining = read_seen(session, participant)
        self._next = next(self._remaining, None)
        self._wrong: list[tuple[int, str, str]] = []
        self._good = 0
        while self._next is not None and self._next[0] <= 0:
            self._take(StackedTree().root() if self._next[0] == 0 else None)

    def compare(self, tree: StackedTree) -> None:
        """Hold the tree against the checkpoint of its size, if one was accepted."""
        if self._next is not None and self._next[0] == tree.size:
            self._take(tree.root())

    def _take(self, computed: bytes | None) -> None:
        assert self._next is not None
        size, root = self._next
        if root == computed:
            self._good = size
        elif not self._wrong:
            self._wrong.append((size, "no such checkpoint" if computed is None else computed.hex(), root.hex()))
        self._next = next(self._remaining, None)

    def bracket(self, end: int) -> tuple[int, int]:
        """Up to which size the entries are those accepted, and at which size they no longer are."""
        wrong = self._wrong[0][0] if self._wrong else end
        good = self._good if self._good < wrong else 0
        return good, max(wrong, good + 1)

    def differences(self) -> Iterator[Finding]:
        """The first accepted checkpoint that the proven entries contradict, and the first beyond them."""
        beyond = [(size, "no entries beyond the log", root.hex()) for size, root in _first(self._next)]
        for size, expected, found in chain(self._wrong, beyond):
            yield Finding(self._participant, "accepted checkpoint", size, expected, found, RESTORE)


def _first(item: tuple[int, bytes] | None) -> list[tuple[int, bytes]]:
    return [] if item is None else [item]


def _records(page: list[StoredEntry]) -> Iterator[tuple[str, int]]:
    for entry in page:
        header = read_header(entry.header)
        if isinstance(header, Header):
            yield header.record, entry.seq


@dataclass(frozen=True, slots=True)
class PayloadCheck:
    """What must hold of each payload of one log."""

    log: StoredLog
    last: LastNumbers
    proven: bool
    now: dt.datetime | None
    """None where nobody can say what the time is."""

    def findings(self, page: list[StoredEntry]) -> Iterator[Finding]:
        """Everything that is wrong with the payloads of a page."""
        headers = [read_header(entry.header) for entry in page]
        last = self.last.find([header.record for header in headers if isinstance(header, Header)])
        for entry, header in zip(page, headers, strict=True):
            yield from self._digest(entry)
            if self.proven:
                number = last[header.record] if isinstance(header, Header) else entry.seq
                yield from self._current(entry, header) if number == entry.seq else self._superseded(entry, number)

    def _digest(self, entry: StoredEntry) -> Iterator[Finding]:
        try:
            check_payload(Entry(entry.header, entry.payload))
        except FederationError as error:
            yield self._finding("digest", entry.seq, "the payload that the header covers", str(error))

    def _current(self, entry: StoredEntry, header: object) -> Iterator[Finding]:
        if isinstance(header, Header) and header.op == "put" and entry.payload is None:
            yield self._finding("payload", entry.seq, f"the payload of {header.record}", "none")
        if entry.superseded_at is not None:
            found = f"superseded at {entry.superseded_at}"
            yield self._finding("erasure", entry.seq, "an entry that nothing supersedes", found)

    def _superseded(self, entry: StoredEntry, number: int) -> Iterator[Finding]:
        expected = f"no payload: entry {number} supersedes it"
        if entry.payload is None:
            if entry.superseded_at is not None:
                found = f"none, and yet marked as superseded at {entry.superseded_at}"
                yield self._finding("erasure", entry.seq, expected, found)
            return
        fault = self._waits_wrongly(entry)
        if fault is not None:
            yield self._finding("erasure", entry.seq, expected, fault)

    def _waits_wrongly(self, entry: StoredEntry) -> str | None:
        """Why a superseded payload should be gone; None while it waits its hour."""
        if not self.log.own or entry.superseded_at is None:
            return "a payload that nothing will erase"
        if isinstance(entry.superseded_at, str):
            return f"a payload that was superseded at no instant: {entry.superseded_at[:40]}"
        if self.now is not None and not dt.timedelta(seconds=-300) <= self.now - entry.superseded_at <= ERASURE_OVERDUE:
            return f"a payload that was superseded at {entry.superseded_at}, kept for one hour; now is {self.now}"
        return None

    def _finding(self, what: str, seq: int, expected: str, found: str) -> Finding:
        return Finding(self.log.participant, what, seq, expected, found, REPAIR)
