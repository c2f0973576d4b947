"""What is refused of a workbook (XLSX) before it is opened: what unpacks into more than anybody would type.

A workbook is a ZIP archive of XML. Both can be tiny and unfold into gigabytes, so the archive's sizes are read first
and then every part once as a stream, which needs no memory however large the part is.
"""

import zipfile
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from web.errors import TooLargeError, WebError

MOST_UNPACKED_BYTES = 128 * 2**20
MOST_PARTS = 1_000
MOST_REPEATED = 1_000_000
"""Rows and shared texts together; the reader lets go of each as soon as it is read."""
MOST_HELD = 200_000
"""XML elements that the reader has in memory at once: those of one row or text, and those that are in none."""

_REPEATED = frozenset({"row", "si"})
_CHUNK = 2**16


def check_workbook(path: Path) -> None:
    """Raise TooLargeError for a bomb, and WebError for XML that defines entities, which no workbook needs.

    Raises zipfile.BadZipFile and what else zipfile raises for what is no archive. What is no XML is passed over.
    """
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        unpacked = sum(part.file_size for part in parts)
        if len(parts) > MOST_PARTS or unpacked > MOST_UNPACKED_BYTES:
            raise TooLargeError(
                f"{path.name}: expected a workbook of at most {MOST_PARTS} parts and {MOST_UNPACKED_BYTES} bytes "
                f"unpacked, found {len(parts)} and {unpacked}"
            )
        for part in parts:
            _Part(path.name).check(archive, part)


class _Part:
    """Counts the elements of one part."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._depth = 0
        self._repeated = 0
        self._within = 0
        self._elsewhere = 0

    def check(self, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._refuse_definitions
        with archive.open(part) as stream:
            try:
                while chunk := stream.read(_CHUNK):
                    parser.Parse(chunk, False)
            except expat.ExpatError:
                return  # no XML: the reader will not get further either

    def _start(self, name: str, attributes: object) -> None:
        if self._depth or _local(name) in _REPEATED:
            self._depth += 1
        if self._depth == 1:
            self._repeated += 1
            self._within = 0
        if self._depth:
            self._within += 1
        else:
            self._elsewhere += 1
        if self._repeated > MOST_REPEATED or self._within + self._elsewhere > MOST_HELD:
            raise TooLargeError(f"{self._name}: expected fewer rows and cells than this workbook unpacks into")

    def _end(self, name: str) -> None:
        if self._depth:
            self._depth -= 1

    def _refuse_definitions(self, *declared: object) -> NoReturn:
        raise WebError(f"{self._name}: expected a workbook without XML definitions (DOCTYPE), found {declared[0]!r}")


def _local(name: str) -> str:
    return name.rpartition(":")[2]
