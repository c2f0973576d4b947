"""Tables of units and members: written, read back, merged into what is held; every fault with line and column."""

import copy
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.document import diff_document, parse_document
from directory.errors import InvalidInputError
from directory.vocabulary import CHANNELS, LANGUAGES
from web.demo_plan import country_codes, organisation_codes, sample_document
from web.errors import WebError
from web.record_columns import MEMBERS, UNITS, Column, normal
from web.record_tables import document_of_table, record_rows
from web.table_files import Line, read_table, to_csv, to_xlsx

ME = parse_document(
    {**sample_document("ME"), "members": [{"id": "duty-1", "name": "Duty 1", "unit": "me-spoc"}]}
).records
TEXT = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), min_size=1, max_size=30).filter(
    lambda text: text == text.strip() and not text.isspace()
)


def lines_of(*rows: list[str]) -> list[Line]:
    return [Line(number, row) for number, row in enumerate(rows, 1)]


def read(*rows: list[str], held=ME):
    return document_of_table(lines_of(*rows), "ME", held)


def faults(*rows: list[str], held=ME) -> list[str]:
    with pytest.raises(InvalidInputError) as refused:
        read(*rows, held=held)
    return [str(fault) for fault in refused.value.faults]


def changes(document, held=ME) -> tuple[list[str], list[str]]:
    plan = diff_document(held, document)
    return plan.added, plan.changed


@pytest.mark.parametrize("code", [*country_codes(), *organisation_codes()])
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_what_is_written_changes_nothing_when_it_is_read(tmp_path: Path, code: str, form: str) -> None:
    records = parse_document(dict(sample_document(code))).records
    rows = [*record_rows(UNITS, code, records)]
    path = tmp_path / f"units.{form}"
    path.write_bytes(to_csv(rows) if form == "csv" else to_xlsx("units", rows))
    document = document_of_table(read_table(path), code, records)
    assert changes(document, records) == ([], [])
    assert len(document.records) == len(sample_document(code)["units"])


@st.composite
def units(draw):
    def codes(known):
        return st.lists(st.sampled_from(sorted(known)), min_size=1, max_size=4, unique=True)

    unit = {
        "name": draw(st.dictionaries(st.sampled_from(["en", "sr-Latn", "cnr"]), TEXT, min_size=1)),
        "kind": "specialist",
        "level": "local",
        "area": draw(st.just(["ME"]) | st.just([])),
        "crime_areas": ["*"],
        "channels": draw(codes(CHANNELS)),
        "languages": draw(codes(LANGUAGES)),
        "hours": draw(st.sampled_from(["24/7", "Mo-Fr 08:00-16:00; PH off"])),
    }
    unit |= draw(st.fixed_dictionaries({}, optional={
        "parent": st.none() | st.just("me-spoc"),
        "centre": TEXT,
        "endpoints": st.fixed_dictionaries({}, optional={"phone": st.just("+99912345"), "fax": TEXT}),
        "partners": st.lists(st.just("RS"), max_size=1),
        "drills": st.booleans(),
        "note": TEXT | st.just("two\nlines") | st.just("a\r\nb"),
        "later": st.lists(st.integers(0, 9)),
    }))  # fmt: skip
    return unit


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True), units(), min_size=1, max_size=3))
@settings(max_examples=40, deadline=None)
@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_any_units_survive_the_round_trip(tmp_path_factory: pytest.TempPathFactory, form: str, made) -> None:
    held = {**ME, **{f"unit/x{slug}": unit for slug, unit in made.items()}}
    rows = [*record_rows(UNITS, "ME", held)]
    path = tmp_path_factory.mktemp("t") / f"units.{form}"
    path.write_bytes(to_csv(rows) if form == "csv" else to_xlsx("units", rows))
    assert changes(document_of_table(read_table(path), "ME", held), held) == ([], [])


def test_columns_that_the_file_lacks_keep_what_is_held() -> None:
    document = read(["ref", "phone"], ["ME:unit/me-spoc", "+999 555 01"])
    expected = copy.deepcopy(ME["unit/me-spoc"])
    expected["endpoints"]["phone"] = "+99955501"
    assert document.records == {"unit/me-spoc": expected}
    assert changes(document) == ([], ["unit/me-spoc"])


def test_references_decide_where_the_columns_fit_both() -> None:
    assert read(["phone", "ref"], ["+99912345", "ME:member/duty-1"]).records["member/duty-1"]["phone"] == "+99912345"
    for rows in ([], ["me-spoc"], ["ME:unit/me-spoc", "ME:member/duty-1"]):
        (fault,) = faults(["ref"], *([row] for row in rows))
        assert "enough to tell which" in fault


def test_an_empty_cell_takes_a_value_away() -> None:
    held = {**ME, "unit/me-spoc": {**ME["unit/me-spoc"], "centre": "Trebinje", "partners": ["BA"], "parent": None}}
    document = read(["id", "centre", "partners", "parent"], ["me-spoc", "", " ", ""], held=held)
    unit = document.records["unit/me-spoc"]
    assert "centre" not in unit
    assert "partners" not in unit
    assert unit["parent"] is None


