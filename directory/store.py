"""The only writer of the read model: what the logs say now, and the counters that tell caches to refresh.

Every function takes a session and never commits (architecture.md, idea 6). Each written record is stamped with a
version of its own, taken from the counter ``directory``, so that an index can catch up in steps of any size by asking
for what is newer than the last it saw.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import insert_into, upsert
from directory.database import Base
from directory.tables import CounterRow, RecordRow, RotaVersionRow, SkippedRow

T = TypeVar("T")

COUNTERS = ("directory", "federation", "accounts")
LIVE = "live"
DELETED = "deleted"

CHUNK = 5_000
"""Entries that are in memory at once while a batch is applied."""
_DROPPED_SEQ = -1


@dataclass(frozen=True, slots=True)
class AppliedEntry:
    """An entry of a log as the read model shows it: the new state of one record.

    ``state`` is ``live`` (then ``data`` is the record), ``deleted``, ``unknown`` (a type that this version does not
    know) or ``unreadable``. ``data_json`` is ``data`` as JSON where the caller has it already.
    """

    seq: int
    record: str
    op: str
    at: dt.datetime
    data: Mapping[str, Any] | None
    data_json: str | None
    state: str

    def stored_data(self) -> str | None:
        """The record as JSON; None unless it is live."""
        if self.state != LIVE:
            return None
        return self.data_json if self.data_json is not None else orjson.dumps(self.data).decode()


@dataclass(frozen=True, slots=True)
class Skipped:
    """An entry that stands in a proven log but is not shown, with the problem code and why."""

    seq: int
    record: str | None
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Record:
    """The newest state of a record; ``data`` is empty unless it is live."""

    participant: str
    record: str
    type: str
    seq: int
    at: dt.datetime
    data: dict[str, Any]
    state: str
    version: int

    @property
    def slug(self) -> str:
        """The record id without its type."""
        return self.record.partition("/")[2]

    @property
    def ref(self) -> str:
        """The record among those of all participants: ``RS:unit/bps-presevo``."""
        return f"{self.participant}:{self.record}"


@dataclass(frozen=True, slots=True)
class RotaVersion:
    """A superseded version of one of the node's own rotas."""

    id: int
    record: str
    seq: int
    data: dict[str, Any]
    published_at: dt.datetime
    replaced_at: dt.datetime


def apply_entries(
    session: Session, participant: str, entries: Iterable[AppliedEntry], skipped: Iterable[Skipped] = ()
) -> int:
    """Bring the read model up to date with entries of one log, given in the order of the log.

    Of several entries of a record the last one counts. Returns the counter's new value. Other writers of the read model
    wait until the transaction ends.
    """
    first = version = bump_counter(session, "directory")
    for chunk in _chunks(entries):
        newest = {entry.record: entry for entry in chunk}
        rows = [_record_row(participant, entry, version + place) for place, entry in enumerate(newest.values())]
        version += len(rows)
        upsert(session, RecordRow, rows)
    for refused in _chunks(skipped):
        unique = {entry.seq: _skipped_row(participant, entry) for entry in refused}
        upsert(session, SkippedRow, [*unique.values()])
    # The counter stands at the last version given out; it already moved by one.
    return bump_counter(session, "directory", version - first - 1) if version > first + 1 else first


def drop_participant(session: Session, participant: str) -> None:
    """Empty what is shown of a participant, before its log is replayed or because it is no longer held.

    The rows stay as deleted ones, without data, so that every index learns of it.
    """
    session.execute(sa.delete(SkippedRow).where(SkippedRow.participant == participant))
    shown = (
        sa.select(RecordRow.record, RecordRow.at)
        .where(RecordRow.participant == participant, RecordRow.record > sa.bindparam("after"))
        .where(RecordRow.seq != _DROPPED_SEQ)
        .order_by(RecordRow.record)
        .limit(CHUNK)
    )
    after = ""
    while True:  # a million records are never in memory at once
        rows = session.execute(shown, {"after": after}).all()
        dropped = (AppliedEntry(_DROPPED_SEQ, row.record, "delete", row.at, None, None, DELETED) for row in rows)
        apply_entries(session, participant, dropped)
        if len(rows) < CHUNK:
            return
        after = rows[-1].record


_COUNTER = Base.metadata.tables[CounterRow.__tablename__]
_MOVE_COUNTER = (
    sa.update(_COUNTER)
    .where(_COUNTER.c.name == sa.bindparam("counter"))
    .values(value=_COUNTER.c.value + sa.bindparam("by", type_=sa.BigInteger))
    .returning(_COUNTER.c.value)
)


def bump_counter(session: Session, name: str, by: int = 1) -> int:
    """Move a counter and return its new value; other writers of it wait until the transaction ends."""
    # Nearly always the counter is there, and the compiled form of an UPDATE is kept where that of ON CONFLICT is not.
    moved = session.execute(_MOVE_COUNTER, {"counter": name, "by": by}).scalar_one_or_none()
    if moved is not None:
        return int(moved)
    insert = insert_into(session, CounterRow).values(name=name, value=by)
    statement = insert.on_conflict_do_update(index_elements=["name"], set_={"value": CounterRow.value + by})
    return session.execute(statement.returning(CounterRow.value)).scalar_one()


