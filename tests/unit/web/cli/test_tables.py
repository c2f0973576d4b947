"""``veza import`` and ``veza export`` of tables: CSV and XLSX of units and of members, there and back."""

import csv
import io
import json
import re

import pytest
from openpyxl import Workbook, load_workbook

from web.cli import main
from web.demo_plan import sample_document


@pytest.fixture
def written(data, capsysbinary):
    """What a command writes, as bytes."""

    def written(*arguments: object) -> bytes:
        assert main(["--data", str(data), *map(str, arguments)]) == 0
        return capsysbinary.readouterr().out

    return written


def rows_of(veza, *arguments):
    status, out, err = veza("export", "--format", "csv", *arguments)
    assert (status, err) == (0, "")
    return list(csv.DictReader(io.StringIO(out, newline="")))


def text_of(rows):
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def unit(veza, slug="me-spoc"):
    document = json.loads(veza("export")[1])
    (found,) = [unit for unit in document["units"] if unit["id"] == slug]
    return found


def test_csv_has_a_line_for_each_unit_and_keeps_numbers(veza):
    rows = {row["ref"]: row for row in rows_of(veza)}
    assert len(rows) == len(sample_document("ME")["units"])
    spoc = rows["ME:unit/me-spoc"]
    assert (spoc["phone"], spoc["hours"], spoc["languages"]) == ("+9994990001", "24/7", "cnr sr en it")
    assert spoc["name.cnr"].startswith("Međunarodna")


def test_csv_never_starts_a_formula_and_comes_back(veza, answer, write):
    document = dict(sample_document("ME"))
    document["units"] = [{**document["units"][0], "name": {"en": '=HYPERLINK("http://x.example")'}}]
    assert veza("import", write(document))[0] == 0
    rows = rows_of(veza)
    (name,) = [row["name.en"] for row in rows if row["ref"] == "ME:unit/me-spoc"]
    assert name.startswith("'=")
    report = answer("import", write(text_of(rows), "units.csv"))
    assert (report["added"], report["changed"], len(report["unchanged"])) == ([], [], 35)


def test_a_changed_line_changes_its_unit_alone(veza, answer, write):
    before = unit(veza)
    rows = rows_of(veza)
    for row in rows:
        if row["ref"] == "ME:unit/me-spoc":
            row |= {"phone": "+999 499 0099", "networks": "BUDAPEST-24/7"}
    path = write(text_of(rows), "units.csv")
    assert answer("import", path, "--dry-run")["changed"] == ["unit/me-spoc"]
    assert unit(veza) == before
    status, out, _ = veza("import", path)
    assert (status, out) == (0, "changed   unit/me-spoc\n0 added, 1 changed, 34 unchanged\n")
    endpoints = {**before["endpoints"], "phone": "+9994990099"}
    assert unit(veza) == {**before, "endpoints": endpoints, "networks": ["BUDAPEST-24/7"]}
    assert veza("verify")[0] == 0


def test_members_without_an_id_get_one(veza, answer, write):
    table = "id;name;unit;phone;languages\r\n;Duty officer 1;me-spoc;+99970001;cnr en\r\n;Duty officer 2;me-spoc;;\r\n"
    added = answer("import", write(table, "members.csv"))["added"]
    assert len(added) == 2
    assert all(re.fullmatch(r"member/m-[a-z0-9]{8}", record) for record in added)
    rows = rows_of(veza, "--what", "members")
    assert sorted((row["name"], row["phone"], row["languages"]) for row in rows) == [
        ("Duty officer 1", "+99970001", "cnr en"),
        ("Duty officer 2", "", ""),
    ]
    assert answer("import", write(text_of(rows), "members.csv"))["changed"] == []


@pytest.mark.parametrize(("what", "count"), [("units", 35), ("members", 1)])
def test_a_workbook_comes_back_as_it_went_out(written, tmp_path, write, what, count):
    member = {"id": "duty-1", "name": "Duty officer 1", "unit": "me-spoc", "phone": "+99970001"}
    written("import", write({**sample_document("ME"), "members": [member]}))
    path = tmp_path / "table.xlsx"
    path.write_bytes(written("export", "--format", "xlsx", "--what", what))
    sheet = load_workbook(path)[what]
    assert (sheet["A1"].value, sheet.max_row) == ("ref", count + 1)
    report = json.loads(written("import", path, "--json"))
    assert (report["added"], report["changed"], len(report["unchanged"])) == ([], [], count)


def test_a_workbook_is_imported(veza, answer, tmp_path):
    book = Workbook()
    book.active.append(["id", "hours", "verified_at"])
    book.active.append(["me-spoc", "Mo-Fr 08:00-16:00", "2026-11-01"])
    book.save(tmp_path / "units.XLSX")
    assert answer("import", tmp_path / "units.XLSX")["changed"] == ["unit/me-spoc"]
    assert unit(veza)["verified_at"] == "2026-11-01"


def test_every_fault_is_said_with_line_and_column_and_nothing_is_imported(veza, answer, write):
    before = answer("export")
    path = write("ref,hours,phone\nME:unit/me-spoc,24/7,+99912345\nME:unit/me-ncb,never,12\n", "units.csv")
    status, out, err = veza("import", path)
    assert (status, out) == (1, "")
    first, *faults = err.splitlines()
    assert first == f"veza: bad_request: {path}: 2 faults, nothing was imported:"
    assert [fault.strip().partition(":")[0] for fault in faults] == ["line 3, column hours", "line 3, column phone"]
    report = json.loads(veza("import", path, "--json")[1])
    assert [fault["place"] for fault in report["faults"]] == ["line 3, column hours", "line 3, column phone"]
    assert answer("export") == before


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("units.csv", "", "bad_request"),
        ("units.csv", "id,name\n", "bad_request"),
        ("units.csv", "ref,kind\nRS:unit/rs-spoc,spoc\n", "bad_request"),
        ("units.xlsx", "ref,kind\n", "bad_request"),
        ("units.csv", "ref,kind" + "," * 200 + "\n", "too_large"),
    ],
)
def test_what_is_no_table_of_ours_is_refused(veza, answer, write, name, text, code):
    before = answer("export")
    status, out, err = veza("import", write(text, name))
    if (name, text) == ("units.csv", "id,name\n"):
        assert (status, out) == (0, "0 added, 0 changed, 0 unchanged\n")
    else:
        assert (status, out) == (1, "")
        assert err.startswith(f"veza: {code}: ")
    assert answer("export") == before


def test_a_table_that_is_not_there_is_named(veza, tmp_path):
    status, _, err = veza("import", tmp_path / "missing.csv")
    assert status == 1
    assert err.startswith("veza: not_found: ")
    assert "missing.csv" in err


def test_a_table_is_our_own(veza, write):
    status, _, err = veza("import", write("ref,kind\n", "units.csv"), "--country", "RS")
    assert status == 1
    assert err.startswith("veza: wrong_participant: ")


@pytest.mark.parametrize("form", ["json", "vcf", "ics", "cards"])
def test_only_tables_have_a_choice_of_what_is_in_them(veza, form):
    status, _, err = veza("export", "--format", form, "--what", "members")
    assert status == 2
    assert "--what" in err


def test_a_table_holds_units_or_members(veza):
    assert veza("export", "--format", "csv", "--what", "rotas")[0] == 2


def test_a_workbook_is_not_written_to_a_terminal(veza, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    status, _, err = veza("export", "--format", "xlsx")
    assert status == 2
    assert "terminal" in err
