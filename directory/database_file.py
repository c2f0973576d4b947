"""Whether the files of a SQLite database are as long as they say (abuse.md F07).

An interrupted writer leaves a rollback journal, from which SQLite undoes what was interrupted before anything else. It
believes a journal that was cut short as far as it goes, and would leave a database of which half is undone; it reads
the missing end of a database's last page as zeros. So the files' own account of themselves is read first.
"""

import io
import struct
import time
from pathlib import Path

import sqlalchemy as sa

from directory.errors import DamagedDatabaseError

_MAGIC = bytes.fromhex("d9d505f920a163d7")
_HEADER = struct.Struct(">8sIIIII")
"""Magic, number of pages, nonce of the checksums, pages of the database before, sector size, page size."""
_DATABASE_HEADER = struct.Struct(">16sH6xII60xI4x")
"""Magic, page size, counter of changes, pages, and the counter at which they were counted."""
_PAGE_FRAME = 8
"""Number and checksum beside each page."""
_SMALLEST_SECTOR = 512
_UNCOUNTED = 0xFFFFFFFF
_LOOKS = 3
_BETWEEN_LOOKS = 0.05
"""Seconds; a writer at work changes the file under one look, not under all."""


def check_files(engine: sa.Engine) -> None:
    """Raise DamagedDatabaseError where the files of a SQLite database lack what they say they hold.

    Must come before the first connection: that one undoes what it finds.
    """
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path or path == ":memory:":
        return
    short: tuple[Path, int] | None = None
    for _ in range(_LOOKS):
        short = _cut_short(Path(path))
        if short is None:
            return
        time.sleep(_BETWEEN_LOOKS)
    if short is not None:
        raise DamagedDatabaseError(
            f"{short[0]} is damaged: it was cut short, at least {short[1]} bytes are missing; restore a backup"
        )


def _cut_short(database: Path) -> tuple[Path, int] | None:
    """The file that is too short, and by how many bytes at least."""
    journal, ahead = (database.with_name(f"{database.name}-{kind}") for kind in ("journal", "wal"))
    missing = _missing_bytes(journal)
    if missing:
        return journal, missing
    if _size(journal) or _size(ahead):
        return None  # somebody is writing, or was interrupted: SQLite itself brings the database up to its length
    missing = _missing_of_database(database)
    return (database, missing) if missing else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _missing_of_database(database: Path) -> int:
    """What the database lacks of the pages that its first one counts."""
    if not _size(database):
        return 0  # nothing was ever written
    with database.open("rb") as file:
        head = file.read(_DATABASE_HEADER.size)
        size = file.seek(0, io.SEEK_END)
    if len(head) < _DATABASE_HEADER.size or not head.startswith(b"SQLite format 3"):
        return 0  # SQLite says itself what that is
    _, page_size, changed, pages, counted_at = _DATABASE_HEADER.unpack(head)
    page_size = 65_536 if page_size == 1 else page_size
    return max(pages * page_size - size, -size % page_size) if changed == counted_at else 0


def _missing_bytes(journal: Path) -> int:
    try:
        with journal.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
            position: int | None = 0
            while position is not None and position < size:
                file.seek(position)
                position, missing = _read_segment(file.read(_HEADER.size), position, size)
                if missing:
                    return missing
    except FileNotFoundError:
        pass  # nothing was interrupted, or it ended well meanwhile
    return 0


def _read_segment(header: bytes, position: int, size: int) -> tuple[int | None, int]:
    """Where the next segment begins (None: there is none), and how many bytes this one lacks."""
    if not header.startswith(_MAGIC[: len(header)]):
        return None, 0  # the tail of an earlier, longer journal
    if size < position + _SMALLEST_SECTOR:
        return None, position + _SMALLEST_SECTOR - size
    _, pages, _, _, sector, page_size = _HEADER.unpack(header)
    if pages in (0, _UNCOUNTED):
        return None, 0  # nothing of the database was overwritten yet
    end = position + sector + pages * (page_size + _PAGE_FRAME)
    return -(-end // sector) * sector, max(end - size, 0)
