"""Units or members as a table: written from the records held, and read back into a document.

A table holds a part of the directory: columns that it lacks keep what is held, and so do records that it lacks. It is
read all or nothing; a fault stands at ``line 3, column hours``.
"""

import re
import secrets
import string
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

from directory.document import PARTS, Document, looks_like_name, parse_document
from directory.errors import Fault, InvalidInputError
from directory.references import circular_parents
from directory.vocabulary import PARTICIPANT_RECORD
from web.errors import WebError
from web.record_columns import MEMBERS, UNITS, Column, RecordTable, merged
from web.table_files import Line, place

Records = Mapping[str, Mapping[str, Any]]
"""Record id → data."""

_IDS = ("ref", "id")
_ID_LETTERS = string.ascii_lowercase + string.digits


def record_rows(table: RecordTable, participant: str, records: Records) -> Iterator[list[str]]:
    """The header, then a row for each record of the table's type, in the order of their ids."""
    held = {record: data for record, data in records.items() if record.startswith(f"{table.type}/")}
    columns = table.columns_for(held.values())
    yield ["ref", *(column.name for column in columns)]
    for record, data in sorted(held.items()):
        yield [f"{participant}:{record}", *(column.written(data) for column in columns)]


def document_of_table(lines: Sequence[Line], participant: str, held: Records) -> Document:
    """What a table (its header first) makes of the records held; InvalidInputError with every fault.

    Members without an id get a new one. The participant's own record must be held: it is no part of a table.
    """
    if PARTICIPANT_RECORD not in held:
        raise WebError(f"expected a directory document (JSON) of {participant} before tables of its units or members")
    return _TableReader(lines, participant, held).read()


def table_kind(lines: Sequence[Line]) -> RecordTable:
    """Whether a table holds units or members: its columns say it, or else its references.

    Raises InvalidInputError where it holds neither or both, and with every column that is none.
    """
    names = _headings(lines[0])
    of_units, of_members = _only_in(UNITS, MEMBERS, names), _only_in(MEMBERS, UNITS, names)
    if of_units == of_members:
        of_units, of_members = _refers_to(UNITS, lines), _refers_to(MEMBERS, lines)
    if of_units == of_members:
        expected = f"expected columns of units ({UNITS.headings()}) or of members ({MEMBERS.headings()})"
        raise InvalidInputError(
            [Fault(f"line {lines[0].number}", ", ".join(names), f"{expected}, not of both, and enough to tell which")]
        )
    table = UNITS if of_units else MEMBERS
    faults = [*_column_faults(lines[0], table), *_id_faults(lines[0])]
    if faults:
        raise InvalidInputError(faults)
    return table


def _refers_to(table: RecordTable, lines: Sequence[Line]) -> bool:
    """Whether every line begins its reference as those of this table do."""
    names = _headings(lines[0])
    if "ref" not in names:
        return False
    refs = [line.cells[names.index("ref")] for line in lines[1:]]
    return bool(refs) and all(f":{table.type}/" in ref for ref in refs)


def _headings(header: Line) -> list[str]:
    return [cell.strip() for cell in header.cells]


def _only_in(table: RecordTable, other: RecordTable, names: Iterable[str]) -> bool:
    return any(table.column(name) and not other.column(name) for name in names)


def _column_faults(header: Line, table: RecordTable) -> Iterator[Fault]:
    names = _headings(header)
    for column, name in enumerate(names):
        at = place(header.number, name or str(column + 1))
        if name not in _IDS and table.column(name) is None:
            yield Fault(at, name, f"expected a column of {table.part}: ref or id, {table.headings()}")
        elif name in names[:column]:
            yield Fault(at, name, "expected each column once")


def _id_faults(header: Line) -> Iterator[Fault]:
    names = _headings(header)
    if len({*_IDS}.intersection(names)) != 1:
        yield Fault(f"line {header.number}", ", ".join(names), "expected one column that says which record: ref or id")


