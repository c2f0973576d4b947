"""Databases for tests: every integration test runs on a SQLite file and on PostgreSQL.

``engine`` is an engine on a fresh database with all tables; ``empty_database_url`` is the address of one without any.
Tables are made once per run; a SQLite file is copied and the PostgreSQL database emptied, which costs milliseconds.
"""

import importlib
import importlib.util
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import Base, make_engine
from tests.postgres import PostgresServer, ReusedDatabase, running_postgres

TABLE_MODULES = ("directory.tables", "federation.tables", "sync.tables", "web.tables")
DATABASES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgres))


def create_tables(url: str) -> None:
    """Create the tables of every package in the database at ``url``."""
    for module in TABLE_MODULES:
        if importlib.util.find_spec(module):
            importlib.import_module(module)
    engine = make_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One PostgreSQL server for the run (for each worker of a parallel run), started when a test first needs it."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_database(postgres_server: PostgresServer) -> ReusedDatabase:
    """A database with all tables, emptied after each test: making one anew costs more than most tests."""
    name = postgres_server.create_database()
    create_tables(postgres_server.url(name))
    return ReusedDatabase(postgres_server, name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with all tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "veza.db"
    create_tables(f"sqlite:///{path}")
    return path


@pytest.fixture(params=DATABASES)
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh database without tables, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'veza.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    with server.database() as url:
        yield url


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh database with all tables, once SQLite and once PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "veza.db"
        shutil.copyfile(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    database: ReusedDatabase = request.getfixturevalue("postgres_database")
    with database.lent() as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """An engine on a fresh database with all tables, once SQLite and once PostgreSQL."""
    engine = make_engine(database_url)
    yield engine
    engine.dispose()
