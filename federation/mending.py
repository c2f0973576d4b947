"""Setting stored rows right, where what is proven says what should stand there.

Nothing is believed that the signed checkpoint does not prove: entries are written over only by bytes that lead to its
root, and the head, the accepted checkpoints, erasures and the read model follow from the entries. The caller has
verified first and verifies again.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import count_changed, upsert
from directory.database import Base
from directory.store import bump_counter, ensure_counters, read_counters
from directory.tables import RecordRow, SkippedRow
from federation.checkpoint import Checkpoint
from federation.entries import PAGE as ENTRIES_PAGE
from federation.entries import Entry, Header, check_payload
from federation.errors import ConcurrentAppendError, EntryError, FederationError
from federation.last_numbers import LastNumbers
from federation.projection import read_header, rebuild
from federation.stored_log import StackedTree, StoredEntry, StoredLog, load_stored_log, read_entry_pages, read_seen
from federation.tables import ConfigurationRow, EntryRow, LogRow, SeenCheckpointRow
from federation.trust_checks import StoredConfiguration, load_stored_configurations

_LOG = Base.metadata.tables[LogRow.__tablename__]
_ENTRY = Base.metadata.tables[EntryRow.__tablename__]
_SEEN = Base.metadata.tables[SeenCheckpointRow.__tablename__]
_RECORD = Base.metadata.tables[RecordRow.__tablename__]
_CONFIGURATION = Base.metadata.tables[ConfigurationRow.__tablename__]
_HELD = sa.select(_LOG.c.participant)
_LONGEST_WAIT = dt.timedelta(hours=1, minutes=5)


def _no_page() -> None:
    """Nobody asks for more after a page."""


def lock_log(session: Session, log: StoredLog) -> None:
    """Let other writers of this log wait until the transaction ends; ConcurrentAppendError where it has moved."""
    session.execute(sa.select(_LOG.c.own).where(_LOG.c.participant == log.participant).with_for_update())
    if load_stored_log(session, log.participant) != log:
        raise ConcurrentAppendError(f"the log of {log.participant} moved while it was repaired: run it again")


def incomplete_pages(session: Session, participant: str, size: int) -> set[int]:
    """Where the pages begin that do not hold every entry of a log of ``size``."""
    page = _ENTRY.c.seq // ENTRIES_PAGE
    within = sa.and_(_ENTRY.c.participant == participant, _ENTRY.c.seq >= 0, _ENTRY.c.seq < size)
    counted = session.execute(sa.select(page, sa.func.count()).where(within).group_by(page)).tuples()
    full = {number for number, count in counted if count == min(ENTRIES_PAGE, size - number * ENTRIES_PAGE)}
    return {start for start in range(0, size, ENTRIES_PAGE) if start // ENTRIES_PAGE not in full}


def read_range(session: Session, participant: str, start: int, end: int) -> Iterator[StoredEntry]:
    """The stored entries ``start <= seq < end``; EntryError ``bad_range`` where one is missing."""
    columns = (_ENTRY.c.seq, _ENTRY.c.header, _ENTRY.c.payload)
    while start < end:
        upto = min(start + ENTRIES_PAGE, end)
        within = sa.and_(_ENTRY.c.participant == participant, _ENTRY.c.seq >= start, _ENTRY.c.seq < upto)
        rows = session.execute(sa.select(*columns).where(within).order_by(_ENTRY.c.seq)).all()
        if len(rows) != upto - start:
            raise EntryError("bad_range", f"{participant}: an entry between {start} and {upto} is not there")
        yield from (StoredEntry(seq, header, payload, None) for seq, header, payload in rows)
        start = upto


def write_entries(session: Session, participant: str, start: int, entries: Sequence[Entry]) -> int:
    """Put proven entries in place of what is stored from number ``start`` on; how many differed.

    A payload that fits its header stays, whatever was brought: it may be erased where the entry came from.
    """
    end = start + len(entries)
    within = sa.and_(_ENTRY.c.participant == participant, _ENTRY.c.seq >= start, _ENTRY.c.seq < end)
    rows = session.execute(sa.select(_ENTRY.c.seq, _ENTRY.c.header, _ENTRY.c.payload).where(within)).all()
    held = {seq: Entry(header, payload) for seq, header, payload in rows}
    changed = []
    for seq, entry in enumerate(entries, start):
        mended = _mended(entry, held.get(seq))
        if mended != held.get(seq):
            changed.append({"participant": participant, "seq": seq, "superseded_at": None, **_columns(mended)})
    if changed:
        upsert(session, EntryRow, changed)
    return len(changed)


def _columns(entry: Entry) -> dict[str, Any]:
    return {"header": entry.header, "payload": entry.payload}


def _mended(brought: Entry, held: Entry | None) -> Entry:
    payloads = [brought.payload] if held is None else [held.payload, brought.payload]
    fitting = (payload for payload in payloads if payload is not None and _fits(brought.header, payload))
    return replace(brought, payload=next(fitting, None))


def _fits(header: bytes, payload: bytes) -> bool:
    try:
        check_payload(Entry(header, payload))
    except FederationError:
        return False
    return True


def drop_beyond(session: Session, participant: str, size: int) -> int:
    """Remove entries whose numbers lie outside a log of ``size``; how many."""
    outside = sa.or_(_ENTRY.c.seq < 0, _ENTRY.c.seq >= size)
    return count_changed(session, sa.delete(_ENTRY).where(_ENTRY.c.participant == participant, outside))


def erase_what_is_superseded(session: Session, participant: str, overdue: dt.datetime | None = None) -> int:
    """Erase the payloads that later entries supersede, and marks that mean nothing; how many were changed.

    In the own log those that were superseded after ``overdue`` go on waiting. The headers must be proven.
    """
    log = load_stored_log(session, participant)
    waiting = overdue if log is not None and log.own else None
    with LastNumbers() as last:
        for page in read_entry_pages(session, participant, _no_page, payloads=False):
            last.note((record, seq) for seq, record in _records(page).items())
        pages = read_entry_pages(session, participant, _no_page)
        return sum(_tidy_page(session, participant, page, last, waiting) for page in pages)


def _records(page: list[StoredEntry]) -> dict[int, str]:
    """The record of each entry whose header can be read, by number."""
    headers = {entry.seq: read_header(entry.header) for entry in page}
    return {seq: header.record for seq, header in headers.items() if isinstance(header, Header)}


def _tidy_page(
    session: Session, participant: str, page: list[StoredEntry], last: LastNumbers, overdue: dt.datetime | None
) -> int:
    superseded = _superseded(page, last)
    kept = {entry.seq for entry in page if entry.payload is not None} & superseded
    waiting = {entry.seq for entry in page if _waits(entry, overdue)}
    marked = {entry.seq for entry in page if entry.superseded_at is not None}
    return _set(session, participant, kept - waiting, payload=None, superseded_at=None) + _set(
        session, participant, marked - kept, superseded_at=None
    )


def _superseded(page: list[StoredEntry], last: LastNumbers) -> set[int]:
    records = _records(page)
    numbers = last.find(list(records.values()))
    return {seq for seq, record in records.items() if numbers[record] != seq}


def _waits(entry: StoredEntry, overdue: dt.datetime | None) -> bool:
    """Whether a superseded payload of the own log still has its hour; a time ahead of it was never written."""
    marked = entry.superseded_at
    return overdue is not None and isinstance(marked, dt.datetime) and overdue < marked <= overdue + _LONGEST_WAIT


def _set(session: Session, participant: str, numbers: set[int], **values: object) -> int:
    if not numbers:
        return 0
    here = sa.and_(_ENTRY.c.participant == participant, _ENTRY.c.seq.in_(numbers))
    return count_changed(session, sa.update(_ENTRY).where(here).values(values))


def mend_head(session: Session, log: StoredLog, signed: Checkpoint) -> int:
    """Set the head and the accepted checkpoints as the entries and the signed checkpoint prove them; rows changed.

    Raises EntryError ``bad_range`` where the entries do not lead to the signed root.
    """
    tree, wrong = StackedTree(), []
    seen = read_seen(session, log.participant)
    following = next(seen, None)
    entries = read_range(session, log.participant, 0, signed.size)
    for entry in entries:
        while following is not None and following[0] <= tree.size:
            wrong += [(tree.size, tree.root())] if following[0] >= 0 and following[1] != tree.root() else []
            following = next(seen, None)
        tree.push(entry.header)
    if (tree.size, tree.root()) != (signed.size, signed.root):
        raise EntryError("bad_range", f"{log.participant}: the entries do not lead to the signed root")
    changed = _mend_seen(session, log.participant, signed, wrong)
    values: dict[str, Any] = {
        "size": signed.size,
        "root": signed.root,
        "frontier": tree.frontier(),
        "issued_at": signed.issued_at,
        "expires_at": signed.expires_at,
    }
    return changed + count_changed(session, sa.update(_LOG).where(_LOG.c.participant == log.participant).values(values))


def _mend_seen(session: Session, participant: str, signed: Checkpoint, wrong: list[tuple[int, bytes]]) -> int:
    """Right the roots at sizes that entries decide, drop what lies beyond them, and keep the head's own."""
    here = _SEEN.c.participant == participant
    outside = sa.or_(_SEEN.c.size < 0, _SEEN.c.size >= signed.size)
    stood = session.execute(sa.select(_SEEN.c.size, _SEEN.c.root).where(here, outside)).tuples().all()
    head = (signed.size, signed.root)
    for size, root in wrong:
        session.execute(sa.update(_SEEN).where(here, _SEEN.c.size == size).values(root=root))
    if [tuple(row) for row in stood] != [head]:
        session.execute(sa.delete(_SEEN).where(here, outside))
        session.execute(sa.insert(_SEEN).values(participant=participant, size=head[0], root=head[1]))
    return len(wrong) + sum(tuple(row) != head for row in stood)


