"""Directory documents: reading, every fault with its place in the file, writing, comparing."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.document import (
    Document,
    ImportPlan,
    diff_document,
    export_document,
    load_json_file,
    looks_like_name,
    parse_document,
    parse_documents,
)
from directory.errors import InvalidInputError
from tests.named_faults import refused_places
from tests.records import ABSENT, make_agency, make_document, make_member, make_participant, make_rota, make_unit

DATA = Path(__file__).parents[3] / "web/data"


@pytest.fixture(scope="module")
def region() -> dict[str, Any]:
    return json.loads((DATA / "region.json").read_text(encoding="utf-8"))


def test_each_part_becomes_a_record_without_its_id() -> None:
    document = parse_document(make_document())
    assert document.participant == "ME"
    assert [*document.records] == [
        *("participant/self", "agency/police", "unit/spoc", "member/duty-1", "member/duty-2", "rota/spoc-rota"),
        "outage/siena-upgrade",
    ]
    assert document.records["participant/self"] == make_participant()
    assert document.records["agency/police"] == make_agency()
    assert document.records["rota/spoc-rota"] == make_rota()
    assert document.warnings == []


def test_members_of_the_participant_that_are_not_known_are_kept() -> None:
    assert parse_document(make_document(newer=[1])).records["participant/self"]["newer"] == [1]


def test_parts_may_be_missing() -> None:
    assert [*parse_document(make_participant()).records] == ["participant/self"]


@pytest.mark.parametrize("file", ["region.json", "organisations.json"])
def test_the_sample_documents_survive_export_and_import(file: str) -> None:
    documents = parse_documents(load_json_file(DATA / file))
    for document in documents:
        exported = json.loads(json.dumps(export_document(document.records)))
        assert parse_document(exported) == document
        assert diff_document(document.records, parse_document(exported)).unchanged == [*document.records]


def test_the_region_has_491_units_in_17_countries() -> None:
    documents = parse_documents(load_json_file(DATA / "region.json"))
    assert len(documents) == 17
    assert sum(record.startswith("unit/") for document in documents for record in document.records) == 491


def test_one_country_of_a_file_is_chosen(region: dict[str, Any]) -> None:
    assert parse_document(region, "ME").participant == "ME"
    both = {"countries": [make_document()], "organisations": [make_document(country=ABSENT, organisation="SELEC")]}
    assert parse_document(both, "SELEC").participant == "SELEC"
    assert [document.participant for document in parse_documents(both)] == ["ME", "SELEC"]
    assert [document.participant for document in parse_documents(make_document())] == ["ME"]


@pytest.mark.parametrize(
    ("document", "participant", "place", "words"),
    [
        ([], None, "", "expected an object"),
        (None, "ME", "", "expected an object"),
        ("ME", "ME", "", "expected an object"),
        ({"countries": [make_document()]}, None, "", "expected to be told the participant: the file holds ME"),
        ({"countries": []}, None, "", "the file holds nobody"),
        ({"countries": [make_document()]}, "RS", "", "expected a participant of the file, which holds ME"),
        ({"countries": {}}, "ME", "/countries", "expected a list of participants"),
        ({"organisations": None}, "ME", "/organisations", "expected a list of participants"),
        ({"countries": [make_document(), 5]}, "ME", "/countries/1", "expected an object of one participant"),
        ({"countries": [make_document()] * 2}, "ME", "/countries/1", "expected ME once, see /countries/0"),
        (make_document(), "RS", "/country", "expected the document of RS"),
        (make_document(country=ABSENT, organisation="SELEC"), "ME", "/organisation", "expected the document of ME"),
    ],
)
def test_the_participant_must_be_clear(document: object, participant: str | None, place: str, words: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        parse_document(document, participant)
    [fault] = caught.value.faults
    assert fault.place == place
    assert words in fault.expected


@pytest.mark.parametrize("document", [5, [], None, {"countries": 1}, {"countries": [make_document()] * 2}])
def test_documents_of_all_must_be_clear_too(document: object) -> None:
    assert refused_places(lambda: parse_documents(document))


def _change_entry(part: str, number: int, **changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document[part][number].update(changes)

    return change


def _add_entry(part: str, entry: object) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document[part].append(entry)

    return change


def _replace(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(document: dict[str, Any]) -> None:
        document.update(changes)

    return change


BAD = [
    (_replace(timezone="Mars/X"), ["/timezone"]),
    (_replace(country="YU"), ["/country"]),
    (_replace(country=None), ["/country"]),
    (_replace(organisation="SELEC"), [""]),
    (_replace(units={}), ["/units", "/members/0/unit", "/members/1/unit", "/rotas/0/unit"]),
    (_replace(outages=None), ["/outages"]),
    (_add_entry("outages", "x"), ["/outages/1"]),
    (_add_entry("members", []), ["/members/2"]),
    (_add_entry("agencies", {"id": "police", **make_agency()}), ["/agencies/1/id"]),
    (_add_entry("agencies", {"id": "police", **make_agency(kind="")}), ["/agencies/1/id", "/agencies/1/kind"]),
    (_add_entry("members", make_member()), ["/members/2/id"]),
    (_add_entry("members", {"id": 7, **make_member()}), ["/members/2/id"]),
    (_add_entry("members", {"id": "Ana Anić", **make_member(phone="x")}), ["/members/2/id", "/members/2/phone"]),
    (_change_entry("units", 0, hours="x"), ["/units/0/hours"]),
    (
        _change_entry("units", 0, agency="none", parent="none", rota="none"),
        ["/units/0/agency", "/units/0/parent", "/units/0/rota"],
    ),
    (_change_entry("units", 0, parent="spoc"), ["/units/0/parent"]),
    (_change_entry("members", 0, unit="none"), ["/members/0/unit"]),
    (_change_entry("members", 0, id="duty-9"), ["/rotas/0/layers/0/members/0"]),
    (
        _change_entry("rotas", 0, layers=[{}]),
        [f"/rotas/0/layers/0/{key}" for key in ("rotation", "members", "start")],
    ),
    (_change_entry("outages", 0, to="2020-01-01T00:00:00Z"), ["/outages/0/to"]),
    (
        _add_entry("units", {"id": "a/b~", **make_unit(endpoints={"a/b~c": ""})}),
        ["/units/1/id", "/units/1/endpoints/a~1b~0c"],
    ),
]


@pytest.mark.parametrize(("change", "places"), BAD)
def test_a_fault_is_named_with_its_place_in_the_file(
    change: Callable[[dict[str, Any]], None], places: list[str]
) -> None:
    document = make_document()
    change(document)
    assert sorted(refused_places(lambda: parse_document(document))) == sorted(places)
    whole = {"countries": [make_document(country="RS"), document]}
    assert sorted(refused_places(lambda: parse_documents(whole))) == sorted(f"/countries/1{place}" for place in places)


def test_a_document_with_twenty_faults_names_all_twenty() -> None:
    document = make_document()
    expected = []
    for number in range(20):
        change, places = (
            BAD[13] if number == 0 else (_add_entry("units", {"id": f"u{number}", **make_unit(hours=str(number))}), [])
        )
        change(document)
        expected += places or [f"/units/{number}/hours"]
    assert refused_places(lambda: parse_document(document)) == expected
    assert len(expected) == 20


def test_a_record_at_fault_is_searched_for_missing_records_too() -> None:
    unit = make_unit(agency="gone", parent="spoc", hours="always")
    document = make_document(
        units=[{"id": "spoc", **make_unit(parent="spoc-2")}, {"id": "spoc", **unit}, {"id": "spoc-2", **unit}],
        rotas=[{"id": "spoc-rota", **make_rota(time_zone="Mars")}],
        members=[],
    )
    assert refused_places(lambda: parse_document(document)) == [
        *("/units/1/id", "/units/1/hours", "/units/2/hours", "/rotas/0/time_zone", "/units/1/agency"),
        *("/units/2/agency", "/rotas/0/layers/0/members/0", "/rotas/0/layers/0/members/1", "/units/0/parent"),
    ]


def test_faults_of_all_participants_are_named_at_once() -> None:
    countries = [
        make_document(timezone="x"),
        make_document(country="RS"),
        make_document(country="MK", languages=["zz"]),
    ]
    organisations = [make_document(country=ABSENT, organisation="S")]
    places = refused_places(lambda: parse_documents({"countries": countries, "organisations": organisations}))
    assert places == ["/countries/0/timezone", "/countries/2/languages/0", "/organisations/0/organisation"]


def test_the_words_of_a_duplicate_say_where_the_first_is() -> None:
    document = make_document()
    document["units"].append({"id": "spoc", **make_unit()})
    with pytest.raises(InvalidInputError, match=r"/units/1/id: expected each id once, but /units/0 has it too"):
        parse_document(document)


def test_a_part_may_refer_to_records_that_are_there_already() -> None:
    part = make_document(agencies=[], members=[], rotas=[])
    assert refused_places(lambda: parse_document(part)) == ["/units/0/agency", "/units/0/rota"]
    assert parse_document(part, known={"agency/police", "rota/spoc-rota"}).participant == "ME"


def test_reading_changes_nothing_that_was_given() -> None:
    document = make_document()
    before = copy.deepcopy(document)
    parse_document(document)
    assert document == before


@pytest.mark.parametrize(
    ("slug", "like_name"),
    [
        ("ana-anic", True),
        ("petrovic", True),
        ("anaanic", True),
        ("m-4f7k2q9x", False),
        ("duty-1", False),
        ("duty-officer", False),
        ("night-shift", False),
        ("me-spoc-2", False),
        ("a", False),
        ("abc", False),
    ],
)
def test_ids_of_members_that_look_like_names(slug: str, like_name: bool) -> None:
    assert looks_like_name(slug) is like_name
    document = make_document()
    document["members"].append({"id": slug, **make_member()}) if slug != "duty-1" else None
    warnings = parse_document(document).warnings
    assert any(f"member/{slug}: the id looks like a name" in warning for warning in warnings) is like_name


def test_warnings_name_the_record() -> None:
    document = make_document(memberships=["NEW-CLUB"])
    document["units"][0]["name"] = {"en": "Pоlice"}
    assert parse_document(document).warnings == [
        "participant/self: memberships: 'NEW-CLUB' is not a known code; it is kept",
        "unit/spoc: name: 'Pоlice' mixes letters of several scripts",
    ]


def test_export_writes_all_lists_and_the_ids() -> None:
    exported = export_document(parse_document(make_document()).records)
    assert exported == make_document()
    assert export_document({})["units"] == []
    assert "newtype" not in json.dumps(export_document({"newtype/x": {"a": 1}}))


def test_a_plan_tells_added_changed_and_unchanged_records_apart() -> None:
    new = parse_document(make_document())
    current = {**new.records, "unit/old": make_unit()}
    del current["member/duty-1"]
    current["agency/police"] = make_agency(kind="customs")
    plan = diff_document(current, new)
    assert plan == ImportPlan(
        added=["member/duty-1"],
        changed=["agency/police"],
        unchanged=["participant/self", "unit/spoc", "member/duty-2", "rota/spoc-rota", "outage/siena-upgrade"],
    )
    assert diff_document({}, new).added == [*new.records]


@pytest.mark.parametrize(("old", "new"), [(True, 1), (0, False), (1, "1"), (None, 0), ([1], [1, 1])])
def test_values_of_different_json_types_are_different(old: object, new: object) -> None:
    document = Document("ME", {"unit/a": make_unit(newer=new)})
    assert diff_document({"unit/a": make_unit(newer=old)}, document).changed == ["unit/a"]
    assert diff_document({"unit/a": dict(reversed(make_unit(newer=new).items()))}, document).unchanged == ["unit/a"]


@given(st.permutations(["agencies", "units", "members", "rotas", "outages", "country", "names", "channels"]))
def test_the_order_of_a_document_does_not_matter(order: list[str]) -> None:
    document = make_document()
    shuffled = {key: document[key] for key in order} | document
    assert parse_document(shuffled).records == parse_document(document).records
