"""What a database says when it cannot do its work, in the codes and words of the node (protocol.md, section 9).

One table for SQLite and PostgreSQL, so that a command, a page, another node and a job say the same about the same
fault. What is a mistake of the program's own (a statement that no database understands) is no fault here.
"""

from dataclasses import dataclass

import sqlalchemy as sa

BUSY = "busy"
STORAGE_FULL = "storage_full"


@dataclass(frozen=True, slots=True)
class DatabaseFault:
    """Why the database did not do what was asked."""

    code: str
    """``busy`` or ``storage_full``."""
    words: str
    """What was found and what to do, for an operator."""
    passing: bool = False
    """Whether the same transaction may well succeed a moment later."""
    certain: bool = True
    """Whether a transaction that meets it while it is committed is surely not kept."""


_LOCKED = DatabaseFault(BUSY, "another process holds the database's lock: try again", passing=True)
_FULL = DatabaseFault(STORAGE_FULL, "the disk is full: make room, nothing else is needed")
_REFUSED = DatabaseFault(BUSY, "the database refused the change")
_DISK = DatabaseFault(
    BUSY, "the disk gave an input/output error: look at the disk, then run `veza verify`", certain=False
)
_DAMAGED = DatabaseFault(
    BUSY, "the database file is damaged: stop the node, restore a backup, then run `veza verify`", certain=False
)
_READ_ONLY = DatabaseFault(BUSY, "the database can only be read: look at the rights and the mount of its file")
_NOT_OPENED = DatabaseFault(BUSY, "the database file cannot be opened: look at its folder, its rights and open files")
_MEMORY = DatabaseFault(BUSY, "the database has no memory left", certain=False)
_LOST = DatabaseFault(BUSY, "the connection to the database was lost: try again", passing=True, certain=False)
_OTHER = DatabaseFault(BUSY, "the database cannot be used", certain=False)

_SQLITE = {
    5: _LOCKED,
    6: _LOCKED,
    7: _MEMORY,
    8: _READ_ONLY,
    10: _DISK,
    11: _DAMAGED,
    13: _FULL,
    14: _NOT_OPENED,
    19: _REFUSED,
    26: _DAMAGED,
}
"""By the primary result code."""
_POSTGRES = {
    "25006": _READ_ONLY,
    "40001": _LOCKED,
    "40P01": _LOCKED,
    "53100": _FULL,
    "53200": _MEMORY,
    "55P03": _LOCKED,
    "58030": _DISK,
    "P0001": _REFUSED,
    "XX001": _DAMAGED,
    "XX002": _DAMAGED,
}
_MISTAKES = (sa.exc.ProgrammingError, sa.exc.DataError, sa.exc.NotSupportedError)


def database_fault(error: Exception) -> DatabaseFault | None:
    """What a database error (SQLAlchemy's, or one of a driver) means; None where it is a mistake of the program."""
    original = getattr(error, "orig", None) or error
    state = getattr(original, "sqlstate", None)
    if getattr(error, "connection_invalidated", False):
        return _LOST
    known = _POSTGRES.get(str(state)) or _SQLITE.get(getattr(original, "sqlite_errorcode", 0) & 0xFF)
    if known is not None:
        return known
    if isinstance(error, _MISTAKES):
        return None
    return _REFUSED if isinstance(error, sa.exc.IntegrityError) else _OTHER


def fault_words(error: Exception, fault: DatabaseFault) -> str:
    """The fault for an operator, with what the database itself said, on one line."""
    said = " ".join(str(getattr(error, "orig", None) or error).split())
    return f"{fault.words} ({said})"
