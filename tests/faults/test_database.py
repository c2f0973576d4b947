"""What the database does to a node that serves: refuses, breaks at the commit, fills up, is locked, loses connections.

F03, F05, F09, F10, F11, F21 of the case list, on SQLite and, where it has the fault, on PostgreSQL. After each refusal
nothing has changed, and the same process goes on without a restart once the fault is over.
"""

import logging
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from directory.database import Base, reading
from directory.errors import OutcomeUnknownError
from federation import publishing
from federation.checkpoint import make_checkpoint
from federation.key_directory import KeyDirectory
from federation.log import load_head
from federation.verification import verify_logs
from tests.postgres import PostgresServer
from tests.web.building import ServedNode, build_node, serve, serve_copy

UNIT = "/api/v1/units/me-spoc"
MIB = 1 << 20
_NUMBERS = count(1)


@pytest.fixture(scope="module")
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="module")
def on_postgres(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    """One node on PostgreSQL for all tests here: each leaves it as it found it, or one version on."""
    data = tmp_path_factory.mktemp("postgres") / "ME"
    build_node(data, {"database": postgres_url})
    served = serve(data)
    yield served
    served.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def either(request: pytest.FixtureRequest) -> ServedNode:
    """The node on each database."""
    name = "node" if request.param == "sqlite" else "on_postgres"
    served: ServedNode = request.getfixturevalue(name)
    return served


class Desk:
    """An administrator who saves a record, and what stands."""

    def __init__(self, node: ServedNode) -> None:
        self.node = node
        self.client = node.client("ana")

    def save(self, note: str, tag: str | None = None):
        held = self.client.get(UNIT)
        return self.client.put(UNIT, held.json["data"] | {"note": note}, If_Match=tag or held.headers["ETag"])

    def push(self):
        """A neighbour's newer checkpoint is posted."""
        self.node.clock.forward(seconds=1)
        identity = KeyDirectory(self.node.data / "neighbours" / "RS", "RS", "http://127.0.0.1:8110").load()
        with reading(self.node.engine) as session:
            head = load_head(session, "RS")
        assert head is not None
        checkpoint = make_checkpoint(identity, head.size + next(_NUMBERS), b"r" * 32, self.node.clock.now, None)
        return self.client.client.post(
            "/federation/v1/checkpoints", data=checkpoint.token, content_type="application/jwt"
        )

    def state(self) -> tuple[object, ...]:
        """Every log's head, and what the read model says."""
        with self.node.engine.connect() as connection:
            heads = connection.exec_driver_sql("SELECT participant, size, root, checkpoint FROM log ORDER BY 1").all()
            records = connection.exec_driver_sql("SELECT count(*), max(seq), max(version) FROM record").one()
        return (*map(tuple, heads), *records)

    def check_clean(self) -> None:
        with reading(self.node.engine) as session:
            assert list(verify_logs(session)) == []


def check_refused(response, code: str) -> None:
    assert response.status_code == 503, response.data
    assert response.json["type"] == f"urn:veza:problem:{code}"
    assert int(response.headers["Retry-After"]) > 0
    assert "Traceback" not in response.json["detail"]


@contextmanager
def broken_table(engine: sa.Engine, table: str) -> Iterator[None]:
    """Every write to a table is refused by a trigger."""
    names = []
    with engine.begin() as connection:
        for event in ("INSERT", "UPDATE", "DELETE"):
            name = f"broken_{event}"
            names.append(name)
            if engine.dialect.name == "sqlite":
                body = f"CREATE TRIGGER {name} BEFORE {event} ON \"{table}\" BEGIN SELECT RAISE(ABORT, 'broken'); END"
                connection.exec_driver_sql(body)
                continue
            connection.exec_driver_sql(
                "CREATE OR REPLACE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql "
                "AS $$BEGIN RAISE EXCEPTION 'broken'; END$$"
            )
            connection.exec_driver_sql(f'CREATE TRIGGER {name} BEFORE {event} ON "{table}" EXECUTE FUNCTION broken()')
    try:
        yield
    finally:
        with engine.begin() as connection:
            for name in names:
                on = "" if engine.dialect.name == "sqlite" else f' ON "{table}"'
                connection.exec_driver_sql(f"DROP TRIGGER {name}{on}")


def test_f03_a_table_that_refuses_writes(either: ServedNode) -> None:
    desk, refused = Desk(either), set()
    for number, table in enumerate(Base.metadata.tables):
        before = desk.state()
        with broken_table(either.engine, table):
            saved, pushed = desk.save(f"text {number} of {time.time_ns()}"), desk.push()
        for response in (saved, pushed):
            if response.status_code == 503:
                refused.add(table)
                check_refused(response, "busy")
        if saved.status_code == 503:
            assert desk.state() == before
    assert {"log", "entry", "record", "counter", "wanted_pull", "seen_checkpoint"} <= refused
    assert desk.save("at last").status_code == 200
    assert desk.push().status_code == 202
    desk.check_clean()


@contextmanager
def commits_that_fail(engine: sa.Engine, *, persisted: bool) -> Iterator[None]:
    """The driver reports a failure at each commit, whether or not the database has kept the transaction."""
    honest = engine.dialect.do_commit

    def fail(connection: object) -> None:
        if persisted:
            honest(connection)  # type: ignore[arg-type]
        if engine.dialect.name == "sqlite":
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        connection.dbapi_connection.close()  # type: ignore[attr-defined]
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    engine.dialect.do_commit = fail  # type: ignore[method-assign]
    try:
        yield
    finally:
        engine.dialect.do_commit = honest  # type: ignore[method-assign]


@pytest.mark.parametrize("persisted", [True, False])
def test_f05_commit_whose_outcome_is_unknown(either: ServedNode, persisted: bool) -> None:
    desk = Desk(either)
    tag = desk.client.get(UNIT).headers["ETag"]
    before = desk.state()
    with commits_that_fail(either.engine, persisted=persisted):
        response = desk.save("perhaps")
    check_refused(response, "busy")
    assert "not known" in response.json["detail"]
    assert (desk.state() != before) is persisted
    assert (desk.client.get(UNIT).json["data"].get("note") == "perhaps") is persisted, "caches must read anew"
    assert desk.save("perhaps", tag).status_code == (412 if persisted else 200)
    desk.check_clean()
    assert desk.save(f"after {time.time_ns()}").status_code == 200
    assert desk.client.get(UNIT).status_code == 200


def test_f05_error_says_that_nobody_knows() -> None:
    error = OutcomeUnknownError("the disk failed", passing=False)
    assert (error.code, "not known" in error.detail) == ("busy", True)


@contextmanager
def small_disk(folder: Path, room: int) -> Iterator[Path | None]:
    """A file system of so many bytes; None where this machine does not let us mount one."""
    folder.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", f"size={room}", "tmpfs", str(folder)]
    if subprocess.run(options, capture_output=True, check=False).returncode != 0:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def full(node: ServedNode, disk: Path | None) -> Iterator[None]:
    """No room is left: on the disk itself, or by the limit that SQLite keeps."""
    if disk is not None:
        filler = disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        yield
        filler.unlink()
        return

    def limit(connection: sqlite3.Connection, record: object) -> None:
        connection.execute("PRAGMA max_page_count = 1")

    node.engine.dispose()
    sa.event.listen(node.engine, "connect", limit)
    yield
    sa.event.remove(node.engine, "connect", limit)
    node.engine.dispose()


def test_f09_full_disk(node_template: Path, tmp_path: Path) -> None:
    with small_disk(tmp_path / "small", 8 * MIB) as disk:
        node = serve_copy(node_template, (disk or tmp_path) / "ME")
        desk = Desk(node)
        before = desk.state()
        desk.client.get(UNIT)
        with full(node, disk):
            check_refused(desk.save("x" * 900), "storage_full")
            check_refused(desk.push(), "storage_full")
            assert desk.state() == before
            assert desk.client.get("/api/v1/lookup?country=RS&crime_area=drugs&urgency=urgent").status_code == 200
        assert desk.save("x" * 900).status_code == 200
        assert desk.push().status_code == 202
        desk.check_clean()
        node.close()


@contextmanager
def locked_sqlite(node: ServedNode) -> Iterator[None]:
    other = sqlite3.connect(node.data / "veza.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


@contextmanager
def locked_postgres(node: ServedNode) -> Iterator[None]:
    with node.engine.connect() as other:
        other.exec_driver_sql("LOCK TABLE log, counter, wanted_pull IN EXCLUSIVE MODE")
        yield


def test_f10_another_process_holds_the_lock(either: ServedNode) -> None:
    desk = Desk(either)
    before, tag = desk.state(), desk.client.get(UNIT).headers["ETag"]
    locked = locked_sqlite if either.engine.dialect.name == "sqlite" else locked_postgres
    with locked(either), ThreadPoolExecutor(2) as pool:
        started = time.monotonic()
        answers = [pool.submit(desk.save, "waited", tag), pool.submit(desk.push)]
        assert desk.client.get("/api/v1/lookup?country=RS&crime_area=drugs&urgency=urgent").status_code == 200
        for answer in answers:
            check_refused(answer.result(), "busy")
        assert time.monotonic() - started < 5.0
    assert desk.state() == before
    assert desk.save("waited", tag).status_code == 200
    assert desk.push().status_code == 202


def test_f11_write_ahead_mode_is_left_on_an_old_library(
    node_template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("directory.database.WAL_SAFE_SINCE", (99, 0, 0))
    node = serve_copy(node_template, tmp_path / "ME")
    node.engine.dispose()
    with sqlite3.connect(node.data / "veza.db") as connection:
        assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    connection.close()
    with caplog.at_level(logging.WARNING):
        assert Desk(node).save("written").status_code == 200
    assert "write-ahead" in caplog.text
    with node.engine.connect() as held:
        assert held.exec_driver_sql("PRAGMA journal_mode").scalar() == "truncate"
    shown = node.client().get("/readyz").json["checks"]["database"]["detail"]
    assert f"SQLite {sqlite3.sqlite_version} with a rollback journal" in shown
    node.close()


class Terminated:
    """Publishes after the database server has ended this connection, so many times."""

    def __init__(self, node: ServedNode, url: str, times: int) -> None:
        self.node, self.times = node, times
        self.admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)

    def __call__(self, session: sa.orm.Session, *arguments: object) -> object:
        if self.times > 0:
            self.times -= 1
            own = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar()
            with self.admin.connect() as connection:
                connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": own})
        return publishing.publish(session, *arguments)  # type: ignore[arg-type]


@pytest.mark.postgres
@pytest.mark.parametrize(("times", "status"), [(1, 200), (9, 503)])
def test_f21_backend_is_killed_in_the_transaction(
    on_postgres: ServedNode, postgres_url: str, monkeypatch: pytest.MonkeyPatch, times: int, status: int
) -> None:
    desk = Desk(on_postgres)
    before = desk.state()
    monkeypatch.setattr("web.record_changes.publish", Terminated(on_postgres, postgres_url, times))
    response = desk.save(f"once {time.time_ns()}")
    assert response.status_code == status
    if status == 503:
        check_refused(response, "busy")
        assert desk.state() == before
    monkeypatch.undo()
    assert desk.save(f"after {time.time_ns()}").status_code == 200
    desk.check_clean()
