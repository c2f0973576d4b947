"""Records read as values."""

import datetime as dt

import pytest

from directory.values import Agency, Member, Outage, Participant, Unit
from tests.unit.directory.asking import documents, unit

AT = dt.datetime(2027, 2, 9, 9, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("members", "name", "expected"),
    [
        ({}, "rota", None),
        ({}, "verified_at", AT),
        ({"verified_at": "2026-11-21"}, "verified_at", dt.datetime(2026, 11, 21, tzinfo=dt.UTC)),
        ({"valid_until": "2026-11-21"}, "valid_until", dt.datetime(2026, 11, 22, tzinfo=dt.UTC)),
        ({"valid_until": "2026-11-21T12:00:00Z"}, "valid_until", dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)),
        ({"endpoints": {}}, "phone", None),
        ({"endpoints": {"address": {"siena": "QB-1"}}}, "addresses", {"siena": "QB-1"}),
        ({"posted_to": "RS"}, "posted_to", "RS"),
        ({"partners": ["RS", "ME"]}, "partners", frozenset({"RS", "ME"})),
        ({"area": None, "languages": None}, "area", ()),
        ({"name": {"sr": "Јединица"}}, "name", "Јединица"),
        ({"name": {}}, "name", "qb-a"),
    ],
)
def test_a_unit(members, name, expected):
    found = Unit.from_data("QB", "qb-a", unit("qb-a", "spoc", **members), 7, AT)
    assert getattr(found, name) == expected
    assert found.ref == "QB:unit/qb-a"


@pytest.mark.parametrize(
    ("crime_areas", "crime", "expected"),
    [(["*"], "drugs", True), (["drugs"], "drugs", True), (["thb"], "drugs", False), ([], "drugs", False)],
)
def test_what_a_unit_deals_with(crime_areas, crime, expected):
    assert Unit.from_data("QB", "a", unit("qb-a", "spoc", crime_areas=crime_areas)).deals_with(crime) is expected


def test_what_a_unit_was_published_with_is_kept_whole():
    data = unit("qb-a", "spoc", colour="blue", note={"en": "new"})
    assert Unit.from_data("QB", "qb-a", data).data == data


def test_equal_lists_of_units_are_shared():
    first = Unit.from_data("QB", "qb-a", unit("qb-a", "spoc", area=["QB", "RS-07"]))
    second = Unit.from_data("QB", "qb-b", unit("qb-b", "ncb", area=["QB", "RS-07"]))
    assert first.area is second.area
    assert first.crime_areas is second.crime_areas


@pytest.mark.parametrize("field", ["kind", "level", "hours", "name"])
def test_a_unit_that_was_not_validated_is_no_unit(field):
    data = unit("qb-a", "spoc")
    del data[field]
    with pytest.raises(KeyError):
        assert Unit.from_data("QB", "qb-a", data).names


def test_hours_that_were_not_validated_are_refused():
    with pytest.raises(ValueError, match="expected"):
        Unit.from_data("QB", "qb-a", unit("qb-a", "spoc", hours="always"))


@pytest.mark.parametrize(
    ("members", "name", "expected"),
    [
        ({}, "is_organisation", False),
        ({}, "name", "Land"),
        ({"names": {"sr": "Земља"}}, "name", "Земља"),
        ({"names": {}}, "name", "QB"),
        ({"channels": {"siena": {"connected": True}}}, "connections", {"siena": "UNCLASSIFIED"}),
        ({"channels": {"siena": {"connected": False, "max": "SECRET"}}}, "connections", {}),
        ({"channels": {"i247": {"connected": False, "substitute": "mission"}}}, "substitutes", {"i247": "mission"}),
        ({"channels": None}, "connections", {}),
        ({"note": "status"}, "note", "status"),
    ],
)
def test_a_participant(members, name, expected):
    data = {"country": "QB", "names": {"en": "Land"}, "timezone": "Europe/Skopje", **members}
    assert getattr(Participant.from_data("QB", data), name) == expected


@pytest.mark.parametrize("timezone", ["Mars/X", "../etc/passwd", "localtime"])
def test_a_participant_in_no_zone_is_refused(timezone):
    with pytest.raises(ValueError, match="time zone"):
        Participant.from_data("QB", {"country": "QB", "timezone": timezone})


def test_an_organisation_says_so():
    assert Participant.from_data("SELEC", {"organisation": "SELEC", "timezone": "Etc/UTC"}).is_organisation


@pytest.mark.parametrize(
    ("end", "at", "expected"),
    [
        (None, "2027-02-09T08:00:00+00:00", True),
        (None, "2027-02-09T07:59:59+00:00", False),
        ("2027-02-09T10:00:00Z", "2027-02-09T09:59:59+00:00", True),
        ("2027-02-09T10:00:00Z", "2027-02-09T10:00:00+00:00", False),
    ],
)
def test_an_outage_is_half_open(end, at, expected):
    outage = Outage.from_data("QB", {"channel": "siena", "from": "2027-02-09T08:00:00Z", "to": end})
    assert outage.covers(dt.datetime.fromisoformat(at)) is expected


def test_a_member_and_an_agency():
    member = Member.from_data("QB", "m-1", {"name": "Duty officer 1"})
    assert (member.ref, member.phone, member.languages) == ("QB:member/m-1", None, ())
    agency = Agency.from_data("QB", "a-1", {"name": {"en": "Police"}, "kind": "police"})
    assert (agency.ref, agency.level) == ("QB:agency/a-1", None)


def test_every_record_of_the_region_is_read():
    for document in documents(with_organisations=True):
        for record, data in document.records.items():
            if record.startswith("unit/"):
                assert Unit.from_data(document.participant, record[5:], data).names
