"""A followed log as far as it is proven: it takes bytes and only says yes or raises. No network, no database.

Rules (protocol.md, sections 5 and 6), in the order in which they are checked:

1. a page has as many lines as the checkpoint promises, each of the right form, within the limits
   (``bad_range``, ``bad_entry``, ``too_large``);
2. what is held and the new headers together give the signed root (``root_mismatch``);
3. each payload is the one that its header covers (``bad_digest``);
4. when all entries are there, none that still counts lacks its payload (``withheld_payload``).

A page is read once: a fault of rule 3 is remembered and raised only when rule 2 has held, because a payload under a
wrong root accuses the sender and not the origin.
"""

from federation.checkpoint import Checkpoint
from federation.entries import PAGE, Entry, check_payload, decode_page, page_end, parse_header
from federation.errors import EntryError, LogIntegrityError
from federation.head import Head
from federation.merkle import Frontier, leaf_hash


class TrustedLog:
    """One participant's log on its way from what is held to a verified checkpoint."""

    def __init__(self, held: Head, offered: Checkpoint) -> None:
        self.held = held
        self.offered = offered
        self._frontier = held.frontier
        self._proven: tuple[int, bytes] | None = None
        self._bad_payload: EntryError | None = None
        self._missing: dict[str, int] = {}

    @property
    def position(self) -> int:
        """The number of the next entry that is needed."""
        return self._frontier.size

    @property
    def frontier(self) -> Frontier:
        """The compact form of everything read so far."""
        return self._frontier

    @property
    def is_complete(self) -> bool:
        """Whether every entry up to the checkpoint's size was read."""
        return self.position >= self.offered.size

    def wanted_lines(self, start: int) -> int:
        """How many entries the page from ``start`` must bring."""
        return page_end(start, self.offered.size) - start

    def add_page(self, body: bytes, wanted: int | None = None) -> list[Entry]:
        """Read the next page (rule 1); raises EntryError, and then nothing of the page counts."""
        start = self.position
        count = self.wanted_lines(start) if wanted is None else wanted
        entries = decode_page(body, count, PAGE - start % PAGE)
        self._frontier = self._frontier.extend(leaf_hash(entry.header) for entry in entries)
        for entry in entries:
            self._read_payload(entry)
        return entries

    def extend_to(self, newer: Checkpoint) -> None:
        """Go on to a checkpoint that grew meanwhile; what was read stays read."""
        assert newer.size >= self.position
        self.offered = newer

    def prove(self) -> None:
        """Rules 2, 3 and 4 over everything read; raises LogIntegrityError or EntryError."""
        assert self.is_complete
        root = self._frontier.root()
        if root != self.offered.root:
            raise LogIntegrityError(
                "root_mismatch",
                f"{self.held.participant}: the {self.held.size} entries held and the {self.position - self.held.size} "
                f"new ones give the root {root.hex()}, the checkpoint says {self.offered.root.hex()}",
            )
        if self._bad_payload is not None:
            raise self._bad_payload
        if self._missing:
            record, seq = next(iter(self._missing.items()))
            raise EntryError(
                "withheld_payload",
                f"{self.held.participant}: entry {seq} of {record} is the newest and came without its payload "
                f"({len(self._missing)} of that kind)",
            )

    def _read_payload(self, entry: Entry) -> None:
        if entry.payload is None or self._missing:
            self._note_missing(entry)
        if self._bad_payload is None:
            try:
                check_payload(entry)
            except EntryError as error:
                self._bad_payload = error

    def _note_missing(self, entry: Entry) -> None:
        try:
            header = parse_header(entry.header)
        except EntryError:
            return  # a malformed header supersedes nothing, and needs no payload
        self._missing.pop(header.record, None)
        if header.op == "put" and entry.payload is None:
            self._missing[header.record] = header.seq
