"""The one check of records: what each type may say, what is kept, and that every fault is named at once."""

import copy
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.record_schemas import _SCHEMAS, LARGEST_RECORD, validate_record
from directory.vocabulary import RECORD_TYPES
from tests.named_faults import faults_of, refused_places
from tests.records import (
    ABSENT,
    make_agency,
    make_layer,
    make_member,
    make_outage,
    make_participant,
    make_rota,
    make_unit,
)

DATA = Path(__file__).parents[3] / "web/data"
Make = Callable[..., dict[str, Any]]
MAKERS: dict[str, Make] = {
    "participant": make_participant,
    "agency": make_agency,
    "unit": make_unit,
    "member": make_member,
    "rota": make_rota,
    "outage": make_outage,
}


def _slug(type_: str) -> str:
    return "self" if type_ == "participant" else "a-1"


def _check(type_: str, data: object) -> dict[str, Any]:
    return validate_record(type_, _slug(type_), data, "ME")


def _places(type_: str, **changes: Any) -> list[str]:
    return refused_places(lambda: _check(type_, MAKERS[type_](**changes)))


def _participants() -> list[dict[str, Any]]:
    files = ("region.json", "organisations.json")
    documents = [json.loads((DATA / file).read_text(encoding="utf-8")) for file in files]
    return [*documents[0]["countries"], *documents[1]["organisations"]]


def test_every_type_has_a_schema() -> None:
    assert tuple(_SCHEMAS) == RECORD_TYPES == tuple(MAKERS)


@pytest.mark.parametrize("type_", RECORD_TYPES)
def test_a_good_record_comes_back_as_it_was(type_: str) -> None:
    data = MAKERS[type_]()
    before = copy.deepcopy(data)
    checked = _check(type_, data)
    assert checked == data == before
    assert [*checked] == [*data]  # in the order of its members
    assert checked is not data


@pytest.mark.parametrize(
    "participant", _participants(), ids=lambda entry: entry.get("country", entry.get("organisation"))
)
def test_the_records_of_the_region_are_valid(participant: dict[str, Any]) -> None:
    code = participant.get("country") or participant["organisation"]
    own = {
        key: value
        for key, value in participant.items()
        if not isinstance(value, list) or key not in {"agencies", "units"}
    }
    assert validate_record("participant", "self", own, code) == own
    for type_, part in (("agency", "agencies"), ("unit", "units")):
        for entry in participant[part]:
            assert validate_record(type_, entry["id"], entry, code) == entry


@pytest.mark.parametrize("type_", RECORD_TYPES)
def test_unknown_members_are_kept(type_: str) -> None:
    extra = {"newer": {"list": [1, 2.5, None, {"deep": True}]}, "note.with.points": "kept\nas it is", "": 0}
    assert _check(type_, MAKERS[type_](**extra)) == MAKERS[type_](**extra)


@pytest.mark.parametrize("type_", RECORD_TYPES)
@pytest.mark.parametrize("data", [None, [], [{}], "text", 5, True])
def test_what_is_no_object_is_refused(type_: str, data: object) -> None:
    with pytest.raises(InvalidInputError, match=f"expected an object that holds the {type_}"):
        _check(type_, data)


@pytest.mark.parametrize("type_", ["", "person", "units", "Unit"])
def test_an_unknown_type_is_refused(type_: str) -> None:
    with pytest.raises(InvalidInputError, match="expected a record type: one of participant, agency, unit"):
        validate_record(type_, "a", {}, "ME")


@pytest.mark.parametrize(
    ("type_", "required"),
    [
        ("participant", ["names", "timezone", "languages", "memberships", "channels"]),
        ("agency", ["name", "kind"]),
        ("unit", ["name", "kind", "level", "area", "crime_areas", "channels", "languages", "hours"]),
        ("member", ["name"]),
        ("outage", ["channel", "from"]),
    ],
)
def test_required_members(type_: str, required: list[str]) -> None:
    code = {"country": "ME"} if type_ == "participant" else {}
    assert refused_places(lambda: _check(type_, code)) == [f"/{key}" for key in required]
    for key in required:
        assert _places(type_, **{key: ABSENT}) == [f"/{key}"]
        assert _places(type_, **{key: None}) == [f"/{key}"]


