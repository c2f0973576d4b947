"""The read model of one log, held against a projection worked out afresh from the stored entries."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import Base
from directory.store import AppliedEntry, Skipped
from directory.tables import RecordRow, SkippedRow
from federation.entries import Header
from federation.finding import REBUILD, Finding, beside, short
from federation.last_numbers import LastNumbers
from federation.projection import Projected, project, read_header
from federation.stored_log import BEFORE_ALL, PAGE, Instant, StoredEntry, as_instant, as_text, raw, raw_instant

_RECORD = Base.metadata.tables[RecordRow.__tablename__]
_SKIPPED = Base.metadata.tables[SkippedRow.__tablename__]
_DROPPED = -1


@dataclass(frozen=True, slots=True)
class _Shown:
    """One record of the read model."""

    type: str
    seq: int
    at: Instant
    state: str
    data: str | None

    def says(self, other: "_Shown | None") -> bool:
        """Whether both say the same, however the JSON of the record is written."""
        if other is None or self.data == other.data:
            return self == other
        mine, others = _parsed(self), _parsed(other)
        return mine is not None and mine == others


def _parsed(shown: _Shown) -> tuple[object, ...] | None:
    try:
        data = None if shown.data is None else orjson.dumps(orjson.loads(shown.data), option=orjson.OPT_SORT_KEYS)
    except orjson.JSONDecodeError:
        return None
    return shown.type, shown.seq, shown.at, shown.state, data


class RecordCheck:
    """Goes with the pages of a log's entries, in their order."""

    def __init__(self, session: Session, participant: str, last: LastNumbers) -> None:
        self._session = session
        self._participant = participant
        self._last = last
        self._skipped_after = BEFORE_ALL

    def findings(self, page: list[StoredEntry]) -> Iterator[Finding]:
        """Every record and skipped entry that a page of entries decides and that is shown otherwise."""
        projected = list(self._project(page))
        yield from self._records([item.applied for item in projected if item.applied is not None])
        skipped = [item.skipped for item in projected if item.skipped is not None]
        yield from self._skipped({item.seq: item for item in skipped}, page[-1].seq)

    def _project(self, page: list[StoredEntry]) -> Iterator[Projected]:
        """What the entries of a page that nothing supersedes do to the read model."""
        headers = [read_header(entry.header) for entry in page]
        last = self._last.find([header.record for header in headers if isinstance(header, Header)])
        for entry, header in zip(page, headers, strict=True):
            if not isinstance(header, Header) or last[header.record] == entry.seq:
                yield project(self._participant, entry.seq, header, entry.payload)

    def rest(self) -> Iterator[Finding]:
        """Every record and skipped entry that is shown and that no entry decides."""
        yield from self._skipped({}, -BEFORE_ALL - 1)
        query = sa.select(raw(self._session, _RECORD.c.record), _RECORD.c.seq)
        query = query.where(_RECORD.c.participant == self._participant, _RECORD.c.seq != _DROPPED)
        rows = iter(self._session.execute(query.execution_options(yield_per=PAGE)))
        while chunk := [(as_text(record), seq) for record, seq in islice(rows, PAGE)]:
            known = self._last.find([record for record, _ in chunk])
            for record, seq in chunk:
                if record not in known:
                    yield self._finding(record, "no such record in the log", f"a record of entry {seq}")

    def _records(self, applied: list[AppliedEntry]) -> Iterator[Finding]:
        shown = self._load_shown([entry.record for entry in applied])
        for entry in applied:
            type_ = entry.record.partition("/")[0]
            expected = _Shown(type_, entry.seq, entry.at, entry.state, entry.stored_data())
            found = shown.get(entry.record)
            if not expected.says(found):
                yield self._finding(entry.record, _text(expected, found), _text(found, expected))

    def _load_shown(self, records: list[str]) -> dict[str, _Shown]:
        session = self._session
        query = sa.select(
            _RECORD.c.record,
            raw(session, _RECORD.c.type),
            _RECORD.c.seq,
            raw_instant(session, _RECORD.c.at),
            raw(session, _RECORD.c.state),
            raw(session, _RECORD.c.data),
        ).where(_RECORD.c.participant == self._participant, _RECORD.c.record.in_(records))
        return {
            record: _Shown(as_text(type_), seq, as_instant(at), as_text(state), as_text(data))
            for record, type_, seq, at, state, data in session.execute(query)
        }

    def _skipped(self, expected: dict[int, Skipped], up_to: int) -> Iterator[Finding]:
        """The skipped entries after those already compared, up to an entry's number."""
        session = self._session
        query = (
            sa.select(
                _SKIPPED.c.seq,
                raw(session, _SKIPPED.c.record),
                raw(session, _SKIPPED.c.code),
                raw(session, _SKIPPED.c.detail),
            )
            .where(_SKIPPED.c.participant == self._participant)
            .where(_SKIPPED.c.seq > self._skipped_after, _SKIPPED.c.seq <= up_to)
        )
        self._skipped_after = up_to
        found = {seq: Skipped(seq, *map(as_text, texts)) for seq, *texts in session.execute(query)}
        for seq in sorted(expected.keys() | found.keys()):
            if expected.get(seq) != found.get(seq):
                one, two = expected.get(seq, "not skipped"), found.get(seq, "not skipped")
                yield self._finding(seq, beside(one, two), beside(two, one))

    def _finding(self, place: int | str, expected: str, found: str) -> Finding:
        return Finding(self._participant, "read model", place, expected, found, REBUILD)


def _text(shown: _Shown | None, other: _Shown | None) -> str:
    """What differs between the two, as one of them has it."""
    if shown is None:
        return "no such record"
    if other is None:
        return f"{shown.state}, of entry {shown.seq}"
    names = [name for name in ("type", "seq", "at", "state") if getattr(shown, name) != getattr(other, name)]
    parts = [f"{name} {getattr(shown, name)}" for name in names]
    return short("; ".join(parts)) if parts else f"data {beside(shown.data, other.data)}"
