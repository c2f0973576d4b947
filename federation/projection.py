"""From entries to the read model: what each says about its record now (protocol.md, section 6; directory.md).

- The last entry of a record decides; a header that cannot be read belongs to no record and supersedes nothing.
- An entry under a proven root that breaks a rule is its origin's own fault: it stays in the log and is passed on, its
  record is shown as unreadable, and the entry is listed as skipped with its code.
- A payload that was erased because a later entry supersedes it says nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import Base
from directory.errors import InvalidInputError
from directory.record_schemas import validate_record
from directory.store import AppliedEntry, Skipped, apply_entries, drop_participant
from directory.tables import SkippedRow
from directory.vocabulary import RECORD_TYPES
from federation.encoding import MAX_INTEGER
from federation.entries import Entry, Header, parse_header, parse_payload
from federation.errors import EntryError
from federation.last_numbers import LastNumbers
from federation.tables import EntryRow, LogRow

CHUNK = 1000
_DETAIL = 500

_SKIPPED = Base.metadata.tables[SkippedRow.__tablename__]
_DELETE_SKIPPED = sa.delete(_SKIPPED).where(
    _SKIPPED.c.participant == sa.bindparam("of"), _SKIPPED.c.record.in_(sa.bindparam("records", expanding=True))
)
_ENTRY = Base.metadata.tables[EntryRow.__tablename__]
_SELECT_ENTRIES = (
    sa.select(_ENTRY.c.seq, _ENTRY.c.header, _ENTRY.c.payload)
    .where(
        _ENTRY.c.participant == sa.bindparam("of"),
        _ENTRY.c.seq > sa.bindparam("after"),
        _ENTRY.c.seq < sa.bindparam("end"),
    )
    .order_by(_ENTRY.c.seq)
    .limit(CHUNK)
)
_SELECT_HEADERS = _SELECT_ENTRIES.with_only_columns(_ENTRY.c.seq, _ENTRY.c.header, sa.null())


@dataclass(frozen=True, slots=True)
class Projected:
    """What one entry does to the read model; both parts may be None."""

    applied: AppliedEntry | None
    skipped: Skipped | None


def read_header(header: bytes) -> Header | EntryError:
    """The header, or why it cannot be read."""
    try:
        return parse_header(header)
    except EntryError as error:
        return error


def project(participant: str, seq: int, header: Header | EntryError, payload: bytes | None) -> Projected:
    """What the last entry of its record, number ``seq`` of the participant's log, does to the read model."""
    if isinstance(header, EntryError):
        return Projected(None, Skipped(seq=seq, record=None, code=header.code, detail=header.detail[:_DETAIL]))
    try:
        return Projected(_apply(participant, seq, header, payload), None)
    except EntryError as error:
        code, detail = error.code, error.detail
    except InvalidInputError as error:
        code, detail = "bad_entry", error.detail
    known = header.record.split("/", 1)[0] in RECORD_TYPES
    unreadable = _applied(seq, header, "unreadable" if known else "unknown")
    return Projected(unreadable, Skipped(seq=seq, record=header.record, code=code, detail=detail[:_DETAIL]))


def _apply(participant: str, seq: int, header: Header, payload: bytes | None) -> AppliedEntry | None:
    if header.seq != seq:
        raise EntryError("bad_entry", f"expected seq {seq}, found {header.seq}")
    if header.op == "delete":
        return _applied(seq, header, "deleted")
    if header.op != "put":
        raise EntryError("bad_entry", f"expected op put or delete, found {header.op}")
    type_, slug = header.record.split("/", 1)
    if type_ not in RECORD_TYPES:
        raise EntryError("bad_entry", f"records of type {type_} are not known to this version")
    if payload is None:
        return None
    data = parse_payload(payload)
    _check_own_participant(participant, type_, data)
    return _applied(seq, header, "live", validate_record(type_, slug, data, participant))


def _check_own_participant(participant: str, type_: str, data: dict[str, Any]) -> None:
    spoken_for = data.get("country", data.get("organisation", participant)) if type_ == "participant" else participant
    if spoken_for != participant:
        detail = f"expected a record of {participant}, found one of {str(spoken_for)[:40]}"
        raise EntryError("wrong_participant", detail)


def _applied(seq: int, header: Header, state: str, data: dict[str, Any] | None = None) -> AppliedEntry:
    return AppliedEntry(
        seq=seq,
        record=header.record,
        op="delete" if header.op == "delete" else "put",
        at=header.at,
        data=data,
        data_json=None,
        state=state,
    )


def apply_projected(session: Session, participant: str, projected: Iterable[Projected]) -> None:
    """Write what entries do to the read model; an earlier entry of the same record is no longer shown as skipped."""
    items = list(projected)
    records = [item.applied.record for item in items if item.applied is not None]
    session.execute(_DELETE_SKIPPED, {"of": participant, "records": records})
    apply_entries(
        session,
        participant,
        [item.applied for item in items if item.applied is not None],
        [item.skipped for item in items if item.skipped is not None],
    )


def read_stored(
    session: Session, participant: str, end: int = MAX_INTEGER, *, start: int = 0, payloads: bool = True
) -> Iterator[tuple[int, Entry]]:
    """The stored entries from ``start`` to below number ``end`` with their numbers, in order, in constant memory.

    Without ``payloads`` they come as erased, which spares reading them.
    """
    query = _SELECT_ENTRIES if payloads else _SELECT_HEADERS
    after = start - 1
    # A page at a time, and no cursor that stays open: a reader may stop at any entry.
    while rows := session.execute(query, {"of": participant, "after": after, "end": end}).all():
        for seq, header, payload in rows:
            yield seq, Entry(header, payload)
        after = rows[-1].seq


def replay(session: Session, participant: str) -> Iterator[Projected]:
    """A fresh projection of a whole log from its stored bytes; the read model is neither read nor written."""
    with LastNumbers() as last:
        headers = ((seq, read_header(entry.header)) for seq, entry in read_stored(session, participant, payloads=False))
        last.note((header.record, seq) for seq, header in headers if isinstance(header, Header))
        entries = read_stored(session, participant)
        while chunk := list(islice(entries, CHUNK)):
            yield from _project_last(participant, chunk, last)


def _project_last(participant: str, chunk: Sequence[tuple[int, Entry]], last: LastNumbers) -> Iterator[Projected]:
    """What the entries of a chunk that nothing supersedes do to the read model."""
    headers = [read_header(entry.header) for _, entry in chunk]
    known = last.find([header.record for header in headers if isinstance(header, Header)])
    for (seq, entry), header in zip(chunk, headers, strict=True):
        if isinstance(header, EntryError) or known[header.record] == seq:
            yield project(participant, seq, header, entry.payload)


def rebuild(session: Session, participants: Sequence[str] | None = None) -> int:
    """Drop the read model of every log, or of these, and replay it, in flat memory; the number of logs."""
    if participants is None:
        participants = list(session.execute(sa.select(LogRow.participant).order_by(LogRow.participant)).scalars())
    for participant in participants:
        drop_participant(session, participant)
        projected = replay(session, participant)
        while chunk := list(islice(projected, CHUNK)):
            apply_projected(session, participant, chunk)
    return len(participants)
