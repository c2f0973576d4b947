"""Whatever is done to a stored row that carries proof, ``verify`` names it: each column, on both databases.

The columns that no stored byte can prove are listed too, so that a new column is put into one list or the other.
"""

import datetime as dt
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import Base, reading, writing
from federation.checkpoint import make_checkpoint
from federation.entries import Entry, make_delete, make_put
from federation.keys import key_set
from federation.log import append_entries, create_log, load_head, mark_disputed
from federation.merkle import leaf_hash
from federation.participants import bind_participant, store_configuration
from federation.publishing import PendingChange, publish, renew_checkpoint
from federation.statements import make_configuration
from federation.verification import Finding, begin_snapshot, verify_logs
from tests.unit.federation.samples import NOW, SECOND, identity, key, unit

ME, RS = identity("ME"), identity("RS")
PROVEN = {
    "log": ("participant", "own", "size", "root", "frontier", "checkpoint", "issued_at", "expires_at", "disputed"),
    "entry": ("participant", "seq", "header", "payload", "superseded_at"),
    "seen_checkpoint": ("participant", "size", "root"),
    "configuration": ("participant", "issued_at", "expires_at", "token"),
    "participant": ("entity_id", "trust", "federation_jwks", "allowed_networks"),
    "record": ("participant", "record", "type", "seq", "at", "data", "state", "version"),
    "skipped": ("participant", "seq", "record", "code", "detail"),
    "counter": ("value",),
}
NOT_PROVEN = {
    "log": {"checked_at"},  # when this node itself looked
    "participant": {"participant", "statement_expires_at", "ended_at"},  # the operator's and the anchor's word
    "counter": {"name"},  # one more counter harms nobody
}
COARSE = {"seq", "size", "issued_at", "superseded_at", "version"}
"""Columns whose low bits lead to the key of another row, or to an instant that is as good."""
DAMAGES = [(table, column) for table, columns in PROVEN.items() for column in columns]


@pytest.fixture
def node(engine: sa.Engine) -> sa.Engine:
    """ME's own log, and RS's with every state a record can be in, a rotated key and a dispute."""
    with writing(engine) as session:
        create_log(session, "ME", own=True)
        assert ME.federation_key is not None
        bind_participant(session, "ME", ME.entity_id, "own", key_set(ME.federation_key))
        store_configuration(session, make_configuration(ME, now=NOW))
        renew_checkpoint(session, ME, NOW)
        for slug, name in [("spoc", "Duty desk"), ("desk", "Border desk"), ("spoc", "Renamed")]:
            publish(session, ME, [PendingChange(f"unit/{slug}", "put", unit(name))], NOW)
        follow(session)
    return engine


def follow(session: sa.orm.Session) -> None:
    assert RS.federation_key is not None
    bind_participant(session, "RS", RS.entity_id, "peering", key_set(RS.federation_key))
    new = key("rs federation 2")
    store_configuration(session, make_configuration(RS, now=NOW, other_federation_keys=key_set(new)))
    rotated = identity("RS")
    store_configuration(session, make_configuration(rotated, now=NOW + SECOND))
    head = create_log(session, "RS", own=False)
    entries = [
        make_put(0, "unit/spoc", unit("first"), NOW),
        make_put(1, "unit/spoc", unit("second"), NOW),
        Entry(b"malformed", None),
        make_put(3, "unit/bad", {"name": 1}, NOW),
        make_put(4, "novelty/a", {}, NOW),
        make_put(5, "unit/gone", unit("gone"), NOW),
        make_delete(6, "unit/gone", NOW),
    ]
    for end in (2, 7):
        start = head.size
        frontier = head.frontier.extend(leaf_hash(entry.header) for entry in entries[start:end])
        checkpoint = make_checkpoint(RS, end, frontier.root(), NOW)
        head = append_entries(session, head, entries[start:end], frontier, checkpoint, NOW)
    mark_disputed(session, "RS", make_checkpoint(RS, 7, bytes(32), NOW).token)


def verify(engine: sa.Engine, now: dt.datetime | None = None) -> list[Finding]:
    with reading(engine) as session:
        begin_snapshot(session)
        return verify_logs(session, now)


def rows(engine: sa.Engine, table: str) -> list[dict[str, Any]]:
    with reading(engine) as session:
        return [dict(row._mapping) for row in session.execute(sa.select(Base.metadata.tables[table]))]


