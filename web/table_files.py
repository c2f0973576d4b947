"""Tables as files: CSV (UTF-8) and XLSX, read into lines of text and written from them.

What a spreadsheet would run as a formula is written with an apostrophe before it, which reading takes away again, so
that a table comes back as it went out. Reading refuses formulas, and files larger than any directory is.
"""

import csv
import datetime as dt
import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook, load_workbook
from openpyxl.cell import WriteOnlyCell

from directory.errors import Fault, InvalidInputError
from web.errors import TooLargeError, WebError
from web.workbook_limits import check_workbook

TABLES = (".csv", ".xlsx")
MOST_FILE_BYTES = 32 * 2**20
MOST_LINES = 100_001
"""The header among them."""
MOST_COLUMNS = 100
LONGEST_XLSX_CELL = 32_767

_FORMULA = re.compile(r"\s*[=+\-@|%＝＋－＠]|[\t\r\n]")
_PHONE = re.compile(r"\+[0-9]{1,15}\Z", re.ASCII)
_DELIMITERS = ",;\t"
_MIDNIGHT = dt.time()
_BROKEN = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, IndexError, ValueError, TypeError, AttributeError, SyntaxError,
    RuntimeError,
)  # fmt: skip
"""What openpyxl and zipfile raise for an archive that is no workbook (xml's ParseError is a SyntaxError)."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a table; ``number`` counts as a person sees it in the file, from 1."""

    number: int
    cells: list[str]


def is_table(path: Path) -> bool:
    """Whether a file is a table, by its name."""
    return path.suffix.lower() in TABLES


def read_table(path: Path) -> list[Line]:
    """The lines of a CSV or XLSX file, the header first, without blank ones; each as wide as the header.

    Raises InvalidInputError with every fault (its place is ``line 3, column hours``), TooLargeError, and OSError.
    """
    size = path.stat().st_size
    if size > MOST_FILE_BYTES:
        raise TooLargeError(f"{path.name}: expected at most {MOST_FILE_BYTES} bytes, found {size}")
    read = _read_csv(path) if path.suffix.lower() == ".csv" else _read_xlsx(path)
    lines = [line for line in _within_limits(path, read) if any(line.cells)]
    if not lines:
        raise InvalidInputError([Fault("line 1", "", "expected a header: the names of the columns")])
    return _as_wide_as_the_header(lines)


def _as_wide_as_the_header(lines: Sequence[Line]) -> list[Line]:
    width = len(_trimmed(lines[0].cells))
    faults = [fault for line in lines if (fault := _width_fault(line, width))]
    if faults:
        raise InvalidInputError(faults)
    return [Line(line.number, line.cells[:width]) for line in lines]


def place(number: int, column: str) -> str:
    """Where a cell stands, in words."""
    return f"line {number}, column {column}"


