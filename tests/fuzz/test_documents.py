"""Directory documents, records, rotas, hours, questions and tables: read, or refused with every fault named."""

import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from directory.document import export_document, parse_document, parse_documents
from directory.errors import DirectoryError, InvalidInputError
from directory.hours import format_hours, parse_holidays, parse_hours
from directory.instants import format_instant, parse_instant
from directory.json_file import parse_json_text
from directory.lookup import lookup, parse_query
from directory.policy import parse_policy
from directory.record_schemas import validate_record
from directory.rota import parse_rota
from tests.fuzz.attempts import Refused, attempt
from tests.fuzz.mutations import ODD_TEXTS, ODD_VALUES, mutated_bytes, mutated_json, mutated_value
from tests.records import (
    make_agency,
    make_document,
    make_member,
    make_outage,
    make_participant,
    make_rota,
    make_unit,
)
from tests.unit.directory.asking import NOW, OPEN_POLICY, policy, region
from web.errors import WebError
from web.record_tables import document_of_table
from web.table_files import read_table, to_csv, to_xlsx

ERRORS = (InvalidInputError,)
RECORDS: dict[str, Any] = {
    "unit/spoc": make_unit(),
    "member/duty-1": make_member(),
    "agency/police": make_agency(),
    "rota/spoc-rota": make_rota(),
    "outage/siena-upgrade": make_outage(),
    "participant/self": make_participant(),
}
HOURS = ["24/7", "Mo-Fr 08:00-16:00; PH off", "Mo,We 22:00-06:00; Sa 10:00-12:00,13:00-15:00"]
QUERY = {"from": "ME", "country": "RS", "crime_area": "drugs", "urgency": "urgent", "at": "2027-02-09T10:00:00+01:00"}
ROWS = [
    ["id", "name_en", "kind", "level", "area", "channels", "hours"],
    ["a", "Desk", "spoc", "central", "ME", "siena", "24/7"],
]

TABLES = {"t.csv": to_csv(ROWS), "t.xlsx": to_xlsx("units", ROWS)}


@given(st.sampled_from(sorted(RECORDS)), st.data())
def test_a_record(record: str, data: st.DataObject) -> None:
    """What is taken is taken again as it is: a record is the same for every node that reads it."""
    type_, slug = record.split("/")
    value = data.draw(mutated_value([RECORDS[record]]))
    taken = attempt("records", validate_record, type_, slug, value, "ME", errors=ERRORS)
    if not isinstance(taken, Refused):
        assert validate_record(type_, slug, json.loads(json.dumps(taken)), "ME") == taken
    else:
        assert taken.error.faults  # type: ignore[attr-defined]


@given(mutated_value([make_document()]))
def test_a_document(value: object) -> None:
    document = attempt("documents", parse_document, value, "ME", errors=ERRORS)
    if not isinstance(document, Refused):
        again = parse_document({"country": "ME", **export_document(document.records)}, "ME")
        assert again.records == document.records


@given(mutated_value([{"countries": [make_document(), make_document(country="RS")]}]))
def test_several_documents(value: object) -> None:
    attempt("documents", parse_documents, value, errors=ERRORS)


@given(mutated_json([make_document()]))
def test_a_document_as_text(text: bytes) -> None:
    read = attempt("document texts", parse_json_text, text.decode("utf-8", "surrogateescape"), errors=ERRORS)
    if not isinstance(read, Refused):
        attempt("document texts", parse_document, read, "ME", errors=ERRORS)


@given(mutated_value([make_rota()]), st.booleans())
def test_a_rota(value: object, strict: bool) -> None:
    attempt("rotas", parse_rota, value, refuse_double_replacements=strict, errors=ERRORS)


@given(mutated_value([OPEN_POLICY]))
def test_a_policy(value: object) -> None:
    attempt("policies", parse_policy, value, errors=ERRORS)


@given(st.one_of(ODD_VALUES, mutated_bytes([text.encode() for text in HOURS]).map(lambda text: text.decode("latin-1"))))
def test_opening_hours(text: object) -> None:
    hours = attempt("hours", parse_hours, text, errors=(ValueError,))
    if not isinstance(hours, Refused):
        assert parse_hours(format_hours(hours)) == hours


@given(st.lists(ODD_VALUES, max_size=3), st.none() | st.sampled_from([*ODD_TEXTS, "ME", "RS"]))
def test_holidays(fixed: list[object], calendar: str | None) -> None:
    attempt("holidays", parse_holidays, fixed, calendar, errors=(ValueError,))


@given(
    st.one_of(
        ODD_VALUES,
        mutated_bytes([b"2026-11-21T20:00:00Z", b"2026-11-21T20:00:00+01:00"]).map(lambda text: text.decode("latin-1")),
    )
)
def test_instants(text: object) -> None:
    instant = attempt("instants", parse_instant, text, errors=(ValueError,))
    if not isinstance(instant, Refused):
        assert parse_instant(format_instant(instant)) == instant.replace(microsecond=0)


@given(mutated_value([QUERY]))
def test_a_question(fields: object) -> None:
    """What is taken as a question is answered."""
    if not isinstance(fields, dict):
        return
    query = attempt("questions", parse_query, fields, region(), NOW, "ME", errors=(DirectoryError,))
    if not isinstance(query, Refused):
        attempt("questions", lookup, query, region(), policy(), lambda code: None, errors=(DirectoryError,))


@given(st.one_of(st.sampled_from(ODD_TEXTS), st.text()))
def test_a_search(text: str) -> None:
    attempt("searches", region().search, text[:200], 20, errors=(DirectoryError,))


@given(st.sampled_from(["t.csv", "t.xlsx"]), st.data())
def test_a_table(name: str, data: st.DataObject) -> None:
    """A table is read and made into records, or refused; a workbook may be anything at all."""
    body = data.draw(mutated_bytes([TABLES[name]]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(body)
        lines = attempt("tables", read_table, path, errors=(InvalidInputError, WebError))
    if not isinstance(lines, Refused):
        attempt("tables", document_of_table, lines, "ME", {}, errors=(InvalidInputError, WebError))


@given(
    st.lists(st.lists(st.one_of(st.sampled_from(ODD_TEXTS), st.text(max_size=9)), min_size=7, max_size=7), max_size=4)
)
def test_a_table_of_any_cells(rows: list[list[str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.csv"
        path.write_bytes(("\n".join(json.dumps(row)[1:-1] for row in [ROWS[0], *rows])).encode("utf-8", "replace"))
        lines = attempt("tables", read_table, path, errors=(InvalidInputError, WebError))
    if not isinstance(lines, Refused):
        attempt("tables", document_of_table, lines, "ME", {}, errors=(InvalidInputError, WebError))
