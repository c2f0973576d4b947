"""The rows of a log as they lie in the database, whatever happened to them: what ``veza verify`` starts from.

Nothing here believes a row. Text is read as bytes where the database would refuse to give it as text, instants that
are none come as what stands there, and rows come in the order of their numbers, also those that should not exist.
"""

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import Base
from federation.tables import EntryRow, LogRow, SeenCheckpointRow

PAGE = 1000
"""Rows that are in memory at once."""
BEFORE_ALL = -(2**63)
_LOG = Base.metadata.tables[LogRow.__tablename__]
_ENTRY = Base.metadata.tables[EntryRow.__tablename__]
_SEEN = Base.metadata.tables[SeenCheckpointRow.__tablename__]

AfterPage = Callable[[], None]
Instant = dt.datetime | str | None
"""An instant in UTC, or what stands in its place."""


@dataclass(frozen=True, slots=True)
class StoredLog:
    """A row of the table ``log``."""

    participant: str
    own: bool
    size: int
    root: bytes
    frontier: bytes
    checkpoint: str | None
    issued_at: Instant
    expires_at: Instant
    disputed: str | None


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """A row of the table ``entry``."""

    seq: int
    header: bytes
    payload: bytes | None
    superseded_at: Instant


class StackedTree:
    """The tree of RFC 9162, section 2.1.1, as a stack of full subtrees; written apart from ``federation.merkle``."""

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[tuple[int, bytes]] = []

    def push(self, header: bytes) -> None:
        """One more leaf, the hash of an entry's header."""
        height, node = 0, hashlib.sha256(b"\x00" + header).digest()
        while self._stack and self._stack[-1][0] == height:
            node = hashlib.sha256(b"\x01" + self._stack.pop()[1] + node).digest()
            height += 1
        self._stack.append((height, node))
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        if not self._stack:
            return hashlib.sha256().digest()
        *lefts, (_, root) = self._stack
        for _, left in reversed(lefts):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root

    def frontier(self) -> bytes:
        """What the column ``frontier`` holds for this tree: the size in 8 bytes, then the subtrees' hashes."""
        return self.size.to_bytes(8, "big") + b"".join(node for _, node in self._stack)


def raw(session: Session, column: Any) -> Any:  # noqa: ANN401  # a column or an expression
    """A text column as what is stored: SQLite may hold bytes that are no text, and would refuse to give them."""
    return sa.cast(column, sa.LargeBinary) if session.get_bind().dialect.name == "sqlite" else column


def raw_instant(session: Session, column: Any) -> Any:  # noqa: ANN401
    """A column of instants as what is stored."""
    return raw(session, sa.type_coerce(column, sa.String))


def as_text(value: Any) -> Any:  # noqa: ANN401
    """Text as stored; bytes that are none are shown escaped, so that they equal nothing valid."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def as_octets(value: Any) -> Any:  # noqa: ANN401
    """Bytes as stored; what SQLite holds in another type, though it may read the same, is no bytes that fit."""
    return value if value is None or isinstance(value, bytes) else b"\x00" + str(value).encode("utf-8", "replace")


def as_instant(value: Any) -> Instant:  # noqa: ANN401
    """An instant as stored, in UTC; the text itself where it is none."""
    found = as_text(value)
    if isinstance(found, str):
        try:
            found = dt.datetime.fromisoformat(found).replace(tzinfo=dt.UTC)
        except ValueError:
            return str(found)
    return None if found is None else found.astimezone(dt.UTC)


def load_stored_logs(session: Session) -> list[StoredLog]:
    """Every row of the table ``log``, by participant."""
    columns = (
        raw(session, _LOG.c.participant),
        _LOG.c.own,
        _LOG.c.size,
        _LOG.c.root,
        _LOG.c.frontier,
        raw(session, _LOG.c.checkpoint),
        raw_instant(session, _LOG.c.issued_at),
        raw_instant(session, _LOG.c.expires_at),
        raw(session, _LOG.c.disputed),
    )
    return [
        StoredLog(
            as_text(code),
            own,
            size,
            as_octets(root),
            as_octets(frontier),
            as_text(token),
            as_instant(start),
            as_instant(end),
            as_text(other),
        )
        for code, own, size, root, frontier, token, start, end, other in session.execute(
            sa.select(*columns).order_by(_LOG.c.participant)
        )
    ]


def load_stored_log(session: Session, participant: str) -> StoredLog | None:
    """The row of one log."""
    return next((log for log in load_stored_logs(session) if log.participant == participant), None)


def read_entry_pages(
    session: Session, participant: str, after_page: AfterPage, *, payloads: bool = True
) -> Iterator[list[StoredEntry]]:
    """The entries of one log, a page in memory at a time; no cursor stays open between pages."""
    payload = _ENTRY.c.payload if payloads else sa.null()
    query = (
        sa.select(_ENTRY.c.seq, _ENTRY.c.header, payload, raw_instant(session, _ENTRY.c.superseded_at))
        .where(_ENTRY.c.participant == participant, _ENTRY.c.seq > sa.bindparam("after"))
        .order_by(_ENTRY.c.seq)
        .limit(PAGE)
    )
    after = BEFORE_ALL
    while rows := session.execute(query, {"after": after}).all():
        yield [
            StoredEntry(seq, as_octets(header), as_octets(payload), as_instant(at)) for seq, header, payload, at in rows
        ]
        after = rows[-1][0]
        after_page()


def read_seen(session: Session, participant: str) -> Iterator[tuple[int, bytes]]:
    """Size and root of every accepted checkpoint of one log, by size."""
    query = (
        sa.select(_SEEN.c.size, _SEEN.c.root)
        .where(_SEEN.c.participant == participant, _SEEN.c.size > sa.bindparam("after"))
        .order_by(_SEEN.c.size)
        .limit(PAGE)
    )
    after = BEFORE_ALL
    while rows := session.execute(query, {"after": after}).all():
        yield from ((size, as_octets(root)) for size, root in rows)
        after = rows[-1][0]