def test_a_name_in_one_language_is_added_beside_the_others() -> None:
    names = read(["id", "name.sq"], ["me-spoc", "Salla"]).records["unit/me-spoc"]["name"]
    assert names == {**ME["unit/me-spoc"]["name"], "sq": "Salla"}


def test_the_held_record_is_left_alone() -> None:
    before = copy.deepcopy(ME)
    read(["id", "name.sq", "phone", "hours"], ["me-spoc", "Salla", "", "24/7"])
    assert before == ME


def test_a_new_unit_needs_what_every_unit_needs() -> None:
    found = faults(["id", "kind", "hours"], ["me-new", "spoc", "24/7"])
    assert [fault.partition(":")[0] for fault in found] == [
        f"line 2, column {column}" for column in ("name.en", "level", "area", "crime_areas", "channels", "languages")
    ]


def test_a_new_unit_is_added() -> None:
    row = ["ME:unit/me-new", "New", "specialist", "local", "ME", "*", "siena i247", "en", "24/7", "+99912345"]
    header = ["ref", "name.en", "kind", "level", "area", "crime_areas", "channels", "languages", "hours", "phone"]
    document = read(header, row)
    assert changes(document) == (["unit/me-new"], [])
    assert document.records["unit/me-new"]["endpoints"] == {"phone": "+99912345"}
    assert document.records["unit/me-new"]["channels"] == ["siena", "i247"]


def test_new_members_get_ids_that_nobody_has() -> None:
    document = read(
        ["id", "name", "unit", "phone"], *([["", f"Duty {number}", "me-spoc", "+99912345"] for number in range(9)])
    )
    assert len(document.records) == 9
    assert all(re.fullmatch(r"member/m-[a-z0-9]{8}", record) for record in document.records)
    assert [warning.partition(";")[0] for warning in document.warnings] == [
        "line 3: member/duty-1 has the same name and unit"
    ]


def test_a_member_that_has_an_id_is_merged() -> None:
    document = read(["ref", "name", "languages"], ["ME:member/duty-1", "Duty officer 1", "en sr"])
    assert document.records == {
        "member/duty-1": {"name": "Duty officer 1", "unit": "me-spoc", "languages": ["en", "sr"]}
    }


def test_warnings_are_those_of_the_table() -> None:
    held = {**ME, "participant/self": {**ME["participant/self"], "memberships": ["SOMETHING-NEW"]}}
    document = read(["id", "networks", "kind"], ["me-spoc", "NOVEL", "spoc"], held=held)
    assert all(warning.startswith("unit/me-spoc: ") for warning in document.warnings)
    assert document.warnings


def test_members_of_the_participants_record_that_look_like_lists_do_not_matter() -> None:
    held = {**ME, "participant/self": {**ME["participant/self"], "members": "many"}}
    assert read(["id", "name"], ["duty-1", "Duty 1"], held=held).records


@pytest.mark.parametrize(
    ("column", "cell", "word"),
    [
        ("hours", "whenever", "days and times"),
        ("hours", "", "required"),
        ("kind", "castle", "a unit kind"),
        ("level", "lunar", "a level"),
        ("phone", "99912345", "E.164"),
        ("phone", "+999 (0) 12", "E.164"),
        ("email", "desk@", "e-mail"),
        ("timezone", "Mars/Olympus", "zone"),
        ("languages", "en, sr", "a language"),
        ("channels", "pigeon", "a channel"),
        ("area", "ME XX-99", "ISO 3166"),
        ("crime_areas", "jaywalking", "a crime area"),
        ("agency", "nowhere", "not there"),
        ("parent", "me-nobody", "not there"),
        ("parent", "me-spoc", "circle"),
        ("rota", "none", "not there"),
        ("partners", "Serbia", "a country"),
        ("networks", "!", "a code"),
        ("posted_to", "a b", "a code"),
        ("host", "Serbia", "a country"),
        ("mission_for", "Serbia", "a country"),
        ("verified_at", "21.11.2026", "a date"),
        ("valid_until", "soon", "a date"),
        ("name.en", "a\u202eb", "U+202E"),
        ("name.en", "x" * 301, "300"),
        ("note", "x" * 4001, "4000"),
        ("centre", "a\nb", "U+000A"),
    ],
)
def test_a_fault_in_a_unit_is_named_with_line_and_column(column: str, cell: str, word: str) -> None:
    header = ["ref", "kind", column] if column != "kind" else ["ref", "kind"]
    row = ["ME:unit/me-spoc", "spoc", cell] if column != "kind" else ["ME:unit/me-spoc", cell]
    (fault,) = faults(header, ["ME:unit/me-ncb", *(["ncb"] if column == "kind" else ["ncb", ""])], row)[-1:]
    assert fault.startswith(f"line 3, column {column}: "), fault
    assert word in fault


