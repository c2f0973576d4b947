"""The question of a lookup: its defaults, and every way to get it wrong."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.index import Directory
from directory.query import parse_query
from tests.unit.directory.asking import NOW, country, region

LEAST = {"from": "ME", "country": "RS"}


def _parse(**fields):
    return parse_query({**LEAST, **fields}, region(), NOW)


def _faults(fields, own=None):
    with pytest.raises(InvalidInputError) as caught:
        parse_query(fields, region(), NOW, own)
    return [fault.place for fault in caught.value.faults]


def test_the_defaults():
    assert _parse().to_json() == {
        "from": "ME",
        "country": "RS",
        "crime_area": "other",
        "location": None,
        "urgency": "routine",
        "access": "direct",
        "subject": "police_information",
        "classification": "UNCLASSIFIED",
        "language": "cnr",
        "at": "2027-02-09T09:00:00Z",
        "involves": [],
        "outages": [],
    }


@pytest.mark.parametrize(
    ("fields", "name", "expected"),
    [
        ({"country": " hr "}, "country", "HR"),
        ({"location": "Прешево"}, "location", "xp-presevo-tabanovce"),
        ({"location": "none"}, "location", None),
        ({"location": ""}, "location", None),
        ({"location": None}, "location", None),
        ({"urgency": "urgent"}, "urgency", "urgent"),
        ({"language": "sq"}, "language", "sq"),
        ({"language": None}, "language", "cnr"),
        ({"at": "2027-02-09T10:00:00+01:00"}, "at", "2027-02-09T09:00:00Z"),
        ({"at": "2027-02-09T10:00:00 01:00"}, "at", "2027-02-09T09:00:00Z"),
        ({"involves": "EG, ua"}, "involves", ["EG", "UA"]),
        ({"involves": ["EG", "EG"]}, "involves", ["EG"]),
        ({"involves": ["EG,TR", "UA"]}, "involves", ["EG", "TR", "UA"]),
        ({"involves": ""}, "involves", []),
        ({"involves": []}, "involves", []),
        ({"outages": ["RS:siena", "i247"]}, "outages", ["RS:siena", "i247"]),
        ({"outage": "rs:siena"}, "outages", ["RS:siena"]),
        ({"outages": "EUROPOL:siena"}, "outages", ["EUROPOL:siena"]),
    ],
)
def test_what_is_given_is_read(fields, name, expected):
    assert _parse(**fields).to_json()[name] == expected


def test_the_asker_is_the_own_participant_unless_said_otherwise():
    assert parse_query({"country": "RS"}, region(), NOW, "HR").asker == "HR"
    assert parse_query({"country": "RS", "from_country": "SI"}, region(), NOW, "HR").asker == "SI"
    assert parse_query({"country": "RS", "from": "SI", "from_country": "SI"}, region(), NOW).asker == "SI"


def test_an_asker_without_languages_asks_in_none():
    directory = Directory.from_documents([country("QA", languages=[]), country("QB")])
    assert parse_query({"from": "QA", "country": "QB"}, directory, NOW).language is None


@pytest.mark.parametrize(
    ("fields", "places"),
    [
        ({"country": "RS"}, ["/from"]),
        ({"from": "ME"}, ["/country"]),
        ({"from": "", "country": None}, ["/from", "/country"]),
        ({"from": "RS", "country": "RS"}, ["/country"]),
        ({"from": "FR", "country": "RS"}, ["/from"]),
        ({"from": "ME", "country": "Serbia"}, ["/country"]),
        ({**LEAST, "from_country": "HR"}, ["/from_country"]),
        ({**LEAST, "crime": "drugs"}, ["/crime"]),
        ({**LEAST, "crime_area": "crimes"}, ["/crime_area"]),
        ({**LEAST, "urgency": "very"}, ["/urgency"]),
        ({**LEAST, "access": "any"}, ["/access"]),
        ({**LEAST, "subject": "weather"}, ["/subject"]),
        ({**LEAST, "classification": "restricted"}, ["/classification"]),
        ({**LEAST, "language": "sr-Latn"}, ["/language"]),
        ({**LEAST, "at": "tomorrow"}, ["/at"]),
        ({**LEAST, "at": "2027-02-09T10:00:00"}, ["/at"]),
        ({**LEAST, "at": "9999-12-31T10:00:00Z"}, ["/at"]),
        ({**LEAST, "at": "1066-10-14T10:00:00Z"}, ["/at"]),
        ({**LEAST, "location": "Atlantis"}, ["/location"]),
        ({**LEAST, "location": "Morinë"}, ["/location"]),
        ({**LEAST, "involves": "EG,Egypt"}, ["/involves"]),
        ({**LEAST, "involves": {"EG": 1}}, ["/involves"]),
        ({**LEAST, "involves": [1]}, ["/involves"]),
        ({**LEAST, "outages": "fax"}, ["/outages"]),
        ({**LEAST, "outages": ":siena"}, ["/outages"]),
        ({**LEAST, "outages": "R:siena"}, ["/outages"]),
        ({**LEAST, "crime_area": 7}, ["/crime_area"]),
        ({"from": 1, "country": ["RS"]}, ["/from", "/country"]),
        (
            {"from": "FR", "country": "RS", "urgency": "very", "at": "now", "colour": "red"},
            ["/colour", "/from", "/urgency", "/at"],
        ),
    ],
)
def test_every_bad_field_is_named_at_once(fields, places):
    assert _faults(fields) == places


def test_an_own_participant_that_is_not_in_the_directory_is_refused():
    assert _faults({"country": "RS"}, "FR") == ["/from"]


def test_an_unknown_country_is_answered_with_the_known_ones():
    with pytest.raises(InvalidInputError, match="AL, AT, BA, BG, DE"):
        _parse(country="ZZ")


_ANYTHING = st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text()))


@given(st.dictionaries(st.text(max_size=12), _ANYTHING), st.sampled_from([None, "RS", "", 7, "ZZ"]))
def test_whatever_is_given_is_refused_with_its_place(fields, country):
    places = _faults({**fields, "from": "RS", "country": country})
    assert places
    assert all(place.startswith("/") for place in places)


@given(
    st.fixed_dictionaries(
        {
            "location": st.sampled_from([None, "xp-kula-kulle", "RS-07"]),
            "urgency": st.sampled_from(["urgent", "routine"]),
            "involves": st.lists(st.sampled_from(["EG", "UA"]), unique=True),
            "outages": st.lists(st.sampled_from(["siena", "RS:i247"]), unique=True),
        }
    ),
    st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1)),
)
def test_what_is_written_is_read_again(fields, at):
    query = parse_query({**LEAST, **fields, "at": at.strftime("%Y-%m-%dT%H:%M:%SZ")}, region(), NOW)
    assert parse_query(query.to_json(), region(), NOW) == query
