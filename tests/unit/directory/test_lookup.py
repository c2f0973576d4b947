"""What depends on the moment: rules R6, R7 and R9 to R13 of directory.md, section 4."""

import datetime as dt

import pytest

from directory.freshness import LogFacts
from directory.index import Directory
from directory.lookup import language_to_use, lookup, parse_query
from tests.unit.directory.asking import (
    NOW,
    SATURDAY_18,
    TUESDAY_10,
    ask,
    asked,
    country,
    policy,
    policy_with,
    region,
    region_with,
    rejections,
    slug,
    unit,
    ways,
)

# -- R6 hours --


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        ("2027-02-09T07:00:00+01:00", True),
        ("2027-02-09T06:59:59+01:00", False),
        ("2027-02-09T18:59:59+01:00", True),
        ("2027-02-09T19:00:00+01:00", False),
        ("2027-02-15T12:00:00+01:00", False),  # a public holiday of Serbia
        ("2027-07-04T07:30:00+02:00", True),  # local time in summer
    ],
)
def test_urgent_requests_go_only_to_those_who_are_open(at, is_open):
    answer = asked("ME", "RS", at, urgency="urgent", location="xp-gostun-dobrakovo", crime_area="vehicle_crime")
    assert ("pccc rs-pccc-trebinje" in ways(answer)) is is_open
    assert (rejections(answer).get("pccc") == "R6") is not is_open


def test_a_holiday_closes_only_those_who_say_so():
    directory = region_with({"RS:unit/rs-pccc-trebinje": {"hours": "Mo-Su 07:00-19:00"}})
    answer = ask(
        directory,
        asker="ME",
        country="RS",
        at="2027-02-15T12:00:00+01:00",
        urgency="urgent",
        location="Gostun",
        crime_area="vehicle_crime",
    )
    assert ways(answer)[0] == "pccc rs-pccc-trebinje"


def test_routine_requests_keep_a_closed_unit_with_its_next_opening():
    answer = asked("ME", "RS", "2027-02-14T20:00:00+01:00", location="xp-gostun-dobrakovo", crime_area="vehicle_crime")
    first = answer["candidates"][0]
    assert (slug(first["unit"]), first["open"]) == ("rs-pccc-trebinje", False)
    assert first["next_opening"] == "2027-02-17T06:00:00Z"  # 15 and 16 February are holidays
    assert any(reason.startswith("R6: closed now") for reason in first["reasons"])


def test_a_rejected_unit_says_when_it_opens():
    answer = asked("HR", "BA", SATURDAY_18, urgency="urgent")
    closed = {slug(each["unit"]): each["next_opening"] for each in answer["rejected"] if each["rule"] == "R6"}
    assert closed == {"ba-enu": "2027-02-22T07:00:00Z", "ba-lo-europol": "2027-02-22T07:00:00Z"}


# -- R7 language --


@pytest.mark.parametrize(
    ("asked", "spoken", "expected"),
    [
        ("sr", ("sr", "en"), "sr"),
        ("sr", ("en", "sr"), "sr"),
        ("hr", ("en", "cnr", "sr"), "cnr"),
        ("bs", ("hr", "en"), "hr"),
        ("sl", ("hr", "en"), "en"),
        ("mk", ("sr", "bg"), None),
        ("sr", ("sq", "en"), "en"),
        ("sr", ("sq",), None),
        ("en", ("sr",), None),
        (None, ("sr", "en"), "en"),
    ],
)
def test_the_language_to_use(asked, spoken, expected):
    assert language_to_use(asked, spoken) == expected


def test_the_language_never_changes_the_order_and_is_said_of_each():
    answer = asked("HR", "RS", language="hu")
    assert ways(answer) == ways(asked("HR", "RS"))
    assert answer["language"] == answer["candidates"][0]["language"] == "en"


def test_without_a_common_language_translation_is_needed():
    directory = region_with({"RS:unit/rs-spoc": {"languages": ["sr"]}})
    answer = ask(directory, asker="AT", country="RS", at=TUESDAY_10)
    assert answer["language"] is None
    assert "R7: nobody there reads de or English: translation needed" in answer["candidates"][0]["reasons"]


def test_a_unit_without_languages_speaks_its_countrys():
    directory = Directory.from_documents(
        [country("QA"), country("QB", [unit("qb-ops", "ops_centre", languages=[])], languages=["sl"])]
    )
    assert ask(directory, asker="QA", country="QB", language="sl")["language"] == "sl"


# -- R9 deadline --


@pytest.mark.parametrize(
    ("asker", "requested", "fields", "expected"),
    [
        ("DE", "IT", {"urgency": "urgent"}, ("PT8H", "2027-02-09T18:00:00+01:00", "eu_2023_977")),
        ("ME", "RS", {"urgency": "urgent"}, ("PT8H", "2027-02-09T18:00:00+01:00", "aligned")),
        ("DE", "RS", {"urgency": "urgent", "access": "indirect"}, ("P3D", "2027-02-12T10:00:00+01:00", "aligned")),
        ("DE", "GR", {"access": "indirect"}, ("P7D", "2027-02-16T11:00:00+02:00", "eu_2023_977")),
        ("SI", "HR", {"subject": "sis_alert"}, ("PT12H", "2027-02-09T22:00:00+01:00", "eu_2023_977")),
    ],
)
def test_the_deadline(asker, requested, fields, expected):
    deadline = asked(asker, requested, **fields)["deadline"]
    assert (deadline["rule"], deadline["due"], deadline["profile"]) == expected