NULLABLE = {
    "participant": ["holiday_calendar", "note"],
    "agency": ["level", "designated"],
    "unit": [
        *("agency", "parent", "timezone", "centre", "posted_to", "rota", "verified_at", "valid_until", "basis", "src"),
        *("note", "host"),
    ],
    "member": ["phone", "email", "unit", "note"],
    "outage": ["to", "reason", "note"],
}


@pytest.mark.parametrize(("type_", "key"), [(type_, key) for type_, keys in NULLABLE.items() for key in keys])
def test_a_null_means_the_same_as_nothing(type_: str, key: str) -> None:
    assert _check(type_, MAKERS[type_](**{key: None}))[key] is None
    assert key not in _check(type_, MAKERS[type_](**{key: ABSENT}))


GOOD = [
    ("participant", {"country": ABSENT, "organisation": "SELEC"}, "SELEC"),
    ("participant", {"public_holidays": [], "holiday_calendar": "ME"}, "ME"),
    ("participant", {"memberships": ["INTERPOL", "NEW-CLUB"], "note": "two\nlines"}, "ME"),
    ("agency", {"designated": {"from": "2026-01-01"}, "kind": "mounted_police"}, "ME"),
    ("unit", {"area": ["ME", "ME-16", "xp-horgos-roszke", "x-XK-peje"]}, "ME"),
    ("unit", {"posted_to": "EUROPOL", "host": "NL", "mission_for": ["*"], "partners": ["ME", "RS"]}, "ME"),
    ("unit", {"verified_at": "2026-01-01", "valid_until": "2026-01-01", "drills": True}, "ME"),
    ("unit", {"verified_at": "2026-01-01T00:00:00Z", "valid_until": "2026-04-01T00:00:00Z"}, "ME"),
    ("unit", {"verified_at": "2030-01-01T00:00:00Z"}, "ME"),
    ("unit", {"endpoints": ABSENT, "channels": [], "area": [], "crime_areas": [], "languages": []}, "ME"),
    ("unit", {"networks": ["BUDAPEST-24/7", "NEW"], "timezone": "Europe/Belgrade", "rota": "me-rota"}, "ME"),
    ("member", {"languages": ABSENT, "phone": ABSENT}, "ME"),
    ("rota", {"overrides": ABSENT, "layers": []}, "ME"),
    ("outage", {"to": ABSENT}, "ME"),
]


@pytest.mark.parametrize(("type_", "changes", "participant"), GOOD)
def test_what_the_rules_allow(type_: str, changes: dict[str, Any], participant: str) -> None:
    data = MAKERS[type_](**changes)
    assert validate_record(type_, _slug(type_), data, participant) == data


