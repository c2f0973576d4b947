"""The number of the last entry of each record, however long the log: what supersedes what, in flat memory."""

import sqlite3
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

_CACHE_KIB = 16_384


class LastNumbers:
    """Kept in a private file that no name leads to and that vanishes when it is closed; with ``with``, at its end."""

    def __init__(self) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE_KIB}"):
            self._file.execute(f"PRAGMA {pragma}")
        self._file.execute("CREATE TABLE last (record TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID")

    def note(self, numbers: Iterable[tuple[str, int]]) -> None:
        """Remember entries by record and number, in the order of the log: a later one supersedes."""
        self._file.execute("BEGIN")
        self._file.executemany("INSERT OR REPLACE INTO last (record, seq) VALUES (?, ?)", numbers)
        self._file.execute("COMMIT")

    def find(self, records: Sequence[str]) -> dict[str, int]:
        """The last numbers of those of these records (a page of them) that were noted."""
        marks = ",".join("?" * len(records))
        query = f"SELECT record, seq FROM last WHERE record IN ({marks})"  # noqa: S608  # marks alone
        return dict(self._file.execute(query, records))

    def close(self) -> None:
        """Remove the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
