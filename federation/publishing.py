"""What an administrator saves becomes entries of the own log and a new signed checkpoint, in one transaction.

It goes through ``append_entries``, the code that every follower runs on it. The caller commits; only then may the
checkpoint leave the node. A node signs only with keys that its stored configuration lists, nothing while its clock
cannot be right, and no checkpoint while its own log is held back or disputed (``federation.own_node``).
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy.orm import Session

from directory.errors import Fault, InvalidInputError, NotFoundError, StaleVersionError
from directory.record_schemas import validate_record
from directory.store import Record, keep_rota_version, load_record, load_records
from federation.checkpoint import LIFETIME, Checkpoint, make_checkpoint, read_checkpoint
from federation.entries import RECORD, Entry, make_delete, make_put
from federation.errors import NotHeldError
from federation.head import Head
from federation.identity import Identity
from federation.log import append_entries, load_head, touch_head
from federation.merkle import leaf_hash
from federation.own_configuration import listed_identity
from federation.own_node import check_may_sign, signing_instant

ABSENT = -1
"""As ``expected_seq``: the record must not exist."""
_BULK = 200


@dataclass(frozen=True, slots=True)
class PendingChange:
    """What shall become of one record. ``data`` is None for ``delete``.

    ``expected_seq`` is the entry that the change was made from, ABSENT for a record that must not exist yet, None
    where anything may stand.
    """

    record: str
    op: str
    data: Mapping[str, Any] | None = None
    expected_seq: int | None = None


def publish(
    session: Session,
    identity: Identity,
    changes: Sequence[PendingChange],
    now: dt.datetime,
    lifetime: dt.timedelta = LIFETIME,
) -> Checkpoint:
    """Append the changes to the own log and sign a checkpoint over it, all or nothing.

    A put that changes nothing appends nothing; where nothing is left the checkpoint held is given back. Raises
    InvalidInputError with every fault, StaleVersionError where somebody saved first, NotFoundError for the deletion
    of a record that is not there, FederationError ``busy`` while the own log is held back or disputed, ClockError
    where the clock cannot be right.
    """
    identity, head = _open_own_log(session, identity)
    validated = _validate(identity.participant, changes)
    entries = _entries(session, identity.participant, head, validated, now)
    if not entries and head.checkpoint is not None:
        return read_checkpoint(head.checkpoint)
    frontier = head.frontier.extend(leaf_hash(entry.header) for entry in entries)
    instant = signing_instant(session, now, head.issued_at)
    checkpoint = make_checkpoint(identity, frontier.size, frontier.root(), instant, head.issued_at, lifetime)
    append_entries(session, head, entries, frontier, checkpoint, now)
    return checkpoint


def renew_checkpoint(
    session: Session, identity: Identity, now: dt.datetime, lifetime: dt.timedelta = LIFETIME
) -> Checkpoint:
    """Sign the head that stands anew, at least once an hour, so that a silenced or frozen origin shows.

    Raises FederationError ``busy`` while the own log is held back or disputed, ClockError where the clock cannot be
    right.
    """
    identity, head = _open_own_log(session, identity)
    instant = signing_instant(session, now, head.issued_at)
    checkpoint = make_checkpoint(identity, head.size, head.root, instant, head.issued_at, lifetime)
    touch_head(session, identity.participant, checkpoint, now)
    return checkpoint


def _open_own_log(session: Session, identity: Identity) -> tuple[Identity, Head]:
    """The identity that may sign now, and the head, which no other writer can move until the transaction ends."""
    head = load_head(session, identity.participant, for_update=True)
    if head is None or not head.own:
        raise NotHeldError(f"this node holds no own log of {identity.participant}: run veza init first")
    check_may_sign(session)
    return listed_identity(session, identity), head


def _validate(participant: str, changes: Sequence[PendingChange]) -> list[PendingChange]:
    """The changes with their records checked; InvalidInputError with the faults of all of them."""
    faults: list[Fault] = []
    validated = []
    for change in changes:
        try:
            validated.append(_validate_one(participant, change))
        except InvalidInputError as error:
            prefix = "" if len(changes) == 1 else f"/{change.record.replace('~', '~0').replace('/', '~1')}"
            faults += [Fault(prefix + fault.place, fault.found, fault.expected) for fault in error.faults]
    if faults:
        raise InvalidInputError(faults)
    return validated


def _validate_one(participant: str, change: PendingChange) -> PendingChange:
    if not RECORD.fullmatch(change.record):
        raise InvalidInputError([Fault("", change.record, "expected a record id such as unit/spoc")])
    if change.op == "delete":
        return change
    type_, slug = change.record.split("/", 1)
    data = validate_record(type_, slug, change.data, participant)
    return PendingChange(change.record, "put", data, change.expected_seq)


def _entries(
    session: Session, participant: str, head: Head, changes: Sequence[PendingChange], now: dt.datetime
) -> list[Entry]:
    current = _load_current(session, participant, [change.record for change in changes])
    entries: list[Entry] = []
    for change in changes:
        held = current.get(change.record)
        _check_version(change, held)
        if not _changes_anything(change, held):
            continue
        if held is not None and held.type == "rota" and held.state == "live":
            keep_rota_version(session, held.record, held.seq, held.data, held.at, now)
        seq = head.size + len(entries)
        entries.append(_entry(seq, change, now))
        current[change.record] = _expected_record(participant, seq, change, now)
    return entries


def _load_current(session: Session, participant: str, records: Sequence[str]) -> dict[str, Record]:
    """What stands now, live or not; an import asks for all live records at once."""
    if len(records) > _BULK:
        found: Iterable[Record | None] = load_records(session, participant)
    else:
        found = [load_record(session, participant, record) for record in dict.fromkeys(records)]
    return {record.record: record for record in found if record is not None}


def _check_version(change: PendingChange, held: Record | None) -> None:
    if change.expected_seq is None:
        return
    found = held.seq if held is not None and held.state == "live" else ABSENT
    if found != change.expected_seq:
        raise StaleVersionError(
            f"{change.record}: expected {_version(change.expected_seq)}, found {_version(found)}: somebody saved first"
        )


def _version(seq: int) -> str:
    return "no such record" if seq == ABSENT else f"version {seq}"


def _changes_anything(change: PendingChange, held: Record | None) -> bool:
    live = held is not None and held.state == "live"
    if change.op == "delete":
        if held is None or held.state == "deleted":
            raise NotFoundError(f"{change.record} is not there to be deleted")
        return True
    return not live or held is None or _canonical(held.data) != _canonical(change.data)


def _canonical(data: object) -> bytes:
    """JSON values compare by what they say: ``1`` is not ``true``, and the order of members says nothing."""
    return orjson.dumps(data, option=orjson.OPT_SORT_KEYS)


def _entry(seq: int, change: PendingChange, now: dt.datetime) -> Entry:
    if change.op == "delete" or change.data is None:
        return make_delete(seq, change.record, now)
    return make_put(seq, change.record, change.data, now)


def _expected_record(participant: str, seq: int, change: PendingChange, now: dt.datetime) -> Record:
    """The record as it will stand once the entry is applied, for a later change to it in the same publication."""
    state = "deleted" if change.op == "delete" else "live"
    type_ = change.record.split("/", 1)[0]
    return Record(participant, change.record, type_, seq, now, dict(change.data or {}), state, 0)
