"""``veza verify``: what is held, checked from the stored bytes alone (protocol.md, sections 3 to 6).

Every log against its checkpoint, every accepted checkpoint against the entries, every payload against its digest, the
read model against the logs, the chain of configurations, and rows that belong to no log. This shares the reading of
headers, tokens and records with the code that wrote the log, but none of its bookkeeping: the tree, what supersedes
what, and the read model are worked out afresh. It reads a page at a time, so memory is flat however long a log is.
"""

import datetime as dt
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.tables import CounterRow, RecordRow, SkippedRow
from federation.checkpoint import Checkpoint, read_checkpoint, verify_checkpoint
from federation.entry_checks import HeaderWalk, PayloadCheck
from federation.errors import FederationError
from federation.finding import REPAIR, RESTORE
from federation.finding import Finding as Finding
from federation.keys import PublicKey
from federation.last_numbers import LastNumbers
from federation.log import load_seen_root
from federation.record_checks import RecordCheck
from federation.stored_log import AfterPage, StoredLog, as_octets, load_stored_logs, read_entry_pages
from federation.tables import EntryRow, LogRow, SeenCheckpointRow
from federation.trust_checks import load_stored_configurations, readable, verify_trust

PASSES = 2
"""How often a log's entries are read: first the headers, then everything."""
_DROPPED = -1


def _nothing() -> None:
    """What is done after a page where nobody asks for more."""


def begin_snapshot(session: Session) -> None:
    """Let the session's transaction see one state of the database throughout; must come before anything else in it."""
    if session.get_bind().dialect.name == "postgresql":
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})


def verify_logs(
    session: Session, now: dt.datetime | None = None, after_page: AfterPage = _nothing, participant: str | None = None
) -> list[Finding]:
    """The first difference of each kind of every held log (or of one), none where all is well.

    ``now`` judges what should have been erased by now; ``after_page`` is called after each page of entries read.
    """
    logs = load_stored_logs(session)
    findings: list[Finding] = []
    for log in logs:
        if participant in (None, log.participant):
            findings += firsts(differences(session, log, now, after_page))
    findings += firsts(verify_trust(session, logs))
    findings += firsts(_verify_rows(session))
    findings += _verify_counters(session)
    return [finding for finding in findings if participant in (None, finding.participant)]


def firsts(found: Iterator[Finding]) -> list[Finding]:
    """The first of each kind of each participant, in the order of their kinds' first."""
    first: dict[tuple[str, str], Finding] = {}
    for finding in found:
        first.setdefault((finding.participant, finding.what), finding)
    return list(first.values())


def differences(
    session: Session, log: StoredLog, now: dt.datetime | None = None, after_page: AfterPage = _nothing
) -> Iterator[Finding]:
    """Every difference of one log, in the order in which each rests on the one before."""
    signed = read_signed(session, log)
    if isinstance(signed, Finding):
        yield signed
    elif signed is not None:
        yield from _verify_head(session, log, signed)
    yield from _verify_dispute(log)
    with LastNumbers() as last:
        walk = HeaderWalk(log, signed if isinstance(signed, Checkpoint) else None, last)
        yield from walk.findings(session, after_page)
        payloads, records = PayloadCheck(log, last, walk.proven, now), RecordCheck(session, log.participant, last)
        for page in read_entry_pages(session, log.participant, after_page):
            yield from payloads.findings(page)
            if walk.proven:  # else the records would be those of entries that nobody signed
                yield from records.findings(page)
        if walk.proven:
            yield from records.rest()


def read_signed(session: Session, log: StoredLog) -> Checkpoint | Finding | None:
    """The checkpoint of a log, its signature proven; what is wrong with it; None for a log that was never followed."""
    if log.checkpoint is None:
        if log.size == 0:
            return None
        return Finding(log.participant, "checkpoint", log.size, "a checkpoint", "none", RESTORE)
    try:
        checkpoint = read_checkpoint(log.checkpoint)
        verify_by_any_configuration(session, checkpoint)
    except FederationError as error:
        return Finding(log.participant, "checkpoint", log.size, "a signed checkpoint", str(error), RESTORE)
    if checkpoint.participant == log.participant:
        return checkpoint
    found = f"the checkpoint of {checkpoint.participant}"
    return Finding(log.participant, "checkpoint", log.size, f"a checkpoint of {log.participant}", found, RESTORE)


