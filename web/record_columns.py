"""Which columns a table of units or members has, and how a member of a record stands in its cell.

Lists are joined by spaces, names carry their language (``name.sr-Latn``), an empty cell is a member that is not given.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from directory.part_rules import is_language_tag

NAME_COLUMN = "name."


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, and where the value stands in the record."""

    name: str
    path: tuple[str, ...]
    is_list: bool = False

    @property
    def pointer(self) -> str:
        """The value's place in the record, as a JSON pointer."""
        return "".join(f"/{step}" for step in self.path)

    def written(self, data: Mapping[str, Any]) -> str:
        """The cell of a record."""
        value: Any = data
        for step in self.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, list):
            return " ".join(map(str, value))
        return "" if value is None else str(value)

    def put(self, data: dict[str, Any], cell: str) -> None:
        """Change a record to what a cell says; what the cell does not change stays as it was, an empty list too."""
        if normal(cell) == normal(self.written(data)):
            return
        for step in self.path[:-1]:
            data = data.setdefault(step, {})
        text = normal(cell)
        if text:
            data[self.path[-1]] = text.split() if self.is_list else text
        else:
            data.pop(self.path[-1], None)


@dataclass(frozen=True, slots=True)
class RecordTable:
    """A kind of table: the records it holds, the list of a document that holds the same, its columns but the id."""

    type: str
    part: str
    columns: tuple[Column, ...]
    has_names: bool = False
    """Whether a record has a name in several languages, with a column for each."""

    def column(self, heading: str) -> Column | None:
        """The column of a heading; None where this kind of table has none."""
        tag = heading.removeprefix(NAME_COLUMN)
        if self.has_names and tag != heading and is_language_tag(tag):
            return Column(heading, ("name", tag))
        return next((column for column in self.columns if column.name == heading), None)

    def columns_for(self, records: Iterable[Mapping[str, Any]]) -> Sequence[Column]:
        """Every column that is needed to write these records."""
        if not self.has_names:
            return self.columns
        tags = sorted({tag for data in records for tag in data.get("name", {})})
        return [*(Column(f"{NAME_COLUMN}{tag}", ("name", tag)) for tag in tags), *self.columns]

    def headings(self) -> str:
        """The headings, for a person."""
        names = [f"{NAME_COLUMN}<language>"] if self.has_names else []
        return ", ".join([*names, *(column.name for column in self.columns)])


def normal(cell: str) -> str:
    """A cell without what spreadsheets add or change: blanks around it, and the kind of its line breaks."""
    return cell.replace("\r\n", "\n").replace("\r", "\n").strip()


def merged(held: Mapping[str, Any], columns: Iterable[tuple[Column, str]]) -> dict[str, Any]:
    """The held record, changed to what the cells of a line say."""
    data = copy.deepcopy(dict(held))
    for column, cell in columns:
        column.put(data, cell)
    return data


def _texts(*names: str) -> list[Column]:
    return [Column(name, (name,)) for name in names]


def _lists(*names: str) -> list[Column]:
    return [Column(name, (name,), is_list=True) for name in names]


_PHONE, _EMAIL = Column("phone", ("endpoints", "phone")), Column("email", ("endpoints", "email"))
UNITS = RecordTable(
    "unit",
    "units",
    (
        *_texts("kind", "level", "agency", "parent", "hours", "timezone"),
        *_lists("area", "crime_areas", "channels", "languages"),
        *(_PHONE, _EMAIL),
        *_texts("verified_at", "valid_until", "centre"),
        *_lists("partners", "networks"),
        *_texts("posted_to", "rota", "host"),
        *_lists("mission_for"),
        *_texts("note"),
    ),
    has_names=True,
)
MEMBERS = RecordTable(
    "member", "members", (*_texts("name"), *_lists("languages"), *_texts("phone", "email", "unit", "note"))
)
RECORD_TABLES: Mapping[str, RecordTable] = {table.part: table for table in (UNITS, MEMBERS)}
