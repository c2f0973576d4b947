"""Append-only logs in the database: own and followed ones in the same tables, by the same functions.

A log grows in one transaction, in this order:

1. The head moves by compare-and-swap on its size. It comes first so that of two writers one loses at once, before it
   has written anything (on PostgreSQL the loser waits here for the winner, and then finds another size).
2. Entries are written in chunks, the ones they supersede are erased (followed logs) or marked for erasure after an
   hour (the own log, so that pulls under way end well), and the read model follows.
3. The tree over what was written must give the signed root. If it does not, the error rolls all of it back.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import count_changed, insert_into
from directory.database import Base
from directory.store import bump_counter, drop_participant
from directory.tables import RecordRow
from federation.checkpoint import Checkpoint
from federation.entries import Entry, Header, page_end
from federation.errors import ConcurrentAppendError, LogIntegrityError, NotHeldError
from federation.head import Head as Head
from federation.merkle import EMPTY_ROOT, Frontier, leaf_hash
from federation.projection import CHUNK, apply_projected, project, read_header, read_stored
from federation.tables import EntryRow, LogRow, SeenCheckpointRow

ERASE_AFTER = dt.timedelta(hours=1)
_MOVED = ("size", "root", "frontier", "checkpoint", "issued_at", "expires_at", "checked_at")

_LOG = Base.metadata.tables[LogRow.__tablename__]
_ENTRY = Base.metadata.tables[EntryRow.__tablename__]
_SEEN = Base.metadata.tables[SeenCheckpointRow.__tablename__]
_RECORD = Base.metadata.tables[RecordRow.__tablename__]

# Statements that every append runs are made once: building one costs more than running it.
_SELECT_HEAD = sa.select(_LOG).where(_LOG.c.participant == sa.bindparam("participant"))
_SELECT_HEAD_FOR_UPDATE = _SELECT_HEAD.with_for_update()
_MOVE_HEAD = (
    sa.update(_LOG)
    .where(_LOG.c.participant == sa.bindparam("of"), _LOG.c.size == sa.bindparam("known"))
    .values({name: sa.bindparam(f"new_{name}") for name in _MOVED})
)
_INSERT_ENTRY = sa.insert(_ENTRY)
_INSERT_SEEN = sa.insert(_SEEN)
_SELECT_LAST = sa.select(_RECORD.c.seq).where(
    _RECORD.c.participant == sa.bindparam("of"), _RECORD.c.record.in_(sa.bindparam("records", expanding=True))
)
_SELECT_SEEN = sa.select(_SEEN.c.root).where(
    _SEEN.c.participant == sa.bindparam("of"), _SEEN.c.size == sa.bindparam("known")
)
_HELD_PAYLOADS = sa.update(_ENTRY).where(
    _ENTRY.c.participant == sa.bindparam("of"),
    _ENTRY.c.seq.in_(sa.bindparam("numbers", expanding=True)),
    _ENTRY.c.payload.is_not(None),
)
_MARK = _HELD_PAYLOADS.values(superseded_at=sa.bindparam("at"))
_ERASE = _HELD_PAYLOADS.values(payload=sa.null())


def create_log(session: Session, participant: str, own: bool) -> Head:
    """Begin an empty log, or give back the one that is there (ConcurrentAppendError: one of the other kind).

    Several may begin the same log at once: one does, the others are given what it began.
    """
    head = load_head(session, participant)
    if head is None:
        values = {"participant": participant, "own": own, "size": 0, "root": EMPTY_ROOT}
        values["frontier"] = Frontier().to_bytes()
        session.execute(insert_into(session, LogRow).values(values).on_conflict_do_nothing())
        bump_counter(session, "federation")
        head = load_head(session, participant)
        assert head is not None
    if head.own != own:
        raise ConcurrentAppendError(f"the log of {participant} is already held as {'own' if head.own else 'followed'}")
    return head


def load_head(session: Session, participant: str, *, for_update: bool = False) -> Head | None:
    """The head of a log; with ``for_update`` other writers of this log wait until the transaction ends."""
    query = _SELECT_HEAD_FOR_UPDATE if for_update else _SELECT_HEAD
    row = session.execute(query, {"participant": participant}).one_or_none()
    return None if row is None else _head(row)


def load_heads(session: Session) -> list[Head]:
    """The heads of all held logs, by participant."""
    return [_head(row) for row in session.execute(sa.select(_LOG).order_by(_LOG.c.participant))]


def _head(row: Any) -> Head:  # noqa: ANN401  # a row of the table ``log``
    values = dict(row._mapping)
    values["frontier"] = Frontier.from_bytes(values["frontier"])
    return Head(**values)


def append_entries(
    session: Session,
    head: Head,
    entries: Iterable[Entry],
    frontier: Frontier,
    checkpoint: Checkpoint,
    now: dt.datetime,
    *,
    from_origin: bool = True,
) -> Head:
    """Append proven entries to the log that stands at ``head``, up to ``checkpoint``; the new head.

    ``frontier`` is the one that the entries lead to; ``from_origin`` says that the origin's own address showed this
    checkpoint. Raises ConcurrentAppendError where the head has moved, LogIntegrityError ``root_mismatch`` where the
    entries do not give the checkpoint's root, ``fork`` where another root was accepted at its size before.
    """
    moved = _moved(head, frontier, checkpoint, now if from_origin else head.checked_at)
    _move_head(session, head.size, moved)
    proven, remaining = head.frontier, iter(entries)
    while chunk := list(islice(remaining, CHUNK)):
        _append_chunk(session, head, proven.size, chunk, now)
        proven = proven.extend(leaf_hash(entry.header) for entry in chunk)
    if proven != frontier or (proven.size, proven.root()) != (checkpoint.size, checkpoint.root):
        raise LogIntegrityError(
            "root_mismatch",
            f"{head.participant}: expected size {checkpoint.size} and root {checkpoint.root.hex()}, "
            f"the entries lead to size {proven.size} and root {proven.root().hex()}",
        )
    remember_checkpoint(session, checkpoint)
    bump_counter(session, "federation")
    return moved


def _moved(head: Head, frontier: Frontier, checkpoint: Checkpoint, checked_at: dt.datetime | None) -> Head:
    return Head(
        participant=head.participant,
        own=head.own,
        size=checkpoint.size,
        root=checkpoint.root,
        frontier=frontier,
        checkpoint=checkpoint.token,
        issued_at=checkpoint.issued_at,
        expires_at=checkpoint.expires_at,
        checked_at=checked_at,
        disputed=head.disputed,
    )


def _move_head(session: Session, known_size: int, moved: Head) -> None:
    values = {f"new_{name}": getattr(moved, name) for name in _MOVED} | {"new_frontier": moved.frontier.to_bytes()}
    if count_changed(session, _MOVE_HEAD, {"of": moved.participant, "known": known_size} | values) != 1:
        raise ConcurrentAppendError(f"expected the log of {moved.participant} at size {known_size}; it has moved")


def _append_chunk(session: Session, head: Head, start: int, chunk: Sequence[Entry], now: dt.datetime) -> None:
    headers = [read_header(entry.header) for entry in chunk]
    last = {header.record: seq for seq, header in enumerate(headers, start) if isinstance(header, Header)}
    previous = _last_numbers(session, head.participant, list(last))
    rows, projected = [], []
    for seq, (entry, header) in enumerate(zip(chunk, headers, strict=True), start):
        superseded = isinstance(header, Header) and last[header.record] != seq
        rows.append(_row(head, seq, entry, superseded, now))
        if not superseded:
            projected.append(project(head.participant, seq, header, entry.payload))
    session.execute(_INSERT_ENTRY, rows)
    _supersede(session, head, previous, now)
    apply_projected(session, head.participant, projected)


def _row(head: Head, seq: int, entry: Entry, superseded: bool, now: dt.datetime) -> dict[str, Any]:
    """A row of the table ``entry``; one that is superseded already is marked in the own log, bare in a followed one."""
    row = {"participant": head.participant, "seq": seq, "header": entry.header, "payload": entry.payload}
    if superseded and not head.own:
        return row | {"payload": None, "superseded_at": None}
    return row | {"superseded_at": now if superseded and entry.payload is not None else None}


def _last_numbers(session: Session, participant: str, records: list[str]) -> list[int]:
    """The number of the last entry of each of these records that is held, from the read model's index."""
    if not records:
        return []
    return list(session.execute(_SELECT_LAST, {"of": participant, "records": records}).scalars())