def mend_records(session: Session, participant: str, now: dt.datetime) -> None:
    """Replay the read model of one log."""
    # Whatever stands in these columns is replaced; what is no instant could not even be read.
    session.execute(sa.update(_RECORD).where(_RECORD.c.participant == participant).values(at=now, data=None))
    rebuild(session, [participant])


def drop_strays(session: Session, own: str) -> int:
    """Remove rows that belong to no log; how many. Those of the own log are the operator's to decide about."""
    count = 0
    for table in (_ENTRY, _SEEN, Base.metadata.tables[SkippedRow.__tablename__], _RECORD):
        stray = sa.and_(table.c.participant.not_in(_HELD), table.c.participant != own)
        count += count_changed(session, sa.delete(table).where(stray))
    return count


def mend_ownership(session: Session, own: str) -> int:
    """Let the log of this node's participant, and no other, be the own one; rows changed."""
    wrong = _LOG.c.own != (_LOG.c.participant == own)
    return count_changed(session, sa.update(_LOG).where(wrong).values(own=_LOG.c.participant == own))


def mend_counters(session: Session) -> None:
    """Set every counter to something that is ahead of all records, and give each record a version of its own."""
    ensure_counters(session)
    newest = session.execute(sa.select(sa.func.max(_RECORD.c.version))).scalar_one() or 0
    for name, value in read_counters(session).items():
        least = newest if name == "directory" else 0
        if value < least:
            bump_counter(session, name, least - value + 1)


def mend_configurations(session: Session, participant: str) -> int:
    """Let rows say what their tokens say, and drop those that say nothing or are another's; rows changed."""
    changed = 0
    for stored in load_stored_configurations(session, participant):
        fault = _row_fault(participant, stored)
        if fault:
            changed += _replace_configuration(session, participant, stored)
    return changed


def _row_fault(participant: str, stored: StoredConfiguration) -> bool:
    content = stored.content
    if isinstance(content, FederationError):
        return True
    said = (content.participant, content.issued_at, content.expires_at)
    return said != (participant, stored.issued_at, stored.expires_at)


def _replace_configuration(session: Session, participant: str, stored: StoredConfiguration) -> int:
    here = sa.and_(_CONFIGURATION.c.participant == participant, _CONFIGURATION.c.token == stored.token)
    count = count_changed(session, sa.delete(_CONFIGURATION).where(here))
    content = stored.content
    if not isinstance(content, FederationError):
        row = {"participant": content.participant, "issued_at": content.issued_at, "token": content.token}
        upsert(session, ConfigurationRow, [row | {"expires_at": content.expires_at}])
    return count