BAD = [
    ("participant", {"timezone": "Mars/X"}, "/timezone"),
    ("participant", {"languages": ["xx"]}, "/languages/0"),
    ("participant", {"languages": "cnr"}, "/languages"),
    ("participant", {"memberships": ["a b"]}, "/memberships/0"),
    ("participant", {"channels": {"siena": {"connected": True, "max": "TOP SECRET"}}}, "/channels/siena/max"),
    ("participant", {"public_holidays": ["12-25", "2026-01-01"]}, "/public_holidays/1"),
    ("participant", {"public_holidays": None}, "/public_holidays"),
    ("participant", {"holiday_calendar": "Atlantis"}, "/holiday_calendar"),
    ("participant", {"names": "Montenegro"}, "/names"),
    ("agency", {"kind": "!"}, "/kind"),
    ("agency", {"level": "galactic"}, "/level"),
    ("agency", {"designated": {"from": "2026-02-01", "to": "2026-01-01"}}, "/designated/to"),
    ("unit", {"name": {"en": "a\nb"}}, "/name/en"),
    ("unit", {"kind": "desk"}, "/kind"),
    ("unit", {"area": ["xp-nowhere"]}, "/area/0"),
    ("unit", {"crime_areas": ["*", "jaywalking"]}, "/crime_areas/1"),
    ("unit", {"channels": ["telex"]}, "/channels/0"),
    ("unit", {"hours": "Mo-Fr 08-16"}, "/hours"),
    ("unit", {"hours": {"mo": "08:00"}}, "/hours"),
    ("unit", {"timezone": "/etc/localtime"}, "/timezone"),
    ("unit", {"partners": ["RS", "YU"]}, "/partners/1"),
    ("unit", {"partners": None}, "/partners"),
    ("unit", {"networks": ["x"]}, "/networks/0"),
    ("unit", {"posted_to": "čuka"}, "/posted_to"),
    ("unit", {"host": "EUROPOL"}, "/host"),
    ("unit", {"mission_for": ["RS", "all"]}, "/mission_for/1"),
    ("unit", {"endpoints": {"phone": "call me"}}, "/endpoints/phone"),
    ("unit", {"endpoints": None}, "/endpoints"),
    ("unit", {"agency": "agency/police"}, "/agency"),
    ("unit", {"rota": "RS:rota/x"}, "/rota"),
    ("unit", {"escalation": []}, "/escalation"),
    ("unit", {"verified_at": "yesterday"}, "/verified_at"),
    ("unit", {"verified_at": "2026-02-01T00:00:00Z", "valid_until": "2026-01-31T23:59:59Z"}, "/valid_until"),
    ("unit", {"verified_at": "2026-02-01", "valid_until": "2026-01-31"}, "/valid_until"),
    ("unit", {"drills": 1}, "/drills"),
    ("unit", {"src": ""}, "/src"),
    ("member", {"name": {"en": "Duty officer"}}, "/name"),
    ("member", {"phone": "+٣٨١١١"}, "/phone"),
    ("member", {"email": "a@b.c%0d%0aBcc:x"}, "/email"),
    ("member", {"unit": "ME:unit/x"}, "/unit"),
    ("rota", {"unit": ABSENT}, "/unit"),
    ("rota", {"unit": None}, "/unit"),
    ("rota", {"time_zone": "Mars/X"}, "/time_zone"),
    ("rota", {"layers": "none"}, "/layers"),
    ("rota", {"layers": [make_layer(members=["Ana Anić"])]}, "/layers/0/members/0"),
    ("rota", {"layers": [make_layer(start="9999-01-01T08:00")]}, "/layers/0/start"),
    ("rota", {"layers": [make_layer(rotation={"every": 0, "unit": "days"})]}, "/layers/0/rotation/every"),
    ("outage", {"channel": "telex"}, "/channel"),
    ("outage", {"to": "2026-11-21T20:00:00Z"}, "/to"),
    ("outage", {"to": "2026-11-21T20:59:59+01:00"}, "/to"),
    ("outage", {"from": "2026-11-21"}, "/from"),
]


@pytest.mark.parametrize(("type_", "changes", "place"), BAD)
def test_a_broken_rule_is_named_with_its_place(type_: str, changes: dict[str, Any], place: str) -> None:
    assert _places(type_, **changes) == [place]


@pytest.mark.parametrize(
    ("override", "places"),
    [
        ({"member": "Ana Anić", "replaces": None}, ["/overrides/0/member"]),
        ({"member": "duty-1", "replaces": "ana_anic"}, ["/overrides/0/replaces"]),
        ({"member": "duty-1", "start": "2026-11-22T00:00:00Z"}, ["/overrides/0/end"]),
        ({"member": "duty-1", "reason": "hangover"}, ["/overrides/0/reason"]),
    ],
)
def test_overrides_name_members_and_end_after_they_begin(override: dict[str, Any], places: list[str]) -> None:
    whole = {"start": "2026-11-21T00:00:00Z", "end": "2026-11-21T12:00:00Z", **override}
    assert _places("rota", overrides=[whole]) == places


