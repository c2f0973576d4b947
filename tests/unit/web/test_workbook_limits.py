"""Workbooks that unfold into gigabytes are refused before anything opens them."""

import zipfile
from pathlib import Path

import pytest

from web import workbook_limits
from web.errors import TooLargeError, WebError
from web.table_files import to_xlsx
from web.workbook_limits import check_workbook

BILLION_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]><x>&b;</x>'


def archive(tmp_path: Path, **parts: str | bytes) -> Path:
    with zipfile.ZipFile(tmp_path / "a.xlsx", "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in parts.items():
            made.writestr(name, content)
    return tmp_path / "a.xlsx"


def test_an_ordinary_workbook_passes(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(to_xlsx("units", [["ref", "phone"], *([["a", "b"]] * 500)]))
    check_workbook(tmp_path / "a.xlsx")


def test_parts_that_are_no_xml_are_passed_over(tmp_path: Path) -> None:
    check_workbook(archive(tmp_path, image=b"\x89PNG\0\0", empty=b"", broken="<a><b></a>"))


def test_what_unpacks_into_too_many_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="bytes"):
        check_workbook(archive(tmp_path, bomb=bytes(workbook_limits.MOST_UNPACKED_BYTES + 1)))


def test_too_many_parts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="parts"):
        check_workbook(archive(tmp_path, **{f"p{number}": "" for number in range(workbook_limits.MOST_PARTS + 1)}))


@pytest.mark.parametrize(
    "content",
    [
        "<sheetData><row>" + "<c/>" * 60 + "</row></sheetData>",
        "<sheetData>" + "<cols/>" * 60 + "</sheetData>",
        "<sheetData><row>" + "<c/><row/>" * 30 + "</row></sheetData>",
        "<x:sheetData xmlns:x='urn:x'><x:row>" + "<x:c/>" * 60 + "</x:row></x:sheetData>",
        "<sst><si>" + "<r/>" * 60 + "</si></sst>",
        "<sst>" + "<si/>" * 60 + "</sst>",
    ],
)
def test_too_many_elements_at_once_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str) -> None:
    path = archive(tmp_path, sheet=content)
    check_workbook(path)
    monkeypatch.setattr(workbook_limits, "MOST_HELD", 50)
    monkeypatch.setattr(workbook_limits, "MOST_REPEATED", 50)
    with pytest.raises(TooLargeError, match="fewer rows and cells"):
        check_workbook(path)


def test_many_small_rows_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workbook_limits, "MOST_HELD", 10)
    check_workbook(archive(tmp_path, sheet="<sheetData>" + "<row><c/><c/></row>" * 100 + "</sheetData>"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_definitions_are_refused_in_any_encoding(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(WebError, match="DOCTYPE"):
        check_workbook(archive(tmp_path, sheet=BILLION_LAUGHS.encode(encoding)))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"no archive")
    with pytest.raises(zipfile.BadZipFile):
        check_workbook(tmp_path / "a.xlsx")