def verify_by_any_configuration(session: Session, checkpoint: Checkpoint) -> None:
    """Check a signature (TokenError) with the operating keys of every configuration that was accepted.

    A key that was removed since still signed this honestly; a node may have moved to another address since.
    """
    keys: dict[str, PublicKey] = {}
    for configuration in readable(load_stored_configurations(session, checkpoint.participant)):
        if configuration.entity_id == checkpoint.issuer:
            keys |= configuration.operating_keys
    verify_checkpoint(
        checkpoint.token,
        entity_id=checkpoint.issuer,
        participant=checkpoint.participant,
        keys=keys,
        now=checkpoint.issued_at,
    )


def _verify_head(session: Session, log: StoredLog, signed: Checkpoint) -> Iterator[Finding]:
    expected, found = (signed.size, signed.root), (log.size, log.root)
    if expected != found:
        yield Finding(log.participant, "head", log.size, _facts(*expected), _facts(*found), RESTORE)
    times, stored = (signed.issued_at, signed.expires_at), (log.issued_at, log.expires_at)
    if times != stored:
        yield Finding(log.participant, "head", log.size, "from {} to {}".format(*times), str(stored), RESTORE)
    seen = as_octets(load_seen_root(session, log.participant, signed.size))
    if seen != signed.root:
        stands = "none" if seen is None else seen.hex()
        yield Finding(log.participant, "accepted checkpoint", signed.size, signed.root.hex(), stands, RESTORE)


def _facts(size: int, root: bytes) -> str:
    return f"size {size} root {root.hex()}"


def _verify_dispute(log: StoredLog) -> Iterator[Finding]:
    if log.disputed is None:
        return
    try:
        offered = read_checkpoint(log.disputed).participant
    except FederationError as error:
        offered = str(error)
    if offered != log.participant:
        expected = f"the checkpoint of {log.participant} that was offered"
        yield Finding(log.participant, "dispute", log.size, expected, offered, "run: veza dispute list, and resolve it")


def _verify_rows(session: Session) -> Iterator[Finding]:
    """Rows that belong to no log; what a log left behind in the read model when it was dropped does not count."""
    held = sa.select(LogRow.participant)
    for table, place in ((EntryRow, EntryRow.seq), (SeenCheckpointRow, SeenCheckpointRow.size)):
        yield from _strays(session, table, place, table.participant.not_in(held))
    shown = sa.and_(RecordRow.participant.not_in(held), RecordRow.seq != _DROPPED)
    yield from _strays(session, RecordRow, RecordRow.record, shown)
    yield from _strays(session, SkippedRow, SkippedRow.seq, SkippedRow.participant.not_in(held))


def _strays(
    session: Session,
    table: type[EntryRow | SeenCheckpointRow | RecordRow | SkippedRow],
    place: sa.orm.InstrumentedAttribute[int] | sa.orm.InstrumentedAttribute[str],
    where: sa.ColumnElement[bool],
) -> Iterator[Finding]:
    query = sa.select(table.participant, place).where(where).order_by(table.participant, place)
    row = session.execute(query.limit(1)).one_or_none()
    if row is not None:
        found = f"a row of the table {table.__tablename__}"
        yield Finding(row[0], f"{table.__tablename__} of no log", row[1], "no row: no such log is held", found, REPAIR)


def _verify_counters(session: Session) -> Iterator[Finding]:
    """The counter of the directory is not behind any record, and no two records have one version."""
    counters = {row.name: row.value for row in session.execute(sa.select(CounterRow.name, CounterRow.value))}
    newest = session.execute(sa.select(sa.func.max(RecordRow.version))).scalar_one() or 0
    for name, value in sorted(counters.items()):
        if value < 0:
            yield Finding("", "counter", name, "0 or more", str(value), REPAIR)
    if counters.get("directory", 0) < newest:
        yield Finding("", "counter", "directory", f"at least {newest}", str(counters.get("directory", 0)), REPAIR)
    repeated = sa.or_(sa.func.count() > 1, RecordRow.version < 0)
    twice = session.execute(sa.select(RecordRow.version).group_by(RecordRow.version).having(repeated).limit(1)).first()
    if twice is not None:
        yield Finding("", "counter", "directory", "one record of each version", f"several of {twice[0]}", REPAIR)
