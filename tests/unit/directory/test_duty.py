"""Who is on duty, and who is next where nobody is."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.document import Document
from directory.duty import next_contact, resolve, who_is_on_duty
from directory.errors import InvalidInputError, NotFoundError
from directory.index import Directory
from directory.store import Record
from tests.unit.directory.asking import ask, country, unit

NIGHT = {
    "unit": "qb-ops",
    "time_zone": "Etc/UTC",
    "layers": [
        {
            "name": "day",
            "members": ["m1", "m2"],
            "start": "2027-01-04T08:00",
            "rotation": {"every": 1, "unit": "days"},
            "restrictions": [{"weekdays": ["mon", "tue", "wed", "thu", "fri"], "start": "08:00", "end": "20:00"}],
        }
    ],
    "overrides": [],
}
ALWAYS = {
    "unit": "qb-spoc",
    "time_zone": "Etc/UTC",
    "layers": [{"members": ["s1"], "start": "2027-01-01T00:00", "rotation": {"every": 1, "unit": "weeks"}}],
    "overrides": [],
}
OPEN, GAP = "2027-02-09T10:00:00Z", "2027-02-09T22:00:00Z"
MEMBERS = {
    "m1": {"name": "Duty officer 1", "phone": "+9990000011", "languages": ["sr", "en"], "unit": "qb-ops"},
    "m2": {"name": "Duty officer 2", "unit": "qb-ops"},
    "s1": {"name": "SPOC officer", "phone": "+9990000021", "email": "s1@unit.example"},
    "head": {"name": "Head", "phone": "+9990000031"},
}


def _directory(units=None, rotas=None, members=None):
    units = [unit("qb-ops", "ops_centre"), unit("qb-spoc", "spoc", channels=["siena"])] if units is None else units
    document = country("QB", units)
    for slug, rota in ({"night": NIGHT, "always": ALWAYS} if rotas is None else rotas).items():
        document.records[f"rota/{slug}"] = rota
    for slug, member in (MEMBERS if members is None else members).items():
        document.records[f"member/{slug}"] = member
    return Directory.from_documents([country("QA"), Document("QB", document.records, [])])


def _at(text):
    return dt.datetime.fromisoformat(text)


def test_a_member_on_duty():
    assert who_is_on_duty(_directory(), "QB:unit/qb-ops", _at(OPEN)) == {
        "unit": "QB:unit/qb-ops",
        "at": OPEN,
        "member": {"id": "m1", "name": "Duty officer 1", "phone": "+9990000011", "languages": ["sr", "en"]},
        "since": "2027-02-09T08:00:00Z",
        "until": "2027-02-09T20:00:00Z",
        "next_contact": None,
        "source": {"seq": None, "published_at": None},
    }


def test_a_gap_always_comes_with_the_next_contact():
    answer = who_is_on_duty(_directory(), "QB:unit/qb-ops", _at(GAP))
    assert answer["member"] is None
    assert (answer["since"], answer["until"]) == ("2027-02-09T20:00:00Z", "2027-02-10T08:00:00Z")
    assert answer["next_contact"] == {
        "via": "next",
        "unit": "QB:unit/qb-ops",
        "member": {"id": "m2", "name": "Duty officer 2", "phone": None, "languages": []},
        "phone": "+9990000001",
        "email": "qb-ops@unit.example",
        "from": "2027-02-10T08:00:00Z",
    }


def test_the_source_is_the_published_version():
    directory = _directory()
    published = dt.datetime(2027, 2, 1, tzinfo=dt.UTC)
    directory.apply([Record("QB", "rota/night", "rota", 7, published, NIGHT, "live", 7)])
    answer = who_is_on_duty(directory, "QB:unit/qb-ops", _at(OPEN))
    assert answer["source"] == {"seq": 7, "published_at": "2027-02-01T00:00:00Z"}


def test_a_member_without_a_record_is_shown_by_its_id():
    answer = who_is_on_duty(_directory(members={}), "QB:unit/qb-ops", _at(OPEN))
    assert answer["member"] == {"id": "m1", "name": "m1", "phone": None, "languages": []}


@pytest.mark.parametrize("ref", ["QB:unit/nobody", "qb-ops", "", "QB:rota/night"])
def test_an_unknown_unit_is_not_found(ref):
    with pytest.raises(NotFoundError, match="expected a unit of the directory"):
        who_is_on_duty(_directory(), ref, _at(OPEN))


@pytest.mark.parametrize("at", ["1700-01-01T00:00:00Z", "2400-01-01T00:00:00Z"])
def test_an_instant_out_of_reach_is_refused(at):
    with pytest.raises(InvalidInputError):
        who_is_on_duty(_directory(), "QB:unit/qb-ops", _at(at))


def _contact(directory, ref="QB:unit/qb-ops", at=GAP):
    contact = next_contact(directory, directory.unit(ref), _at(at))
    return contact.via, contact.unit.slug, contact.slug


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, ("next", "qb-ops", "m2")),
        ({"escalation": [{"after": 0, "notify": ["spoc"]}]}, ("spoc", "qb-spoc", "s1")),
        ({"escalation": [{"after": 0, "notify": ["fallback"]}]}, ("fallback", "qb-spoc", "s1")),
        ({"escalation": [{"after": 0, "notify": ["fallback"]}], "parent": "qb-hq"}, ("fallback", "qb-hq", None)),
        ({"escalation": [{"after": 0, "notify": ["on_duty", "member/head"]}]}, ("member/head", "qb-ops", "head")),
        ({"escalation": [{"after": 0, "notify": ["unit/qb-hq"]}]}, ("unit/qb-hq", "qb-hq", None)),
        (
            {"escalation": [{"after": 0, "notify": ["member/none", "unit/none"]}, {"after": 5, "notify": ["spoc"]}]},
            ("spoc", "qb-spoc", "s1"),
        ),
        ({"escalation": [{"after": 0, "notify": ["asker"]}]}, ("desk", "qb-ops", None)),
        ({"escalation": [{"after": 0, "notify": ["unit/qb-ops"]}]}, ("desk", "qb-ops", None)),
    ],
)
def test_the_next_contact_is_the_first_that_the_escalation_finds(members, expected):
    units = [
        unit("qb-ops", "ops_centre", **members),
        unit("qb-spoc", "spoc", channels=["siena"]),
        unit("qb-hq", "directorate"),
    ]
    assert _contact(_directory(units)) == expected


def test_a_unit_without_a_rota_falls_back():
    directory = _directory(rotas={})
    answer = who_is_on_duty(directory, "QB:unit/qb-ops", _at(OPEN))
    assert (answer["member"], answer["since"], answer["until"], answer["source"]) == (None, None, None, None)
    assert answer["next_contact"]["unit"] == "QB:unit/qb-spoc"


def test_a_spoc_without_a_rota_has_only_its_desk():
    answer = who_is_on_duty(_directory(rotas={}), "QB:unit/qb-spoc", _at(OPEN))
    assert (answer["next_contact"]["via"], answer["next_contact"]["phone"]) == ("desk", "+9990000001")


def test_a_rota_that_has_ended_has_no_next_member():
    empty = {**NIGHT, "layers": []}
    assert _contact(_directory(rotas={"night": empty, "always": ALWAYS})) == ("fallback", "qb-spoc", "s1")


@pytest.mark.parametrize(
    ("word", "at", "expected"),
    [
        ("on_duty", OPEN, ["m1"]),
        ("on_duty", GAP, []),
        ("next", OPEN, ["m2"]),
        ("asker", OPEN, []),
        ("nonsense", OPEN, []),
        ("unit/nobody", OPEN, []),
        ("member/nobody", OPEN, []),
        ("spoc", OPEN, ["s1"]),
    ],
)
def test_each_word_of_an_escalation(word, at, expected):
    directory = _directory()
    found = resolve(directory, directory.unit("QB:unit/qb-ops"), word, _at(at))
    assert [contact.slug for contact in found] == expected


def test_a_candidate_of_a_lookup_says_who_is_on_duty_or_next():
    directory = _directory()
    during = ask(directory, asker="QA", country="QB", at=OPEN, outages="siena")["candidates"][0]
    assert during["on_duty"] == {
        "id": "m1",
        "name": "Duty officer 1",
        "until": "2027-02-09T20:00:00Z",
        "phone": "+9990000011",
    }
    assert during["next_contact"] is None
    gap = ask(directory, asker="QA", country="QB", at=GAP, outages="siena")["candidates"][0]
    assert gap["on_duty"] is None
    assert gap["next_contact"]["member"]["id"] == "m2"


def test_a_member_without_a_record_is_on_duty_in_a_lookup_too():
    answer = ask(_directory(members={}), asker="QA", country="QB", at=OPEN, outages="siena")
    assert answer["candidates"][0]["on_duty"]["name"] == "m1"


@settings(deadline=None)
@given(st.integers(0, 365 * 24 * 60))
def test_there_is_always_somebody_or_a_next_contact(minutes):
    directory = _directory()
    at = dt.datetime(2026, 12, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
    answer = who_is_on_duty(directory, "QB:unit/qb-ops", at)
    assert (answer["member"] is None) != (answer["next_contact"] is None)
