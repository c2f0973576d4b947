"""Pages of a log kept unapplied, until the root over all of them is proven.

A run keeps few pages in memory and many in a file, so that memory stays flat. A run that reaches its limit leaves its
file for the next one; what the file says is believed no more than what a peer says: the next run checks it all again.
"""

import io
import json
import secrets
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from federation.head import Head
from sync.errors import StorageError

_FRAME = struct.Struct(">QII")
_ORPHANED_AFTER = 2 * 24 * 3600
"""Seconds after which the file of a run that never ended (its process was killed) is removed."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it was served, beginning at entry ``start``; ``count`` of its lines are wanted."""

    start: int
    count: int
    body: bytes


class Spool:
    """The pages of one run for one participant, in order; with ``with``, they are gone at its end.

    Appending raises OSError where the disk is full.
    """

    def __init__(self, held: Head, memory_bytes: int, folder: Path | None = None) -> None:
        self._held = held
        self._memory_bytes = memory_bytes
        self._folder = folder
        self._file: IO[bytes] = io.BytesIO()
        self._path: Path | None = None
        self._first = 0
        self.size = 0
        """What the pages take, in bytes."""

    @classmethod
    def resume(cls, held: Head, memory_bytes: int, folder: Path | None) -> Self:
        """A spool with what an earlier run left for the same held log; an empty one where there is nothing."""
        spool = cls(held, memory_bytes, folder)
        if folder is not None:
            _remove_orphans(folder)
            spool._take_over(folder)
        return spool

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, page: Page) -> None:
        """Keep one more page."""
        if self._path is None and self.size + len(page.body) > self._memory_bytes:
            self._move_to_file()
        self._file.seek(0, io.SEEK_END)
        self._file.write(_FRAME.pack(page.start, page.count, len(page.body)) + page.body)
        self.size += len(page.body)

    def pages(self) -> Iterator[Page]:
        """The pages in order, read one at a time; one that was cut short ends them."""
        position = self._first
        while True:
            self._file.seek(position)
            frame = self._file.read(_FRAME.size)
            if len(frame) < _FRAME.size:
                return
            start, count, length = _FRAME.unpack(frame)
            body = self._file.read(length)
            if len(body) < length:
                return
            position += _FRAME.size + length
            yield Page(start, count, body)

    def clear(self) -> None:
        """Drop every page."""
        self._file.truncate(self._first)
        self.size = 0

    def close(self) -> None:
        """Drop the pages and their file."""
        self._file.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def keep(self) -> None:
        """Leave the pages for the next run, where there is a folder for them, and close."""
        if self._folder is not None:
            if self._path is None:
                self._move_to_file()
            assert self._path is not None
            self._file.flush()
            self._path.replace(_kept(self._folder, self._held))
            self._path = None
        self.close()

    def _move_to_file(self) -> None:
        folder = self._folder or Path(tempfile.gettempdir())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / f"{self._held.participant}-{secrets.token_hex(8)}.part"
        mark = _mark(self._held)
        file = path.open("x+b")
        self._path, pages, self._file, self._first = path, self._file, file, len(mark)
        file.write(mark)
        pages.seek(0)
        while part := pages.read(1 << 20):
            file.write(part)

    def _take_over(self, folder: Path) -> None:
        """Make the file of an earlier run this run's own: of several processes one gets it."""
        path = folder / f"{self._held.participant}-{secrets.token_hex(8)}.part"
        try:
            _kept(folder, self._held).rename(path)
        except FileNotFoundError:
            return
        mark = _mark(self._held)
        file = path.open("r+b")
        if file.read(len(mark)) != mark:  # the log moved on since: these pages continue nothing
            file.close()
            path.unlink()
            return
        self._path, self._file, self._first = path, file, len(mark)
        self.size = path.stat().st_size - len(mark)


@contextmanager
def disk_errors_explained() -> Iterator[None]:
    """Turn the OSError of a spool into StorageError ``storage_full``, whose detail says what to look at."""
    try:
        yield
    except OSError as error:
        raise StorageError("storage_full", f"fetched pages could not be kept on disk: {error}") from error


def _kept(folder: Path, held: Head) -> Path:
    return folder / f"{held.participant}.pages"


def _mark(held: Head) -> bytes:
    """The first line of a file: which held log its pages continue."""
    return json.dumps({"participant": held.participant, "size": held.size, "root": held.root.hex()}).encode() + b"\n"


def _remove_orphans(folder: Path) -> None:
    for path in folder.glob("*.part"):
        try:
            if time.time() - path.stat().st_mtime > _ORPHANED_AFTER:
                path.unlink()
        except FileNotFoundError:
            continue