def _supersede(session: Session, head: Head, numbers: Sequence[int], now: dt.datetime) -> None:
    if not numbers:
        return
    if head.own:
        session.execute(_MARK, {"of": head.participant, "numbers": numbers, "at": now})
    else:
        session.execute(_ERASE, {"of": head.participant, "numbers": numbers})


def touch_head(
    session: Session, participant: str, checkpoint: Checkpoint, now: dt.datetime, *, from_origin: bool = True
) -> None:
    """Store the times of a checkpoint of the same size and root: the head is fresh.

    Raises ConcurrentAppendError where the head has moved, or holds a newer checkpoint.
    """
    values: dict[str, Any] = {
        "checkpoint": checkpoint.token,
        "issued_at": checkpoint.issued_at,
        "expires_at": checkpoint.expires_at,
    }
    if from_origin:
        values["checked_at"] = now
    statement = (
        sa.update(_LOG)
        .where(
            _LOG.c.participant == participant,
            _LOG.c.size == checkpoint.size,
            _LOG.c.root == checkpoint.root,
            sa.or_(_LOG.c.issued_at.is_(None), _LOG.c.issued_at <= checkpoint.issued_at),
        )
        .values(values)
    )
    if count_changed(session, statement) != 1:
        raise ConcurrentAppendError(f"expected the log of {participant} at size {checkpoint.size}; it has moved")
    remember_checkpoint(session, checkpoint)
    bump_counter(session, "federation")