def to_csv(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as CSV in UTF-8, formulas defused."""
    out = io.StringIO()
    csv.writer(out).writerows(map(defused, row) for row in rows)
    return out.getvalue().encode()


def to_xlsx(title: str, rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as a workbook with one sheet, every cell a text, formulas defused."""
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet(title)
    sheet.freeze_panes = "A2"
    for row in rows:
        sheet.append([_text_cell(sheet, text) for text in row])
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def defused(text: str) -> str:
    """``text`` with an apostrophe before it where a spreadsheet would run it; telephone numbers stay as they are."""
    return f"'{text}" if text.startswith("'") or _is_formula(text) else text


def plain(text: str) -> str:
    """The text that was defused; any other as it is."""
    rest = text[1:]
    return rest if text.startswith("'") and (rest.startswith("'") or _is_formula(rest)) else text


def _is_formula(text: str) -> bool:
    return _FORMULA.match(text) is not None and not _PHONE.match(text)


def _text_cell(sheet: object, text: str) -> object:
    written = defused(text)
    if len(written) > LONGEST_XLSX_CELL:
        raise TooLargeError(f"a cell of {len(written)} characters: XLSX holds {LONGEST_XLSX_CELL}; export csv instead")
    cell = WriteOnlyCell(sheet, written or None)
    if written:
        cell.data_type = "s"
    cell.number_format = "@"  # text: a number typed over it keeps its "+"
    return cell


def _within_limits(path: Path, lines: Iterable[Line]) -> Iterator[Line]:
    for line in lines:
        _check_size(path, line.number, len(line.cells))
        yield line


def _check_size(path: Path, line: int, columns: int) -> None:
    if line > MOST_LINES or columns > MOST_COLUMNS:
        raise TooLargeError(
            f"{path.name}: expected at most {MOST_LINES} lines and {MOST_COLUMNS} columns, "
            f"found {columns} columns in line {line}"
        )


def _width_fault(line: Line, width: int) -> Fault | None:
    if len(line.cells) >= width and not any(line.cells[width:]):
        return None
    found = len(line.cells) if len(line.cells) < width else len(_trimmed(line.cells))
    return Fault(f"line {line.number}", f"{found} cells", f"expected {width} cells, as many as the header has")


def _trimmed(cells: list[str]) -> list[str]:
    """The cells without the empty ones at the end."""
    width = max((place for place, cell in enumerate(cells, 1) if cell), default=0)
    return cells[:width]


# -- CSV --------------------------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> Iterator[Line]:
    text = _decoded(path)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    number = 1
    try:
        for cells in reader:
            yield Line(number, [plain(cell) if cell.strip() else "" for cell in cells])
            number = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInputError([Fault(f"line {number}", str(error), "expected CSV with quotes in pairs")]) from error


def _decoded(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object.count(b"\n", 0, error.start) + 1
        found = error.object[error.start : error.end]
        raise InvalidInputError([Fault(f"line {number}", found, "expected CSV in UTF-8")]) from error


def _delimiter(text: str) -> str:
    """What parts the header's names: spreadsheets in much of Europe write semicolons."""
    header = text.lstrip().partition("\n")[0]
    return max(_DELIMITERS, key=header.count)


# -- XLSX -------------------------------------------------------------------------------------------------------------


def _read_xlsx(path: Path) -> list[Line]:
    try:
        check_workbook(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of styles and extensions that nobody reads here
            rows = _sheet_rows(path)
    except _BROKEN as error:
        raise WebError(f"{path.name}: expected a workbook (XLSX) that can be read: {error}") from error
    except OSError as error:
        if error.filename is not None:
            raise
        # An archive whose directory points outside it: what fails is a seek, and no file is named.
        raise WebError(f"{path.name}: expected a workbook (XLSX) whose parts lie within it: {error}") from error
    _refuse_formulas(rows)
    width = max((len(cells) for _, cells in rows), default=0)
    return [Line(number, _texts(cells, width)) for number, cells in rows]


def _sheet_rows(path: Path) -> list[tuple[int, Sequence[Any]]]:
    """The cells of the first sheet, by line; blank lines are left out, and blank cells at the end of a line."""
    with path.open("rb") as file:  # openpyxl itself leaves a broken one open
        sheet = load_workbook(file, read_only=True, keep_links=False).worksheets[0]
        sheet.reset_dimensions()  # a workbook's own word on its size is not to be relied on
        rows = []
        for number, cells in enumerate(sheet.iter_rows(), 1):
            width = max((column for column, cell in enumerate(cells, 1) if cell.value is not None), default=0)
            _check_size(path, number, width)
            if width:
                rows.append((number, cells[:width]))
        return rows


def _refuse_formulas(rows: Sequence[tuple[int, Sequence[Any]]]) -> None:
    header = [_text(cell.value) for cell in rows[0][1]] if rows else []
    faults = [fault for number, cells in rows for fault in _cell_faults(number, cells, header)]
    if faults:
        raise InvalidInputError(faults)


def _cell_faults(number: int, cells: Sequence[Any], header: Sequence[str]) -> Iterator[Fault]:
    for column, cell in enumerate(cells):
        if cell.value is not None and cell.data_type in ("f", "e"):
            name = header[column] if column < len(header) else str(column + 1)
            yield Fault(place(number, name), cell.value, "expected a value, not a formula or an error")


def _texts(cells: Sequence[Any], width: int) -> list[str]:
    texts = [plain(text) if (text := _text(cell.value)).strip() else "" for cell in cells]
    return texts + [""] * (width - len(texts))


def _text(value: object) -> str:
    """A cell's value as it would stand in CSV."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == _MIDNIGHT else value.isoformat()
    return str(value)