def ensure_counters(session: Session) -> None:
    """Make the counters that are not there yet."""
    insert = insert_into(session, CounterRow).values([{"name": name, "value": 0} for name in COUNTERS])
    session.execute(insert.on_conflict_do_nothing())


def read_counters(session: Session) -> dict[str, int]:
    """Read every counter; one that was never moved is 0."""
    found = {row.name: row.value for row in session.execute(sa.select(CounterRow.name, CounterRow.value))}
    return dict.fromkeys(COUNTERS, 0) | found


def load_record(session: Session, participant: str, record: str) -> Record | None:
    """Load the newest state of a record, live or not; None where there never was one."""
    where = sa.and_(RecordRow.participant == participant, RecordRow.record == record)
    row = session.execute(_select_records().where(where)).one_or_none()
    return None if row is None else _read_record(row)


def load_records(
    session: Session,
    participant: str | None = None,
    type: str | None = None,  # noqa: A002 - the domain's word, as in protocol.md
    after: tuple[str, str] | None = None,
    limit: int | None = None,
) -> list[Record]:
    """Load live records in the order of participant and record id.

    ``after`` is the participant and the record id of the last one that was loaded before.
    """
    statement = _select_records().where(RecordRow.state == LIVE).order_by(RecordRow.participant, RecordRow.record)
    if participant is not None:
        statement = statement.where(RecordRow.participant == participant)
    if type is not None:
        statement = statement.where(RecordRow.type == type)
    if after is not None:
        statement = statement.where(
            sa.tuple_(RecordRow.participant, RecordRow.record) > sa.tuple_(*map(sa.literal, after))
        )
    return [_read_record(row) for row in session.execute(statement.limit(limit))]


def changed_since(session: Session, version: int, limit: int | None = None) -> list[Record]:
    """Load the records, deleted ones included, that were written after ``version``, oldest first.

    With a limit, the next step starts from the version of the last record returned.
    """
    statement = _select_records().where(RecordRow.version > version).order_by(RecordRow.version)
    return [_read_record(row) for row in session.execute(statement.limit(limit))]


def load_skipped(session: Session, participant: str) -> list[Skipped]:
    """Load the entries of a participant that are not shown, in the order of its log."""
    statement = sa.select(SkippedRow.seq, SkippedRow.record, SkippedRow.code, SkippedRow.detail)
    rows = session.execute(statement.where(SkippedRow.participant == participant).order_by(SkippedRow.seq))
    return [Skipped(row.seq, row.record, row.code, row.detail) for row in rows]


def keep_rota_version(
    session: Session, record: str, seq: int, data: Mapping[str, Any], published_at: dt.datetime, now: dt.datetime
) -> None:
    """Keep a version of an own rota that is superseded now (directory.md, section 3: history)."""
    kept = {"record": record, "seq": seq, "data": orjson.dumps(data).decode()}
    session.execute(sa.insert(RotaVersionRow).values(**kept, published_at=published_at, replaced_at=now))


def load_rota_versions(session: Session, record: str) -> list[RotaVersion]:
    """Load the superseded versions of an own rota, newest first."""
    statement = sa.select(RotaVersionRow).where(RotaVersionRow.record == record)
    rows = session.scalars(statement.order_by(RotaVersionRow.seq.desc(), RotaVersionRow.id.desc()))
    return [
        RotaVersion(row.id, row.record, row.seq, orjson.loads(row.data), row.published_at, row.replaced_at)
        for row in rows
    ]


def purge_rota_versions(session: Session, before: dt.datetime) -> int:
    """Erase the versions that were superseded before an instant; returns how many."""
    statement = sa.delete(RotaVersionRow).where(RotaVersionRow.replaced_at < before).returning(RotaVersionRow.id)
    return len(session.execute(statement).all())


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    remaining = iter(items)
    while chunk := list(islice(remaining, CHUNK)):
        yield chunk


def _record_row(participant: str, entry: AppliedEntry, version: int) -> dict[str, Any]:
    return {
        "participant": participant,
        "record": entry.record,
        "type": entry.record.partition("/")[0],
        "seq": entry.seq,
        "at": entry.at,
        "data": entry.stored_data(),
        "state": entry.state,
        "version": version,
    }


def _skipped_row(participant: str, entry: Skipped) -> dict[str, Any]:
    return {
        "participant": participant,
        "seq": entry.seq,
        "record": entry.record,
        "code": entry.code,
        "detail": entry.detail,
    }


def _select_records() -> sa.Select[Any]:
    return sa.select(
        RecordRow.participant,
        RecordRow.record,
        RecordRow.type,
        RecordRow.seq,
        RecordRow.at,
        RecordRow.data,
        RecordRow.state,
        RecordRow.version,
    )


def _read_record(row: sa.Row[Any]) -> Record:
    participant, record, type_, seq, at, data, state, version = row
    return Record(participant, record, type_, seq, at, orjson.loads(data) if data else {}, state, version)