def test_two_overrides_that_replace_the_same_member_at_once_are_refused() -> None:
    spans = [("2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"), ("2026-11-21T12:00:00Z", "2026-11-23T00:00:00Z")]
    overrides = [{"start": start, "end": end, "member": "duty-2", "replaces": "duty-1"} for start, end in spans]
    with pytest.raises(InvalidInputError, match="2026-11-21T12:00:00Z to 2026-11-23T00:00:00Z") as caught:
        _check("rota", make_rota(overrides=overrides))
    assert [fault.place for fault in caught.value.faults] == ["/overrides/1"]


@pytest.mark.parametrize(
    ("changes", "participant", "places"),
    [
        ({}, "RS", ["/country"]),
        ({"country": "YU"}, "YU", ["/country"]),
        ({"country": "SELEC"}, "SELEC", ["/country"]),
        ({"country": ["ME"]}, "ME", ["/country"]),
        ({"country": ABSENT}, "ME", [""]),
        ({"organisation": "ME"}, "ME", [""]),
        ({"country": ABSENT, "organisation": "ME"}, "ME", ["/organisation"]),
        ({"country": ABSENT, "organisation": None}, "ME", ["/organisation"]),
        ({"country": ABSENT, "organisation": "SELEC"}, "EUROPOL", ["/organisation"]),
    ],
)
def test_a_participant_speaks_for_itself_only(changes: dict[str, Any], participant: str, places: list[str]) -> None:
    data = make_participant(**changes)
    assert refused_places(lambda: validate_record("participant", "self", data, participant)) == places


def test_a_participant_has_one_record_of_itself() -> None:
    assert refused_places(lambda: validate_record("participant", "other", make_participant(), "ME")) == ["/id"]


@pytest.mark.parametrize("slug", ["", "A", "a/b", "-a", "BB\u20111", "a\u200b", "a" * 64])
def test_ids_are_slugs(slug: str) -> None:
    assert refused_places(lambda: validate_record("unit", slug, make_unit(), "ME")) == ["/id"]


def test_an_id_inside_the_record_must_be_its_own() -> None:
    assert validate_record("unit", "a-1", make_unit(id="a-1"), "ME")["id"] == "a-1"
    assert refused_places(lambda: validate_record("unit", "a-1", make_unit(id="a-2"), "ME")) == ["/id"]
    assert refused_places(lambda: validate_record("unit", "a-1", make_unit(id=None), "ME")) == ["/id"]


def test_phone_numbers_are_kept_in_normal_form() -> None:
    unit = _check("unit", make_unit(endpoints={"phone": "+382 20 123-456", "x": [1]}))
    assert unit["endpoints"] == {"phone": "+38220123456", "x": [1]}
    assert _check("member", make_member(phone="+382 20 123-456"))["phone"] == "+38220123456"


@pytest.mark.parametrize("type_", RECORD_TYPES)
@pytest.mark.parametrize("trick", ["a\u202eb", "a\u200bb", "a\x00b", "a\ud800b", "a\u2066b"])
def test_hidden_characters_are_refused_everywhere(type_: str, trick: str) -> None:
    places = _places(type_, note=trick, newer={"text": [trick]}, **{trick: 1})
    assert {"/note", "/newer/text/0", ""} == set(places)


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", "{{7*7}}", "=cmd|' /C calc'!A0", "%s%x%n", "\\r\\n"])
def test_text_that_is_code_elsewhere_is_only_text_here(text: str) -> None:
    data = make_unit(name={"en": text}, note=text, src=text, basis=text)
    assert _check("unit", data) == data


def test_a_note_may_have_lines_and_a_name_may_not() -> None:
    assert _check("unit", make_unit(note="one\r\ntwo"))["note"] == "one\r\ntwo"
    assert _places("member", name="Duty\r\nBcc: all@a.example") == ["/name"]
    assert _places("outage", reason="one\ntwo") == ["/reason"]
    assert _places("rota", layers=[make_layer(name="a\nb")]) == ["/layers/0/name"]


