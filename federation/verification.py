"""``veza verify``: what is held, checked from the stored bytes alone (protocol.md, sections 4 and 5).

Every log against its checkpoint, every payload against its digest, the read model against the logs. This shares the
reading of headers and tokens with the code that wrote the log, but none of its bookkeeping: the tree, what supersedes
what, and the read model are worked out afresh. Per log the first difference of each kind is named.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.tables import RecordRow, SkippedRow
from federation.checkpoint import Checkpoint, read_checkpoint, verify_checkpoint
from federation.entries import Entry, Header, check_payload
from federation.errors import FederationError
from federation.head import Head
from federation.keys import PublicKey
from federation.log import load_heads, load_seen_root
from federation.merkle import Frontier, leaf_hash
from federation.participants import load_configurations
from federation.projection import read_header, read_stored, replay
from federation.tables import EntryRow

_RESTORE = "restore a backup that verifies, or remove the participant and sync again"
_REBUILD = "run: veza rebuild"
_DROPPED = -1


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: where, what should stand there, what stands there, and what to do."""

    participant: str
    what: str
    place: int | str
    """The entry's number or the record id; the log's size for the whole log."""
    expected: str
    found: str
    what_to_do: str


def verify_logs(session: Session) -> list[Finding]:
    """The first differences of every held log, none where all is well."""
    findings: list[Finding] = []
    for head in load_heads(session):
        for differences in (_verify_checkpoint, _verify_entries, _verify_read_model):
            first = next(differences(session, head), None)
            if first is not None:
                findings.append(first)
    return findings


def _verify_checkpoint(session: Session, head: Head) -> Iterator[Finding]:
    if head.checkpoint is None:
        if head.size:
            yield Finding(head.participant, "checkpoint", head.size, "a checkpoint", "none", _RESTORE)
        return
    try:
        checkpoint = read_checkpoint(head.checkpoint)
        _check_signature(session, checkpoint)
    except FederationError as error:
        yield Finding(head.participant, "checkpoint", head.size, "a signed checkpoint", str(error), _RESTORE)
        return
    signed = _facts(checkpoint.participant, checkpoint.size, checkpoint.root)
    stored = _facts(head.participant, head.size, head.root)
    if signed != stored:
        yield Finding(head.participant, "head", head.size, signed, stored, _RESTORE)
    seen = load_seen_root(session, head.participant, head.size)
    if seen != head.root:
        found = "none" if seen is None else seen.hex()
        yield Finding(head.participant, "accepted checkpoint", head.size, head.root.hex(), found, _RESTORE)


def _check_signature(session: Session, checkpoint: Checkpoint) -> None:
    """Any configuration that was accepted counts: a key that was removed since still signed this honestly."""
    keys: dict[str, PublicKey] = {}
    for configuration in load_configurations(session, checkpoint.participant):
        if configuration.entity_id == checkpoint.issuer:  # a node may have moved to another address since
            keys |= configuration.operating_keys
    verify_checkpoint(
        checkpoint.token,
        entity_id=checkpoint.issuer,
        participant=checkpoint.participant,
        keys=keys,
        now=checkpoint.issued_at,
    )


def _facts(participant: str, size: int, root: bytes) -> str:
    return f"{participant} size {size} root {root.hex()}"


def _verify_entries(session: Session, head: Head) -> Iterator[Finding]:
    frontier, superseded_by = Frontier(), _superseding(session, head.participant)
    marked = _marked(session, head.participant)
    for number, (seq, entry) in enumerate(read_stored(session, head.participant)):
        if seq != number:
            yield Finding(head.participant, "entry", number, f"entry {number}", f"entry {seq}", _RESTORE)
            return
        frontier = frontier.append(leaf_hash(entry.header))
        yield from _verify_payload(head, seq, entry, superseded_by, marked)
    computed = _facts(head.participant, frontier.size, frontier.root())
    stored = _facts(head.participant, head.size, head.root)
    if computed != stored or frontier != head.frontier:
        yield Finding(head.participant, "root", head.size, stored, f"{computed} from the entries", _RESTORE)


