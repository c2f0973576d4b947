"""Nodes to measure: a database with every table, keys of its own, and as many published units as are wanted."""

import datetime as dt
import functools
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import sqlalchemy as sa

from benchmarks.population import make_unit
from directory.database import make_engine, writing
from directory.store import ensure_counters
from federation.identity import Identity
from federation.keys import key_from_seed, key_set
from federation.log import create_log
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant, store_configuration
from federation.publishing import PendingChange, publish, renew_checkpoint
from federation.statements import make_configuration
from tests.postgres import PostgresMissingError, PostgresServer, running_postgres
from web.schema import metadata

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
AT_ONCE = 5_000
"""Changes per publication while a log is filled."""

_folder = tempfile.TemporaryDirectory(prefix="veza-bench-")


@functools.cache
def make_identity(participant: str) -> Identity:
    """The same keys for the same code."""
    federation, operating = (
        key_from_seed(hashlib.sha256(f"{participant} {use}".encode()).digest()) for use in ("federation", "operating")
    )
    return Identity(participant, f"https://spoc.example.{participant.lower()}", federation, operating)


def found_node(engine: sa.Engine, identity: Identity, now: dt.datetime = NOW) -> None:
    """Make the tables, an empty own log, a configuration and a checkpoint, as ``veza init`` does."""
    metadata.create_all(engine)
    with writing(engine) as session:
        ensure_counters(session)
        assert identity.federation_key is not None
        keys = key_set(identity.federation_key)
        bind_participant(session, identity.participant, identity.entity_id, "own", keys)
        create_log(session, identity.participant, own=True)
        renew_configuration(session, identity, now=now, name=identity.participant)
        renew_checkpoint(session, identity, now)


def trust(engine: sa.Engine, other: Identity) -> None:
    """Pin another node's federation key, as two operators who peer do."""
    assert other.federation_key is not None
    with writing(engine) as session:
        bind_participant(session, other.participant, other.entity_id, "peering", key_set(other.federation_key))


def admit(engine: sa.Engine, reader: Identity, now: dt.datetime) -> None:
    """Trust a node whose configuration is known: it may read the logs here."""
    trust(engine, reader)
    with writing(engine) as session:
        store_configuration(session, make_configuration(reader, now=now))


def put(participant: str, number: int, version: int = 0) -> PendingChange:
    """The publication of one made-up unit; another version says something else of it."""
    data = make_unit(participant, number)
    if version:
        data["note"] = f"changed for the {version}. time"
    return PendingChange(f"unit/{participant.lower()}-u{number}", "put", data)


def publish_units(
    engine: sa.Engine, identity: Identity, numbers: range, version: int = 0, now: dt.datetime = NOW
) -> None:
    """Publish these units, thousands at a time."""
    changes = (put(identity.participant, number, version) for number in numbers)
    while batch := list(islice(changes, AT_ONCE)):
        with writing(engine) as session:
            publish(session, identity, batch, now)


@functools.cache
def filled(records: int) -> Path:
    """A SQLite file with the node of ME and so many units in its log, to be copied; made once in a run."""
    path, identity = Path(_folder.name) / f"filled-{records}.db", make_identity("ME")
    with sqlite_engine(path) as engine:
        found_node(engine, identity)
        publish_units(engine, identity, range(records))
    return path


@contextmanager
def sqlite_engine(path: Path) -> Iterator[sa.Engine]:
    """An engine on a SQLite file, with the durable settings that every node has."""
    engine = make_engine(f"sqlite:///{path}")
    try:
        yield engine
    finally:
        engine.dispose()


def copy_database(source: Path, target: Path) -> Path:
    """Copy a SQLite file that nobody has open."""
    for suffix in ("-wal", "-journal"):
        beside = source.with_name(source.name + suffix)
        assert not beside.exists() or not beside.stat().st_size, "the database was left open"
    shutil.copyfile(source, target)
    return target


@contextmanager
def postgres() -> Iterator[PostgresServer | None]:
    """A throw-away PostgreSQL server, or None (said aloud) where its programs are missing."""
    try:
        with running_postgres() as server:
            yield server
    except PostgresMissingError as error:
        print(f"PostgreSQL is not measured: {error}")
        yield None
