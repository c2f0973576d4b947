"""Tables as files: what goes out comes back, formulas do not run, and nothing too large or broken is taken in."""

import csv
import datetime as dt
import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook, load_workbook

from directory.errors import InvalidInputError
from web import table_files
from web.errors import TooLargeError, WebError
from web.table_files import Line, defused, is_table, plain, read_table, to_csv, to_xlsx

CELLS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"), max_size=20).filter(
    lambda text: text == text.strip()
)
DANGEROUS = [
    "=1+1",
    "@SUM(1)",
    "-2+3",
    "+1+cmd|' /C calc'!A0",
    "|x",
    "%0A",
    "\t=1",
    "\r=1",
    " =1",
    "＝1+1",
    "＋1",
    "'=1",
    "'",
]


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def workbook(tmp_path: Path, *rows: list[object]) -> Path:
    book = Workbook()
    for row in rows:
        book.active.append(row)
    book.save(tmp_path / "table.xlsx")
    return tmp_path / "table.xlsx"


def faults(path: Path) -> list[str]:
    with pytest.raises(InvalidInputError) as refused:
        read_table(path)
    return [str(fault) for fault in refused.value.faults]


@given(st.text(max_size=30))
def test_defusing_is_undone(text: str) -> None:
    assert plain(defused(text)) == text


@pytest.mark.parametrize("text", DANGEROUS)
def test_what_a_spreadsheet_would_run_is_defused(text: str) -> None:
    assert defused(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "+99912345678", "24/7", "a=b", "Mo-Fr 08:00-16:00", "a 'word'"])
def test_what_is_harmless_stays(text: str) -> None:
    assert defused(text) == plain(text) == text


@pytest.mark.parametrize("text", ["'", "'a", "''", "a'"])
def test_an_apostrophe_that_somebody_typed_stays(text: str) -> None:
    assert plain(defused(text)) == text


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3).filter(any), max_size=5))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_table_comes_back_as_it_went_out(tmp_path_factory: pytest.TempPathFactory, form: str, rows) -> None:
    rows = [["ref", "name.en", "phone"], *rows]
    path = tmp_path_factory.mktemp("table") / f"table.{form}"
    write(path, to_csv(rows) if form == "csv" else to_xlsx("units", rows))
    assert [line.cells for line in read_table(path)] == rows


def test_lines_are_numbered_as_in_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", '\nref,note\n\na,"one\ntwo"\n,\nb,x\n')
    assert read_table(path) == [
        Line(2, ["ref", "note"]),
        Line(4, ["a", "one\ntwo"]),
        Line(7, ["b", "x"]),
    ]
    path = workbook(tmp_path, ["ref", "note"], [], ["a", "x"])
    assert [line.number for line in read_table(path)] == [1, 3]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_is_that_of_the_header(tmp_path: Path, delimiter: str) -> None:
    text = "\ufeff" + delimiter.join(["ref", "phone"]) + "\n" + delimiter.join(["a", "+99912345"]) + "\n"
    assert [line.cells for line in read_table(write(tmp_path / "a.csv", text))] == [
        ["ref", "phone"],
        ["a", "+99912345"],
    ]


def test_columns_beyond_the_header_may_be_there_if_they_are_empty(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "a.csv", "ref,phone,,\na,b,,\n"))[1].cells == ["a", "b"]


def test_values_that_a_spreadsheet_made_of_texts_are_texts_again(tmp_path: Path) -> None:
    path = workbook(
        tmp_path,
        ["ref", "whole", "flag", "day", "instant", "empty", "blank"],
        ["a", 12, True, dt.datetime(2026, 11, 21), dt.datetime(2026, 11, 21, 8), None, "  "],
        ["b", 1.5, False, dt.time(8), "", "", "x"],
    )
    first, second = (line.cells for line in read_table(path)[1:])
    assert first == ["a", "12", "true", "2026-11-21", "2026-11-21T08:00:00", "", ""]
    assert second == ["b", "1.5", "false", "08:00:00", "", "", "x"]


def test_a_written_workbook_holds_texts_alone() -> None:
    content = to_xlsx("units", [["ref", "name.en"], ["=1+1", "#N/A"]])
    sheet = load_workbook(io.BytesIO(content)).active
    assert [[cell.value for cell in row] for row in sheet] == [["ref", "name.en"], ["'=1+1", "#N/A"]]
    assert {cell.data_type for row in sheet for cell in row} == {"s"}
    assert sheet["A2"].number_format == "@"


def test_a_text_that_a_workbook_would_cut_is_not_written() -> None:
    with pytest.raises(TooLargeError, match="csv"):
        to_xlsx("units", [["x" * 32_768]])


