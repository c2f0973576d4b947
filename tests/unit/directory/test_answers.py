"""The answer as JSON: the names of the interface, UTC instants, offsets where they belong."""

import datetime as dt
import json

import pytest

from directory.answers import to_json
from directory.freshness import LogFacts
from directory.lookup import lookup, parse_query
from tests.unit.directory.asking import NOW, SATURDAY_18, TUESDAY_10, asked, policy, region, region_with

CANDIDATE = [
    "unit",
    "channel",
    "endpoint",
    "open",
    "next_opening",
    "on_duty",
    "next_contact",
    "language",
    "local_time",
    "freshness",
    "reasons",
]


def _answer(facts=None, directory=None, **fields):
    place = directory or region()
    query = parse_query({"from": "ME", "country": "RS", "at": TUESDAY_10, **fields}, place, NOW)
    return to_json(lookup(query, place, policy(), lambda code: facts))


def test_the_members_of_an_answer():
    answer = _answer()
    assert list(answer) == [
        "query",
        "candidates",
        "no_channel",
        "deadline",
        "language",
        "execution_unit",
        "copy_to",
        "europol_copy_assessment",
        "rejected",
        "notes",
    ]
    assert [list(each) for each in answer["candidates"]] == [CANDIDATE] * 3
    assert {tuple(each) for each in answer["rejected"]} == {("unit", "channel", "rule", "reason", "next_opening")}
    assert json.loads(json.dumps(answer)) == answer


def test_local_time_and_due_carry_the_offset_of_the_place_and_the_rest_is_utc():
    answer = _answer(country="TR", urgency="urgent")
    assert answer["query"]["at"] == "2027-02-09T09:00:00Z"
    assert answer["candidates"][0]["local_time"] == "2027-02-09T12:00:00+03:00"
    assert answer["deadline"]["due"] == "2027-02-09T20:00:00+03:00"


def test_the_endpoint_has_the_address_on_the_channel():
    directory = region_with(
        {"RS:unit/rs-spoc": {"endpoints": {"phone": "+9996880002", "address": {"siena": "RS-SPOC", "i247": "X"}}}}
    )
    endpoint = _answer(directory=directory)["candidates"][0]["endpoint"]
    assert endpoint == {"phone": "+9996880002", "email": None, "address": "RS-SPOC"}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (None, (None, None, None)),
        (
            LogFacts(NOW - dt.timedelta(hours=1), NOW + dt.timedelta(hours=47), NOW.replace(microsecond=5), "ok"),
            ("fresh", "2027-02-09T09:00:00Z", 3600),
        ),
        (LogFacts(None, None, None, "unreachable"), ("stale", None, None)),
    ],
)
def test_freshness_of_the_participant(facts, expected):
    freshness = _answer(facts)["candidates"][0]["freshness"]
    assert (freshness["state"], freshness["checked_at"], freshness["age_s"]) == expected


def test_the_units_own_confirmation_stands_beside_it():
    directory = region_with({"RS:unit/rs-spoc": {"verified_at": "2027-02-01T10:00:00+01:00"}})
    freshness = _answer(directory=directory)["candidates"][0]["freshness"]
    assert (freshness["verified_at"], freshness["verification"]) == ("2027-02-01T09:00:00Z", "verified")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"asker": "RS", "requested": "XK", "classification": "SECRET"},
            {"rule": "R13", "reason": "no channel: every candidate was removed by R2", "next_opening": None},
        ),
        (
            {"asker": "HR", "requested": "RS", "at": SATURDAY_18, "subject": "mla", "urgency": "urgent"},
            {
                "rule": "R13",
                "reason": "no channel: every candidate was removed by R6, R3",
                "next_opening": "2027-02-22T07:00:00Z",
            },
        ),
    ],
)
def test_nobody_is_said_in_words(fields, expected):
    answer = asked(**fields)
    assert answer["candidates"] == []
    assert answer["no_channel"] == expected


def test_an_organisation_without_units_has_no_candidates_to_remove():
    directory = region_with(
        {"SEPCA:unit/sepca-secretariat": None},
        with_organisations=True,
    )
    answer = _answer(directory=directory, country="SEPCA")
    assert answer["no_channel"]["reason"] == "no channel: no candidates"


@pytest.mark.parametrize(("subject", "rule"), [("mla", None), ("fiu", "P7D")])
def test_a_deadline_or_none(subject, rule):
    deadline = _answer(subject=subject)["deadline"]
    assert (deadline and deadline["rule"]) == rule
