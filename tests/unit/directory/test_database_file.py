"""Files that are shorter than they say: found before SQLite believes them (abuse.md F07)."""

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database_file import check_files
from directory.errors import DamagedDatabaseError


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "veza.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x TEXT)")
    connection.execute("INSERT INTO t VALUES (?)", ("x" * 20_000,))
    connection.commit()
    connection.close()
    return path


def check(path: Path) -> None:
    check_files(sa.create_engine(f"sqlite:///{path}"))


def test_whole_one_passes(database: Path) -> None:
    check(database)


@pytest.mark.parametrize("missing", [1, 4096, 8192, 20_000])
def test_short_one_is_refused_and_left_as_it_is(database: Path, missing: int) -> None:
    content = database.read_bytes()[:-missing]
    database.write_bytes(content)
    with pytest.raises(DamagedDatabaseError, match="cut short"):
        check(database)
    assert database.read_bytes() == content


@pytest.mark.parametrize("content", [b"", b"SQLite", b"no database at all" * 20])
def test_what_sqlite_judges_itself_passes(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(content)
    check(path)


def test_what_is_no_file_passes(tmp_path: Path) -> None:
    check(tmp_path / "missing.db")
    check_files(sa.create_engine("sqlite://"))
    check_files(sa.create_engine("postgresql+psycopg://nobody@/nowhere"))


@pytest.mark.parametrize("length", [1, 27, 28, 511])
def test_header_of_a_journal_that_was_cut_is_refused(database: Path, length: int) -> None:
    header = bytes.fromhex("d9d505f920a163d7") + (3).to_bytes(4, "big") + bytes(8) + b"\0\0\2\0\0\0\x10\0"
    database.with_name("veza.db-journal").write_bytes(header.ljust(512, b"\0")[:length])
    with pytest.raises(DamagedDatabaseError, match="journal"):
        check(database)