def flipped(value: Any, bit: int) -> Any:
    """The value with one bit changed, still something that its column takes."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value ^ (1 << bit)
    if isinstance(value, dt.datetime):
        return value + dt.timedelta(seconds=1 << bit)
    if isinstance(value, bytes):
        place = len(value) * bit // 8
        return value[:place] + bytes([value[place] ^ (1 << bit)]) + value[place + 1 :]
    place = len(value) * bit // 8
    return value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]


def change(engine: sa.Engine, table: str, row: dict[str, Any], **values: object) -> None:
    model = Base.metadata.tables[table]
    where = [column == row[column.name] for column in model.primary_key]
    with writing(engine) as session:
        statement = sa.update(model).where(*where).values(values)
        assert session.execute(statement).rowcount == 1  # type: ignore[attr-defined]


def test_every_column_is_in_one_list_or_the_other() -> None:
    for table, columns in PROVEN.items():
        known = {column.name for column in Base.metadata.tables[table].columns}
        assert known == set(columns) | NOT_PROVEN.get(table, set())


def test_an_honest_database_verifies(node: sa.Engine) -> None:
    assert verify(node, NOW) == []


@pytest.mark.parametrize(("table", "column"), DAMAGES)
def test_a_flipped_bit_is_named(node: sa.Engine, table: str, column: str) -> None:
    """Every row of the table that has something in this column, at its beginning, within and at its end."""
    keys = {column.name for column in Base.metadata.tables[table].primary_key}
    tried = 0
    for row in rows(node, table):
        if row[column] is None or (table == "counter" and row["name"] != "directory"):
            continue
        for bit in (0, 3, 6) if node.dialect.name == "sqlite" else (3,):
            changed = row[column] - 1 if table == "counter" else flipped(row[column], bit + 10 * (column in COARSE))
            change(node, table, row, **{column: changed})
            found = verify(node, NOW)
            assert found, (table, column, row, changed)
            assert all(finding.what_to_do and finding.expected != finding.found for finding in found)
            back = {**row, column: changed} if column in keys else row
            change(node, table, back, **{column: row[column]})
            tried += 1
    assert tried
    assert verify(node, NOW) == []


@pytest.mark.parametrize("table", ["log", "entry", "seen_checkpoint", "record", "skipped", "counter"])
def test_a_lost_row_is_named(node: sa.Engine, table: str) -> None:
    model = Base.metadata.tables[table]
    for row in rows(node, table):
        if table == "seen_checkpoint" and row["size"] not in (3, 7):
            continue  # an older one says nothing that the entries do not say
        if table == "counter" and row["name"] != "directory":
            continue
        with writing(node) as session:
            session.execute(sa.delete(model).where(*(column == row[column.name] for column in model.primary_key)))
        assert verify(node), (table, row)
        with writing(node) as session:
            session.execute(sa.insert(model).values(row))
    assert verify(node) == []


INVENTED: list[tuple[str, dict[str, Any]]] = [
    ("entry", {"participant": "RS", "seq": 7, "header": b"x"}),
    ("entry", {"participant": "RS", "seq": -1, "header": b"x"}),
    ("entry", {"participant": "XK", "seq": 0, "header": b"x"}),
    ("seen_checkpoint", {"participant": "RS", "size": 1, "root": bytes(32)}),
    ("seen_checkpoint", {"participant": "RS", "size": 9, "root": bytes(32)}),
    ("seen_checkpoint", {"participant": "RS", "size": -1, "root": bytes(32)}),
    ("seen_checkpoint", {"participant": "RS", "size": 0, "root": bytes(32)}),
    ("seen_checkpoint", {"participant": "XK", "size": 1, "root": bytes(32)}),
    ("configuration", {"participant": "RS", "issued_at": NOW + 5 * SECOND, "expires_at": NOW, "token": "a.b.c"}),
    ("skipped", {"participant": "RS", "seq": 1, "code": "bad_entry", "detail": ""}),
    ("skipped", {"participant": "RS", "seq": 70, "code": "bad_entry", "detail": ""}),
    ("skipped", {"participant": "XK", "seq": 1, "code": "bad_entry", "detail": ""}),
]


@pytest.mark.parametrize(("table", "row"), INVENTED)
def test_an_invented_row_is_named(node: sa.Engine, table: str, row: dict[str, Any]) -> None:
    with writing(node) as session:
        session.execute(sa.insert(Base.metadata.tables[table]).values(row))
    found = verify(node)
    assert {finding.participant for finding in found} == {row["participant"]}


@pytest.mark.parametrize("participant", ["RS", "XK"])
def test_an_invented_record_is_named(node: sa.Engine, participant: str) -> None:
    row = {**rows(node, "record")[0], "participant": participant, "record": "unit/invented", "version": 1}
    with writing(node) as session:
        session.execute(sa.insert(Base.metadata.tables["record"]).values(row))
    assert any(finding.place == "unit/invented" for finding in verify(node))


@pytest.mark.parametrize(
    ("table", "columns"),
    [("entry", ("header",)), ("entry", ("payload",)), ("entry", ("header", "payload")), ("record", ("data", "seq"))],
)
def test_two_swapped_rows_are_named(node: sa.Engine, table: str, columns: tuple[str, ...]) -> None:
    one, two = [row for row in rows(node, table) if row.get("payload", row.get("data")) is not None][:2]
    change(node, table, one, **{column: two[column] for column in columns})
    change(node, table, two, **{column: one[column] for column in columns})
    assert verify(node)[0].participant == one["participant"]


def test_the_first_difference_of_a_header_lies_between_two_accepted_checkpoints(node: sa.Engine) -> None:
    row = next(row for row in rows(node, "entry") if (row["participant"], row["seq"]) == ("RS", 4))
    change(node, "entry", row, header=row["header"].replace(b"novelty/a", b"novelty/b"))
    found = next(finding for finding in verify(node) if finding.what == "root")
    assert found.place == 2
    assert "entries 2 to 6" in found.found


@pytest.mark.parametrize(
    ("now", "clean"),
    [
        (NOW, True),
        (NOW + dt.timedelta(hours=1), True),
        (NOW + dt.timedelta(hours=2), False),
        (NOW - dt.timedelta(hours=1), False),
        (None, True),
    ],
)
def test_a_superseded_payload_is_kept_for_one_hour(node: sa.Engine, now: dt.datetime | None, clean: bool) -> None:
    assert [finding.what for finding in verify(node, now)] == ([] if clean else ["erasure"])


def test_a_followed_payload_that_was_superseded_is_named(node: sa.Engine) -> None:
    row = next(row for row in rows(node, "entry") if (row["participant"], row["seq"]) == ("RS", 0))
    payload = make_put(0, "unit/spoc", unit("first"), NOW).payload
    change(node, "entry", row, payload=payload, superseded_at=NOW)
    assert {finding.what for finding in verify(node)} == {"erasure", "digest"}  # another salt, so another digest too


SQLITE_ONLY = [
    "log.checkpoint",
    "log.issued_at",
    "record.data",
    "record.at",
    "configuration.token",
    "entry.superseded_at",
]


@pytest.mark.parametrize("column", SQLITE_ONLY)
def test_what_is_no_text_is_named_too(node: sa.Engine, column: str) -> None:
    """SQLite gives out no text that is none, and takes anything for an instant; PostgreSQL holds neither."""
    table, name = column.split(".")
    if node.dialect.name != "sqlite":
        with writing(node) as session, pytest.raises(sa.exc.DBAPIError):
            session.execute(sa.text(f"UPDATE {table} SET {name} = convert_from('\\x80'::bytea, 'UTF8')::text"))
        return
    with writing(node) as session:
        session.execute(sa.text(f"UPDATE {table} SET {name} = CAST(x'80ff' AS TEXT) WHERE {name} IS NOT NULL"))
    assert verify(node)


def test_memory_is_flat_and_pages_are_counted(node: sa.Engine) -> None:
    pages: list[int] = []
    with reading(node) as session:
        assert verify_logs(session, after_page=lambda: pages.append(1)) == []
        head = load_head(session, "RS")
    assert len(pages) == 4  # two logs of a page each, read twice
    assert head is not None
    assert head.size == 7


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("entry", "header"),
        ("entry", "payload"),
        ("log", "root"),
        ("log", "frontier"),
        ("seen_checkpoint", "root"),
    ],
)
def test_text_in_the_place_of_bytes_is_named(node: sa.Engine, table: str, column: str) -> None:
    """What ``replace()`` leaves in SQLite: it may read the same, and every reader expects bytes. It ended the check."""
    if node.dialect.name != "sqlite":
        return
    with node.begin() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET {column} = CAST(hex({column}) AS TEXT)"))
    assert verify(node)