@pytest.mark.parametrize(
    ("column", "cell", "word"),
    [
        ("name", "", "required"),
        ("name", "a\tb", "U+0009"),
        ("languages", "xx", "a language"),
        ("phone", "call me", "E.164"),
        ("email", "nobody", "e-mail"),
        ("unit", "me-nobody", "not there"),
        ("unit", "Not A Slug", "an id"),
    ],
)
def test_a_fault_in_a_member_is_named_with_line_and_column(column: str, cell: str, word: str) -> None:
    others = [name for name in ("name", "unit") if name != column]
    row = [{"name": "Duty 1", "unit": "me-spoc"}[name] for name in others]
    (fault,) = faults(["id", *others, column], ["duty-1", *row, cell])
    assert fault.startswith(f"line 2, column {column}: ")
    assert word in fault


@pytest.mark.parametrize("ref", ["RS:unit/rs-spoc", "ME:member/me-spoc", "ME:unit/ME SPOC", "unit/me-spoc", "", "-x"])
def test_a_reference_is_one_of_our_own_units(ref: str) -> None:
    (fault,) = [fault for fault in faults(["ref", "hours"], [ref, "24/7"]) if "column ref" in fault]
    assert fault.startswith("line 2, column ref: expected an id")


def test_each_record_stands_in_one_line() -> None:
    (fault,) = faults(["ref", "hours"], ["ME:unit/me-spoc", "24/7"], ["me-ncb", "24/7"], ["me-spoc", "24/7"])
    assert fault.startswith("line 4, column ref: expected each id once, but line 2 has it too")


def test_every_fault_is_named_at_once() -> None:
    found = faults(["ref", "hours", "phone"], ["me-spoc", "never", "12"], ["me-ncb", "24/7", "13"])
    assert [fault.partition(":")[0] for fault in found] == [
        "line 2, column hours",
        "line 2, column phone",
        "line 3, column phone",
    ]


def test_parents_in_a_circle_through_what_is_held_are_refused() -> None:
    held = {**ME, "unit/me-ncb": {**ME["unit/me-ncb"], "parent": "me-spoc"}}
    (fault,) = faults(["ref", "parent"], ["me-spoc", "me-ncb"], held=held)
    assert fault.startswith("line 2, column parent: expected parents without a circle")
    both = faults(["ref", "parent"], ["me-spoc", "me-ncb"], ["me-ncb", "me-spoc"])
    assert len(both) == 1


def test_a_circle_of_others_is_not_this_tables_fault() -> None:
    held = {**ME, "unit/a": {**ME["unit/me-ncb"], "parent": "b"}, "unit/b": {**ME["unit/me-ncb"], "parent": "a"}}
    assert read(["ref", "parent"], ["me-spoc", ""], held=held).records


@pytest.mark.parametrize(
    ("header", "place", "word"),
    [
        (["ref", "phone"], "line 1", "enough to tell which"),
        (["ref"], "line 1", "enough to tell which"),
        (["ref", "name", "hours"], "line 1", "not of both"),
        (["ref", "kind", "shoe_size"], "line 1, column shoe_size", "a column of units"),
        (["ref", "kind", "name.not a tag"], "line 1, column name.not a tag", "a column of units"),
        (["ref", "name", "unit", "fax"], "line 1, column fax", "a column of members"),
        (["ref", "kind", "", "hours"], "line 1, column 3", "a column of units"),
        (["ref", "kind", "kind"], "line 1, column kind", "once"),
        (["ref", "ref", "kind"], "line 1, column ref", "once"),
        (["ref", "id", "kind"], "line 1", "ref or id"),
        (["kind", "hours"], "line 1", "ref or id"),
    ],
)
def test_a_header_that_is_none_is_refused(header: list[str], place: str, word: str) -> None:
    (fault,) = faults(header, ["" for _ in header])
    assert fault.startswith(f"{place}: ")
    assert word in fault


def test_a_table_alone_makes_no_directory() -> None:
    with pytest.raises(WebError, match="expected a directory document"):
        read(["ref", "kind"], held={})


def test_members_are_written_with_their_columns() -> None:
    assert [*record_rows(MEMBERS, "ME", ME)] == [
        ["ref", "name", "languages", "phone", "email", "unit", "note"],
        ["ME:member/duty-1", "Duty 1", "", "", "", "me-spoc", ""],
    ]
    assert len([*record_rows(MEMBERS, "ME", {})]) == 1


def test_a_cell_is_the_value_of_its_place() -> None:
    column = Column("phone", ("endpoints", "phone"))
    assert column.written({"endpoints": {"phone": "+999"}}) == "+999"
    assert column.written({"endpoints": None}) == column.written({}) == ""
    data: dict[str, object] = {}
    column.put(data, "")
    assert data == {}
    column.put(data, " +999 ")
    assert data == {"endpoints": {"phone": "+999"}}


@given(st.text())
def test_normal_cells_stay_normal(text: str) -> None:
    assert normal(normal(text)) == normal(text)


def test_ids_alone_do_not_say_what_they_are_of() -> None:
    (fault,) = faults(["id", "phone"], ["duty-1", "+99912345"])
    assert "enough to tell which" in fault


def test_a_fault_of_the_participants_own_record_keeps_its_place() -> None:
    held = {**ME, "participant/self": {**ME["participant/self"], "timezone": "Mars/Olympus"}}
    (fault,) = faults(["id", "name"], ["duty-1", "Duty 1"], held=held)
    assert fault.startswith("/timezone: ")
