"""F07: files of the database that were cut short: a clear refusal or a whole recovery, never a silent subset."""

import os
import shutil
import signal
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from directory.database import make_engine
from directory.database_file import check_files
from tests.faults.scenarios import Publication, check_one_tree, read_state
from web.cli import main

PAGE = 4096
CUTS: dict[str, Callable[[int], int]] = {
    "one page": lambda size: size - PAGE,
    "one byte": lambda size: size - 1,
    "half": lambda size: size // 2,
    "to 100 bytes": lambda size: 100,
}
cuts = pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)


def shorten(path: Path, cut: Callable[[int], int]) -> None:
    os.truncate(path, cut(path.stat().st_size))


@pytest.fixture
def data(publication: Publication, folder: Path) -> Path:
    return publication.prepare(folder)


@pytest.fixture
def interrupted(data: Path, publication: Publication) -> Path:
    """The node after ``kill -9`` in the middle of a commit: part of it is in the database, all to undo in a journal."""
    before = data / "veza.db"
    pid = os.fork()
    if pid == 0:
        connection = sqlite3.connect(before, isolation_level=None)
        connection.execute("PRAGMA cache_size=1")  # pages spill into the file before the commit
        connection.execute("PRAGMA cache_spill=1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE entry SET payload = CAST(payload || zeroblob(3000) AS BLOB)")
        connection.execute("UPDATE record SET data = data || '  '")
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert (data / "veza.db-journal").stat().st_size > PAGE
    return data


@cuts
def test_f07_database_is_refused_by_every_command(
    data: Path, publication: Publication, cut: Callable[[int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    shorten(data / "veza.db", cut)
    for command in (["verify"], ["federation"], ["lookup", "--country", "ME", "--crime-area", "drugs"], ["readiness"]):
        assert main(["--data", str(data), *command]) in {1, 2}
    assert main(["--data", str(data), "verify"]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("veza: busy: ")
    assert "damaged" in line


def end_of_counted(journal: Path) -> int:
    """Where the pages end that were durable in the journal before the database was touched."""
    content, position, end = journal.read_bytes(), 0, 0
    while content[position : position + 8] == content[:8]:
        pages, sector = struct.unpack_from(">I", content, position + 8)[0], 512
        if pages == 0:
            break
        end = position + sector + pages * (PAGE + 8)
        position = -(-end // sector) * sector
    return end


@cuts
def test_f07_hot_journal_that_was_cut_is_refused_before_anything_is_undone(
    interrupted: Path, cut: Callable[[int], int], capsys: pytest.CaptureFixture[str]
) -> None:
    journal = interrupted / "veza.db-journal"
    os.truncate(journal, end_of_counted(journal))
    shorten(journal, cut)
    bytes_before = (interrupted / "veza.db").read_bytes(), journal.read_bytes()
    for command in ("verify", "federation", "migrate", "rebuild"):
        assert main(["--data", str(interrupted), command]) == 1
        line = capsys.readouterr().err.strip().splitlines()[-1]
        assert line.startswith("veza: busy: ")
        assert "cut short" in line
    assert ((interrupted / "veza.db").read_bytes(), journal.read_bytes()) == bytes_before


def test_f07_whole_hot_journal_is_undone(interrupted: Path, publication: Publication) -> None:
    assert main(["--data", str(interrupted), "verify"]) == 0
    journal = interrupted / "veza.db-journal"
    assert not journal.exists() or journal.stat().st_size == 0  # what undid it is used up


@pytest.mark.parametrize("content", [b"", b"\0" * 600, b"something else"])
def test_f07_what_is_no_journal_is_nobodys_fault(data: Path, content: bytes) -> None:
    (data / "veza.db-journal").write_bytes(content)
    assert main(["--data", str(data), "verify"]) == 0


@pytest.fixture
def ahead_log(data: Path, publication: Publication) -> Path:
    """A copy of the node taken while its newest publication stands in a write-ahead log alone."""
    connection = sqlite3.connect(data / "veza.db", isolation_level=None)
    assert connection.execute("PRAGMA journal_mode=WAL").fetchone() == ("wal",)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    for number in range(20):
        connection.execute("UPDATE counter SET value = value + 1 WHERE name = 'accounts'")
        connection.execute("UPDATE sync_status SET detail = ?", (str(number),))
    copy = data.with_name("copy")
    shutil.copytree(data, copy)
    connection.close()
    (copy / "veza.db-shm").unlink(missing_ok=True)
    return copy


@cuts
def test_f07_write_ahead_log_that_was_cut_gives_a_whole_earlier_state(
    ahead_log: Path, publication: Publication, cut: Callable[[int], int]
) -> None:
    before = read_state(publication.prepare(ahead_log.parent), "ME")
    shorten(ahead_log / "veza.db-wal", cut)
    assert main(["--data", str(ahead_log), "verify"]) == 0
    assert read_state(ahead_log, "ME") == before


def test_f07_journal_of_a_writer_at_work_is_not_taken_for_a_damaged_one(data: Path) -> None:
    engine = make_engine(f"sqlite:///{data / 'veza.db'}")
    connection = sqlite3.connect(data / "veza.db", isolation_level=None)
    connection.execute("PRAGMA cache_size=1")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE entry SET payload = CAST(payload || zeroblob(3000) AS BLOB)")
    check_files(engine)
    connection.execute("ROLLBACK")
    connection.close()
    check_one_tree(engine, "ME", [])
    engine.dispose()