def _verify_payload(
    head: Head, seq: int, entry: Entry, superseded_by: dict[str, int], marked: frozenset[int]
) -> Iterator[Finding]:
    try:
        check_payload(entry)
    except FederationError as error:
        yield Finding(head.participant, "digest", seq, "the payload that the header covers", str(error), _RESTORE)
    header = read_header(entry.header)
    if isinstance(header, Header):
        yield from _verify_erasure(head, seq, header, entry.payload is not None, superseded_by[header.record], marked)


def _verify_erasure(
    head: Head, seq: int, header: Header, has_payload: bool, last: int, marked: frozenset[int]
) -> Iterator[Finding]:
    """The last put of a record has its payload; what it supersedes has none, or one that waits to be erased."""
    if last == seq and header.op == "put" and not has_payload:
        yield Finding(head.participant, "payload", seq, f"the payload of {header.record}", "none", _RESTORE)
    if last != seq and has_payload and seq not in marked:
        expected = f"no payload: entry {last} supersedes it"
        yield Finding(head.participant, "erasure", seq, expected, "a payload that nothing will erase", _RESTORE)


def _superseding(session: Session, participant: str) -> dict[str, int]:
    """The number of the last entry of each record."""
    last: dict[str, int] = {}
    for seq, entry in read_stored(session, participant, payloads=False):
        header = read_header(entry.header)
        if isinstance(header, Header):
            last[header.record] = seq
    return last


def _marked(session: Session, participant: str) -> frozenset[int]:
    query = sa.select(EntryRow.seq).where(EntryRow.participant == participant, EntryRow.superseded_at.is_not(None))
    return frozenset(session.execute(query).scalars())


def _verify_read_model(session: Session, head: Head) -> Iterator[Finding]:
    shown, skipped = _shown(session, head.participant), _skipped(session, head.participant)
    for projected in replay(session, head.participant):
        if projected.applied is not None:
            entry = projected.applied
            expected = _Shown(entry.seq, entry.state, entry.stored_data())
            yield from _differences(head, entry.record, expected, shown.pop(entry.record, None))
        if projected.skipped is not None:
            seq, code = projected.skipped.seq, projected.skipped.code
            yield from _differences(head, seq, code, skipped.pop(seq, None))
    for record, extra in shown.items():
        yield from _differences(head, record, None, extra)
    for seq, extra_code in skipped.items():
        yield from _differences(head, seq, None, extra_code)


def _differences(head: Head, place: int | str, expected: object, found: object) -> Iterator[Finding]:
    if expected != found:
        yield Finding(head.participant, "read model", place, repr(expected)[:200], repr(found)[:200], _REBUILD)


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """One record of the read model; equal where its JSON says the same, however it is written."""

    seq: int
    state: str
    data: str | None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, _Shown) or (self.seq, self.state) != (other.seq, other.state):
            return False
        return self.data == other.data or _value(self.data) == _value(other.data)

    __hash__ = None  # type: ignore[assignment]  # compared, never collected


def _value(data: str | None) -> object:
    return None if data is None else orjson.loads(data)


def _shown(session: Session, participant: str) -> dict[str, _Shown]:
    query = sa.select(RecordRow.record, RecordRow.seq, RecordRow.state, RecordRow.data).where(
        RecordRow.participant == participant,
        RecordRow.seq != _DROPPED,  # what a rebuild or a replay dropped and no entry brought back
    )
    rows = session.execute(query).tuples()
    return {record: _Shown(seq, state, data) for record, seq, state, data in rows}


def _skipped(session: Session, participant: str) -> dict[int, str]:
    query = sa.select(SkippedRow.seq, SkippedRow.code).where(SkippedRow.participant == participant)
    return {row.seq: row.code for row in session.execute(query)}