def test_csv_is_read_by_others() -> None:
    rows = [["ref", "note"], ["a", 'say "x", or\n=y']]
    assert list(csv.reader(io.StringIO(to_csv(rows).decode(), newline=""))) == rows


@pytest.mark.parametrize("name", ["a.csv", "a.XLSX"])
def test_tables_are_known_by_their_names(name: str) -> None:
    assert is_table(Path(name))
    assert not is_table(Path(f"{name}.json"))


@pytest.mark.parametrize("content", ["", "\n\n", ",,\n"])
def test_nothing_is_no_table(tmp_path: Path, content: str) -> None:
    assert "expected a header" in faults(write(tmp_path / "a.csv", content))[0]


def test_an_empty_workbook_is_no_table(tmp_path: Path) -> None:
    assert "expected a header" in faults(workbook(tmp_path))[0]


@pytest.mark.parametrize("line", ["a", "a,b,c", "a,b,,d"])
def test_every_line_is_as_wide_as_the_header(tmp_path: Path, line: str) -> None:
    found = faults(write(tmp_path / "a.csv", f"ref,phone\nok,fine\n{line}\n\n{line}\n"))
    assert [fault.partition(":")[0] for fault in found] == ["line 3", "line 5"]
    assert "expected 2 cells" in found[0]


@pytest.mark.parametrize("content", ['ref,phone\n"a,b\n', 'ref,phone\n"a"b,c\n'])
def test_quotes_stand_in_pairs(tmp_path: Path, content: str) -> None:
    assert faults(write(tmp_path / "a.csv", content))[0].startswith("line 2: expected CSV with quotes in pairs")


@pytest.mark.parametrize("content", ["ref,name.en\na,caf\xe9\n".encode("latin-1"), "ref,phone\n".encode("utf-16")])
def test_csv_is_utf_8(tmp_path: Path, content: bytes) -> None:
    assert "expected CSV in UTF-8" in faults(write(tmp_path / "a.csv", content))[0]


def test_formulas_and_errors_are_refused_with_their_places(tmp_path: Path) -> None:
    path = workbook(tmp_path, ["ref", "phone"], ["=A1", "+99912345"], ["b", "#N/A"], ["c", "d", "=1"])
    assert [fault.partition(":")[0] for fault in faults(path)] == [
        "line 2, column ref",
        "line 3, column phone",
        "line 4, column 3",
    ]


@pytest.mark.parametrize("limit", ["MOST_FILE_BYTES", "MOST_LINES", "MOST_COLUMNS"])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, form: str) -> None:
    rows = [["ref", "phone"], ["a", "b"]]
    path = write(tmp_path / f"a.{form}", to_csv(rows) if form == "csv" else to_xlsx("units", rows))
    assert len(read_table(path)) == 2
    monkeypatch.setattr(table_files, limit, 1)
    with pytest.raises(TooLargeError, match=r"a\.(csv|xlsx): expected at most"):
        read_table(path)


def sheet_of(tmp_path: Path, rows: str) -> Path:
    """A workbook whose sheet holds ``rows`` as XML."""
    source = workbook(tmp_path, ["ref"])
    target = tmp_path / "made.xlsx"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            content = old.read(part)
            if part.filename == "xl/worksheets/sheet1.xml":
                content = (
                    '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
                    f"<sheetData>{rows}</sheetData></worksheet>"
                ).encode()
            new.writestr(part.filename, content)
    return target


CELL = "<c{} t='inlineStr'><is><t>x</t></is></c>"


@pytest.mark.parametrize(
    "rows",
    [
        "<row r='1048576'>" + CELL.format(" r='A1048576'") + "</row>",
        "<row r='99999999999'>" + CELL.format("") + "</row>",
        "<row r='1'>" + CELL.format(" r='XFD1'") + "</row>",
    ],
)
def test_a_cell_far_away_does_not_make_a_table_of_everything_before_it(tmp_path: Path, rows: str) -> None:
    with pytest.raises(TooLargeError):
        read_table(sheet_of(tmp_path, rows))


@pytest.mark.parametrize("rows", ["<row r='x'/>", "<row><c r='1'><v>x</v></c></row>", "<row>"])
def test_a_sheet_that_is_none_is_refused(tmp_path: Path, rows: str) -> None:
    with pytest.raises((WebError, InvalidInputError)):
        read_table(sheet_of(tmp_path, rows))


@pytest.mark.parametrize("content", [b"", b"ref,phone\n", b"PK\x03\x04broken"])
def test_what_is_no_workbook_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(WebError, match=r"a\.xlsx: expected a workbook"):
        read_table(write(tmp_path / "a.xlsx", content))


def test_an_archive_without_a_workbook_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w") as archive:
        archive.writestr("note.txt", "hello")
    with pytest.raises(WebError, match="expected a workbook"):
        read_table(tmp_path / "a.xlsx")