class _TableReader:
    """Turns the lines of one table into the part of a document, and a fault's pointer back into its line."""

    def __init__(self, lines: Sequence[Line], participant: str, held: Records) -> None:
        self._participant = participant
        self._held = held
        self._table = table_kind(lines)
        self._names = _headings(lines[0])
        self._id_column = next(name for name in self._names if name in _IDS)
        self._lines = lines[1:]
        self._warnings: list[str] = []

    def read(self) -> Document:
        entries = [*self._entries()]
        faults = [*self._circle_faults(entries)]
        own = _without_parts(self._held[PARTICIPANT_RECORD])
        try:
            document = parse_document({**own, self._table.part: entries}, self._participant, self._held)
        except InvalidInputError as error:
            faults = [*map(self._in_the_file, error.faults), *faults]
        if faults:
            raise InvalidInputError([*{(fault.place, fault.expected): fault for fault in faults}.values()])
        return self._without_own(document)

    def _without_own(self, document: Document) -> Document:
        """The document without the participant's own record, which the table says nothing of."""
        records = {record: data for record, data in document.records.items() if record != PARTICIPANT_RECORD}
        warnings = [warning for warning in document.warnings if not warning.startswith(PARTICIPANT_RECORD)]
        return Document(self._participant, records, [*warnings, *self._warnings])

    def _entries(self) -> Iterator[dict[str, Any]]:
        taken = {*self._held}
        namesakes = self._held_members_by_name()
        for line in self._lines:
            cells = dict(zip(self._names, line.cells, strict=True))
            slug = self._slug(cells.pop(self._id_column))
            data = merged(self._held.get(f"{self._table.type}/{slug}", {}), self._columns_of(cells))
            if not slug and self._table is MEMBERS:
                slug = _new_member_id(taken)
                taken.add(f"member/{slug}")
                self._warn_of_namesake(line, namesakes.get(_who(data)))
            yield {**data, "id": slug or None}

    def _slug(self, cell: str) -> str:
        return cell.strip().removeprefix(f"{self._participant}:{self._table.type}/")

    def _held_members_by_name(self) -> dict[object, str]:
        return {_who(data): record for record, data in self._held.items() if record.startswith("member/")}

    def _columns_of(self, cells: Mapping[str, str]) -> list[tuple[Column, str]]:
        return [(column, cell) for name, cell in cells.items() if (column := self._table.column(name))]

    def _warn_of_namesake(self, line: Line, record: str | None) -> None:
        if record is not None:
            self._warnings.append(f"line {line.number}: {record} has the same name and unit; is it somebody else?")

    def _circle_faults(self, entries: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
        """Circles of parents that lead through units which are held and not in the table."""
        if self._table is not UNITS:
            return
        numbers = {f"unit/{entry['id']}": line.number for entry, line in zip(entries, self._lines, strict=True)}
        units = {**self._held, **{f"unit/{entry['id']}": entry for entry in entries}}
        for _, fault in circular_parents(units):
            for unit in re.findall(r"unit/[a-z0-9-]+", fault.expected):
                if unit in numbers:
                    yield Fault(place(numbers[unit], "parent"), units[unit].get("parent"), fault.expected)
                    break

    def _in_the_file(self, fault: Fault) -> Fault:
        found = re.match(rf"/{self._table.part}/(\d+)(.*)", fault.place)
        if found is None:
            return fault
        expected = re.sub(rf"/{self._table.part}/(\d+)", lambda other: self._line(other[1]), fault.expected)
        return Fault(f"{self._line(found[1])}, column {self._column(found[2])}", fault.found, expected)

    def _line(self, entry: str) -> str:
        return f"line {self._lines[int(entry)].number}"

    def _column(self, pointer: str) -> str:
        """The column of a place in a record: that of the value, or of the one that should be there."""
        if pointer == "/id":
            return self._id_column
        known = [*filter(None, map(self._table.column, self._names)), *self._table.columns]
        within = (column for column in known if _is_within(pointer, column))
        nearest: Column | None = next(within, None)
        if nearest is not None:
            return nearest.name
        return "name.en" if self._table.has_names and pointer == "/name" else pointer.strip("/").replace("/", ".")


def _without_parts(own: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in own.items() if key not in PARTS}


def _is_within(pointer: str, column: Column) -> bool:
    return pointer == column.pointer or pointer.startswith(f"{column.pointer}/")


def _who(member: Mapping[str, Any]) -> tuple[str | None, str | None]:
    return member.get("name"), member.get("unit")


def _new_member_id(taken: Container[str]) -> str:
    """An id that nobody has: ids are never erased, so it is not made from a name (directory.md, section 1)."""
    while True:
        slug = "m-" + "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
        if f"member/{slug}" not in taken and not looks_like_name(slug):
            return slug