def mark_disputed(session: Session, participant: str, offered: str | None) -> None:
    """Keep the offered checkpoint that contradicts what is held, or with None end the dispute."""
    statement = sa.update(_LOG).where(_LOG.c.participant == participant).values(disputed=offered)
    if count_changed(session, statement) != 1:
        raise NotHeldError(f"no log of {participant} is held here")
    bump_counter(session, "federation")


def reset_log(session: Session, participant: str, *, own: bool = False) -> Head:
    """Forget what is held of a log, so that an accepted other history is replayed from 0; the empty head."""
    drop_log(session, participant)
    return create_log(session, participant, own=own)


def drop_log(session: Session, participant: str) -> None:
    """Forget what is held of a log, and show nothing of it any more."""
    for table in (_ENTRY, _SEEN, _LOG):
        session.execute(sa.delete(table).where(table.c.participant == participant))
    drop_participant(session, participant)


def remember_checkpoint(session: Session, checkpoint: Checkpoint) -> None:
    """Keep that a checkpoint is true of what is held; LogIntegrityError ``fork`` where another root was accepted."""
    seen = load_seen_root(session, checkpoint.participant, checkpoint.size)
    if seen is None:
        values = {"participant": checkpoint.participant, "size": checkpoint.size, "root": checkpoint.root}
        session.execute(_INSERT_SEEN, values)
    elif seen != checkpoint.root:
        raise LogIntegrityError(
            "fork",
            f"{checkpoint.participant} signed two roots at size {checkpoint.size}: "
            f"accepted {seen.hex()}, found {checkpoint.root.hex()}",
        )


def load_seen_root(session: Session, participant: str, size: int) -> bytes | None:
    """The root of the checkpoint that was accepted at this size, if there was one."""
    return session.execute(_SELECT_SEEN, {"of": participant, "known": size}).scalar_one_or_none()


def read_entries(session: Session, participant: str, start: int, end: int) -> list[Entry]:
    """The entries ``start <= seq < end`` of a held log.

    Raises NotHeldError ``not_found`` where no such log is held, ``out_of_range`` where ``start`` is not below its size.
    """
    head = load_head(session, participant)
    if head is None:
        raise NotHeldError(f"no log of {participant} is held here")
    if not 0 <= start < head.size:
        raise NotHeldError(f"expected start below {head.size}, found {start}", "out_of_range")
    query = (
        sa.select(_ENTRY.c.header, _ENTRY.c.payload)
        .where(_ENTRY.c.participant == participant, _ENTRY.c.seq >= start, _ENTRY.c.seq < min(end, head.size))
        .order_by(_ENTRY.c.seq)
    )
    return [Entry(header, payload) for header, payload in session.execute(query)]


def read_page(session: Session, participant: str, start: int) -> list[Entry]:
    """The page that begins at ``start``: up to the next multiple of 256, or to the log's size (NotHeldError)."""
    return read_entries(session, participant, start, page_end(start, 2**53))


def read_leaves(session: Session, participant: str, size: int) -> Iterator[bytes]:
    """The hashes of the first ``size`` leaves of a held log, in constant memory."""
    return (leaf_hash(entry.header) for _, entry in read_stored(session, participant, size, payloads=False))


def compute_frontier(session: Session, participant: str, size: int) -> Frontier:
    """The frontier of the first ``size`` entries of a held log, from the stored bytes.

    Raises NotHeldError ``out_of_range`` where fewer are held.
    """
    frontier = Frontier().extend(read_leaves(session, participant, size))
    if frontier.size != size:
        raise NotHeldError(f"expected {size} entries of {participant}, {frontier.size} are held", "out_of_range")
    return frontier


def compute_roots(
    session: Session, participant: str, sizes: Iterable[int], since: Frontier | None = None
) -> dict[int, bytes]:
    """The roots of a held log at these sizes, in one pass over its leaves; sizes that are not held are left out.

    ``since`` is a frontier known to be the log's own, from which the pass begins; sizes below it are left out too.
    """
    frontier = since or Frontier()
    wanted = sorted(size for size in set(sizes) if size >= frontier.size)
    last = wanted[-1] if wanted else 0
    stored = read_stored(session, participant, last, start=frontier.size, payloads=False)
    leaves, roots = (leaf_hash(entry.header) for _, entry in stored), {}
    for size in wanted:
        frontier = frontier.extend(islice(leaves, size - frontier.size))
        if frontier.size == size:
            roots[size] = frontier.root()
    return roots


def erase_superseded(session: Session, now: dt.datetime, after: dt.timedelta = ERASE_AFTER) -> int:
    """Erase the own payloads that were superseded at least ``after`` ago; how many."""
    statement = sa.update(_ENTRY).where(_ENTRY.c.superseded_at <= now - after).values(payload=None, superseded_at=None)
    return count_changed(session, statement)