@pytest.mark.parametrize("value", [math.nan, math.inf, 2**53, 10**30])
def test_numbers_that_others_would_read_differently_are_refused(value: float) -> None:
    assert _places("unit", newer=[value]) == ["/newer/0"]


def test_a_record_has_a_largest_size() -> None:
    room = LARGEST_RECORD - len(json.dumps(make_unit(newer=""), ensure_ascii=False, separators=(",", ":")).encode())
    assert _check("unit", make_unit(newer="x" * room))
    assert _places("unit", newer="x" * (room + 1)) == [""]


def test_nesting_is_bounded() -> None:
    deep: list[Any] = []
    for _ in range(50):
        deep = [deep]
    [place] = _places("unit", newer=deep)
    assert place.startswith("/newer/0/0")


def test_twenty_faults_are_named_at_once() -> None:
    wrong = {
        "id": "other",
        "name": {"english": "", "en": "a\u200bb"},
        "kind": "desk",
        "level": 3,
        "agency": "A",
        "parent": ["x"],
        "area": ["xp-nowhere", "ZZ"],
        "crime_areas": ["x"],
        "channels": {},
        "languages": ["en", "zz"],
        "hours": "9 to 5",
        "timezone": "x",
        "partners": [1],
        "networks": [""],
        "posted_to": "",
        "endpoints": {"phone": "1", "email": "2", "address": {"siena": ""}},
        "rota": "",
        "escalation": [{"after": -1, "notify": ["x"]}],
        "verified_at": "x",
        "drills": "no",
    }
    places = refused_places(lambda: _check("unit", wrong))
    expected = {
        *("/id", "/name/english", "/name/en", "/kind", "/level", "/agency", "/parent", "/area/0", "/area/1"),
        *("/crime_areas/0", "/channels", "/languages/1", "/hours", "/timezone", "/partners/0", "/networks/0"),
        *("/posted_to", "/endpoints/phone", "/endpoints/email", "/endpoints/address/siena", "/rota"),
        *("/escalation/0/after", "/escalation/0/notify/0", "/verified_at", "/drills"),
    }
    assert set(places) == expected
    assert len(places) == len(expected) + 1  # the tag "english" is no tag, and its name is blank


def test_a_fault_shows_what_was_found_and_expected() -> None:
    with pytest.raises(InvalidInputError, match=r"/hours: expected days such as .* \(found 'nine to five'\)"):
        _check("unit", make_unit(hours="nine to five"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def disturbed_records(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A good record of some type in which some members are something else."""
    type_ = draw(st.sampled_from(RECORD_TYPES))
    members = sorted(_SCHEMAS[type_].members | {"id", "country", "layers", "overrides", "time_zone", "newer"})
    changes = draw(st.dictionaries(st.sampled_from(members), st.just(ABSENT) | json_values, max_size=3))
    return type_, MAKERS[type_](**changes)


@given(disturbed_records())
def test_any_record_is_returned_unchanged_or_refused_with_faults(disturbed: tuple[str, dict[str, Any]]) -> None:
    type_, data = disturbed
    before = copy.deepcopy(data)
    faults = faults_of(lambda: _check(type_, data))
    assert repr(data) == repr(before)
    if not faults:
        assert json.loads(json.dumps(_check(type_, data))).keys() == data.keys()
    assert all(fault.place == "" or fault.place.startswith("/") for fault in faults)


@given(disturbed_records())
def test_the_short_way_and_the_schema_agree(disturbed: tuple[str, dict[str, Any]]) -> None:
    type_, data = disturbed
    schema = _SCHEMAS[type_]
    accepted = schema.accept(data)
    assert (accepted is None) == bool(schema.validate(data))
    if accepted is not None:
        assert repr(sorted(accepted.items())) == repr(sorted(schema.load(data).items()))