def test_an_empty_chain_still_has_its_deadline():
    assert asked("RS", "XK", classification="SECRET", urgency="urgent")["deadline"]["rule"] == "PT8H"


# -- R10 copies, R11 Europol --


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"location": "xp-gostun-dobrakovo", "crime_area": "vehicle_crime"}, ["me-spoc", "rs-spoc"]),  # pccc
        ({"subject": "htc_expert"}, ["me-spoc", "rs-spoc"]),  # network
        ({"subject": "selec_operation"}, ["me-spoc", "rs-spoc"]),  # selec
        ({"classification": "SECRET"}, ["me-spoc", "rs-spoc"]),  # liaison
        ({"outages": "siena,i247,selec,liaison"}, ["me-spoc", "rs-spoc"]),  # bilateral
        ({}, []),  # siena
        ({"subject": "wanted_worldwide"}, []),  # i247
        ({"subject": "fiu"}, []),
        ({"subject": "mla"}, []),
    ],
)
def test_both_spocs_get_a_copy_of_what_passes_them_by(fields, expected):
    assert [slug(ref) for ref in asked("ME", "RS", **fields)["copy_to"]] == expected


@pytest.mark.parametrize(
    ("asker", "requested", "fields", "expected"),
    [
        ("DE", "IT", {"crime_area": "terrorism"}, True),
        ("DE", "IT", {"crime_area": "traffic"}, False),
        ("DE", "RS", {"crime_area": "terrorism"}, False),
        ("RS", "ME", {"crime_area": "terrorism"}, False),
        ("DE", "IT", {"crime_area": "terrorism", "subject": "mla"}, False),
        ("DE", "IT", {"crime_area": "terrorism", "classification": "SECRET"}, True),
    ],
)
def test_whether_europol_has_to_be_considered(asker, requested, fields, expected):
    assert asked(asker, requested, **fields)["europol_copy_assessment"] is expected


# -- R12 cut, R13 nobody --


def test_three_at_most_and_the_others_are_said():
    answer = asked("ME", "RS")
    assert len(answer["candidates"]) == 3
    assert {each["channel"] for each in answer["rejected"] if each["rule"] == "R12"} == {"liaison", "bilateral"}


def test_no_unit_twice():
    gate = {
        "between": ["QA", "QB"],
        "replace": {"i247": "mission"},
        "addressees": {"QB": {"kind": "spoc"}},
        "reason": "by treaty",
    }
    directory = Directory.from_documents([country("QA"), country("QB", [unit("qb-spoc", "spoc", channels=["siena"])])])
    answer = ask(directory, policy_with(gates=[gate]), asker="QA", country="QB")
    assert ways(answer) == ["siena qb-spoc"]
    assert rejections(answer)["mission"] == "R12"


def test_nobody_is_an_answer_with_every_reason_and_the_next_opening():
    answer = asked("HR", "BA", SATURDAY_18, urgency="urgent", classification="RESTRICTED", outages="BA:i247")
    assert answer["candidates"] == []
    assert answer["no_channel"] == {
        "rule": "R13",
        "reason": "no channel: every candidate was removed by R5, R6, R1",
        "next_opening": "2027-02-22T07:00:00Z",
    }
    assert rejections(answer) == {
        "pccc": "R5",
        "siena": "R6",
        "i247": "R1",
        "selec": "R1",
        "liaison": "R6",
        "bilateral": "R1",
    }
    assert answer["language"] is None
    assert answer["copy_to"] == []


def test_a_country_without_units_has_no_channel():
    directory = Directory.from_documents([country("QA"), country("QB")])
    answer = ask(directory, asker="QA", country="QB")
    assert set(rejections(answer).values()) == {"R5"}
    assert answer["no_channel"]["next_opening"] is None


# -- freshness, notes --


def test_every_candidate_says_how_fresh_it_is():
    facts = LogFacts(issued_at=NOW - dt.timedelta(hours=30), expires_at=NOW, checked_at=NOW - dt.timedelta(minutes=5))
    query = parse_query({"from": "ME", "country": "RS"}, region(), NOW)
    answer = lookup(query, region(), policy(), {"RS": facts}.get)
    assert [candidate.freshness.state for candidate in answer.candidates] == ["stale"] * 3
    assert answer.candidates[0].freshness.age_s == 30 * 3600


@pytest.mark.parametrize(
    ("asker", "requested", "is_noted"), [("ME", "XK", True), ("XK", "ME", True), ("ME", "RS", False)]
)
def test_the_status_note_of_kosovo_is_always_shown(asker, requested, is_noted):
    notes = asked(asker, requested)["notes"]
    assert any("without prejudice to positions on status" in note for note in notes) is is_noted
