"""The processes of this node that run now, so that the first one to start can be told (protocol.md, section 5).

A node's log is compared with what its peers hold of it when the first process of its database starts. A process is
known by its name (``sync.process_name``): one of this host is seen to be dead by its number, one of another host by
its silence. The name ends with a mark of the database file: the processes that a copied file tells of are not its own.
"""

import datetime as dt
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.orm import Session

from federation.own_node import HeldBack, hold_back, load_own_node
from federation.tables import ParticipantRow
from sync.errors import SyncError
from sync.process_name import is_dead, make_process_name
from sync.storing import put_row, store
from sync.tables import ProcessRow

_LOG = logging.getLogger(__name__)

BEAT_SECONDS = 15.0
"""Seconds between two signs of life of a process."""
SILENT_AFTER = dt.timedelta(seconds=90)


def begin_process(engine: sa.Engine, kind: str, now: dt.datetime) -> str:
    """Make this process known and give its name; the first one of its database holds the own log back.

    ``kind`` is what the process does: ``serve``, ``worker`` or ``command``.
    """
    name = f"{make_process_name()}:{_file_mark(engine.url)}"
    store(engine, lambda session: register(session, name, kind, now))
    return name


def end_process(engine: sa.Engine, name: str) -> None:
    """Forget a process that ends; where the database does not take that, its silence will tell."""
    try:
        store(engine, lambda session: session.execute(sa.delete(ProcessRow).where(ProcessRow.name == name)))
    except SyncError as error:
        _LOG.warning("the end of this process was not noted: %s", error)


@contextmanager
def known_process(engine: sa.Engine, kind: str, now: dt.datetime) -> Iterator[str]:
    """A process that is known while it runs."""
    name = begin_process(engine, kind, now)
    try:
        yield name
    finally:
        end_process(engine, name)


def register(session: Session, name: str, kind: str, now: dt.datetime) -> bool:
    """Note that the process lives; whether it is the only one. Then the own log is held back until it was compared.

    What holds the log back after a restore stays. Where nobody is trusted there is nothing to compare it with.
    """
    first = not _others_alive(session, name, now)
    beat(session, name, kind, now)
    before = load_own_node(session).held_back
    after: HeldBack | None = "starting" if _has_peers(session) else None
    if first and before not in ("restored", after):
        hold_back(session, after)
    return first


def beat(session: Session, name: str, kind: str, now: dt.datetime) -> None:
    """Say that the process still lives."""
    put_row(session, ProcessRow, {"name": name}, {"kind": kind, "seen_at": now})


def load_processes(session: Session, now: dt.datetime) -> list[ProcessRow]:
    """The processes that are not known to be dead."""
    mark = _file_mark(session.connection().engine.url)
    rows = session.execute(sa.select(ProcessRow).order_by(ProcessRow.seen_at)).scalars()
    return [row for row in rows if _lives(row, mark, now)]


def _others_alive(session: Session, name: str, now: dt.datetime) -> bool:
    """Whether another process lives; the rows of dead ones are removed."""
    others = list(session.execute(sa.select(ProcessRow).where(ProcessRow.name != name)).scalars())
    mark = _file_mark(session.connection().engine.url)
    dead = [row.name for row in others if not _lives(row, mark, now)]
    if dead:
        session.execute(sa.delete(ProcessRow).where(ProcessRow.name.in_(dead)))
    return len(others) > len(dead)


def _lives(row: ProcessRow, mark: str, now: dt.datetime) -> bool:
    if row.name.rpartition(":")[2] != mark or abs(now - row.seen_at) > SILENT_AFTER:
        return False
    return not is_dead(row.name)


def _file_mark(url: sa.URL) -> str:
    """What tells a SQLite file from its copies on one machine; the same for every server's database."""
    try:
        found = Path(url.database or "").stat() if url.get_backend_name() == "sqlite" else None
    except OSError:
        found = None
    return "-" if found is None else f"{found.st_dev:x}.{found.st_ino:x}"


def _has_peers(session: Session) -> bool:
    query = sa.select(ParticipantRow.participant).where(
        ParticipantRow.trust != "own", ParticipantRow.ended_at.is_(None)
    )
    return session.execute(query.limit(1)).first() is not None
