"""Rules R3, R4, R8 and R14 of directory.md, section 4: what can be asked at all, and in which order."""

import pytest

from directory.index import Directory
from tests.unit.directory.asking import (
    SATURDAY_18,
    SUNDAY_NIGHT,
    TUESDAY_10,
    ask,
    asked,
    country,
    policy_with,
    region,
    region_with,
    rejections,
    slug,
    unit,
    ways,
)

# -- R3 subject, R4 order --


@pytest.mark.parametrize(
    ("asker", "requested", "subject", "expected"),
    [
        ("SI", "HR", "sis_alert", ["sirene hr-sirene", "siena hr-spoc", "i247 hr-ncb"]),
        ("ME", "RS", "e_evidence_preservation", ["network rs-htc", "siena rs-spoc", "i247 rs-ncb"]),
        ("DE", "MK", "e_evidence_preservation", ["network mk-cyber", "siena mk-spoc", "i247 mk-ncb"]),
        ("ME", "RS", "htc_expert", ["network rs-htc", "siena rs-spoc", "i247 rs-ncb"]),
        ("DE", "AT", "asset_tracing", ["siena at-aro", "siena at-spoc", "i247 at-ncb"]),
        ("DE", "RS", "asset_tracing", ["network rs-aro", "siena rs-spoc", "i247 rs-ncb"]),
        ("RS", "DE", "asset_tracing", ["network de-aro", "siena de-spoc", "i247 de-ncb"]),
        ("ME", "XK", "asset_tracing", ["network xk-aro", "siena xk-spoc", "mission xk-unmik-ilo"]),
        ("ME", "XK", "fiu", ["fiu xk-fiu", "siena xk-spoc", "mission xk-unmik-ilo"]),
        ("ME", "RS", "mla", ["ejn rs-ejn"]),
        ("ME", "RS", "interpol_db_hit", ["i247 rs-ncb", "siena rs-spoc", "selec rs-selec-nfp"]),
        ("ME", "RS", "wanted_worldwide", ["i247 rs-ncb", "siena rs-spoc", "selec rs-selec-nfp"]),
        ("ME", "RS", "selec_operation", ["selec rs-selec-nfp", "siena rs-spoc", "i247 rs-ncb"]),
        ("ME", "RS", "police_information", ["siena rs-spoc", "i247 rs-ncb", "selec rs-selec-nfp"]),
    ],
)
def test_the_subject_comes_first(asker, requested, subject, expected):
    assert ways(asked(asker, requested, subject=subject)) == expected


@pytest.mark.parametrize(
    ("asker", "requested", "subject", "channel", "rule"),
    [
        ("ME", "RS", "sis_alert", "sirene", "R1"),
        ("ME", "XK", "e_evidence_preservation", "network", "R3"),
        ("DE", "RS", "htc_expert", "network", "R3"),
        ("HR", "RS", "selec_operation", "selec", "R1"),
        ("ME", "RS", "mla", "siena", "R3"),
        ("ME", "RS", "mla", "bilateral", "R3"),
    ],
)
def test_a_subject_for_which_the_pair_is_not_made_is_rejected(asker, requested, subject, channel, rule):
    assert rejections(asked(asker, requested, subject=subject))[channel] == rule


def test_asset_recovery_of_the_eu_has_no_second_contact_where_siena_is_down():
    answer = asked("DE", "AT", subject="asset_tracing", outages="siena")
    assert ways(answer)[0] == "i247 at-ncb"
    assert [slug(each["unit"]) for each in answer["rejected"] if each["channel"] == "siena"] == ["at-aro", "at-spoc"]


def test_asset_tracing_goes_to_carin_where_the_state_has_no_recovery_office():
    directory = region_with({"AT:unit/at-aro": {"networks": ["CARIN"]}})
    assert ways(ask(directory, asker="DE", country="AT", at=TUESDAY_10, subject="asset_tracing"))[0] == "network at-aro"


@pytest.mark.parametrize(
    ("involves", "first"),
    [
        (["EG"], "i247"),
        ("TR", "i247"),
        ("UA", "siena"),
        ("CH,NO,US", "siena"),
        (["MK"], "siena"),
        (["UA", "EG"], "i247"),
        (["GR", "BG"], "siena"),  # the two sides are no third countries
        ([], "siena"),
    ],
)
def test_a_third_country_that_is_not_on_siena_brings_i247_forward(involves, first):
    assert ways(asked("GR", "BG", involves=involves))[0].split()[0] == first


def test_the_subjects_own_contact_stands_before_what_a_third_country_brings_forward():
    assert [way.split()[0] for way in ways(asked("SI", "HR", subject="sis_alert", involves="EG"))] == [
        "sirene",
        "i247",
        "siena",
    ]
    assert [way.split()[0] for way in ways(asked("ME", "RS", subject="selec_operation", involves="EG"))] == [
        "selec",
        "i247",
        "siena",
    ]


# -- R8 execution unit --


@pytest.mark.parametrize(
    ("requested", "location", "expected"),
    [
        ("RS", "xp-gostun-dobrakovo", "rs-bps-gostun"),
        ("RS", "xp-kelebija-tompa", "rs-rc-hu"),  # no station lists it
        ("HR", "xp-bregana-obrezje", "hr-pu-zg"),
        ("RS", "RS-07", "rs-pd-sremska-mitrovica"),  # a place is no crossing: the regional unit
        ("AL", "xp-tia-rinas", "al-rd-rinas"),
        ("RS", "xp-kula-kulle", None),
        ("RS", "RS-99", None),
        ("RS", None, None),
    ],
)
def test_the_execution_unit(requested, location, expected):
    answer = asked("ME", requested, location=location)
    assert slug(answer["execution_unit"]) == expected


def test_of_several_stations_the_one_with_the_smallest_area_executes():
    stations = [
        unit("qb-c", "border_station", area=["xp-kula-kulle", "QB-01"]),
        unit("qb-b", "border_station", area=["xp-kula-kulle"]),
        unit("qb-a", "regional", area=["xp-kula-kulle"]),
    ]
    directory = Directory.from_documents([country("QA"), country("QB", stations)])
    assert slug(ask(directory, asker="QA", country="QB", location="Kula")["execution_unit"]) == "qb-b"


def test_the_addressee_never_executes():
    gate = {
        "between": ["QA", "QB"],
        "replace": {"i247": "mission"},
        "addressees": {"QB": {"unit": "qb-a"}},
        "reason": "by treaty",
    }
    units = [unit("qb-a", "border_station", area=["xp-kula-kulle"]), unit("qb-b", "regional", area=["xp-kula-kulle"])]
    directory = Directory.from_documents([country("QA"), country("QB", units)])
    answer = ask(directory, policy_with(gates=[gate]), asker="QA", country="QB", location="Kula")
    assert ways(answer) == ["mission qb-a"]
    assert slug(answer["execution_unit"]) == "qb-b"


# -- R14 organisations --


def _of_organisation(code, at=TUESDAY_10, asker="RS", **fields):
    return ask(region(with_organisations=True), asker=asker, country=code, at=at, **fields)


@pytest.mark.parametrize(
    ("code", "asker", "fields", "expected"),
    [
        ("EUROPOL", "RS", {"crime_area": "migrant_smuggling"}, ["siena europol-emsc", "siena europol-oac"]),
        ("EUROPOL", "RS", {"crime_area": "drugs"}, ["siena europol-oac"]),
        ("EUROPOL", "TR", {"crime_area": "drugs"}, ["bilateral europol-oac"]),
        ("INTERPOL", "RS", {"crime_area": "thb"}, ["i247 interpol-thb", "i247 interpol-ccc"]),
        ("SELEC", "RS", {"crime_area": "drugs"}, ["selec selec-ocu"]),
        ("SELEC", "HR", {"crime_area": "drugs"}, ["bilateral selec-ocu"]),
        ("MARRI", "RS", {"crime_area": "thb"}, ["bilateral marri-border-network"]),
        ("FRONTEX", "RS", {"crime_area": "corruption"}, []),
        ("EUROPOL", "RS", {"classification": "SECRET"}, []),
        ("EUROPOL", "RS", {"subject": "mla"}, []),
        ("EUROPOL", "DE", {"crime_area": "drugs", "classification": "CONFIDENTIAL"}, ["siena europol-oac"]),
        ("EUROPOL", "RS", {"crime_area": "drugs", "classification": "CONFIDENTIAL"}, []),
        ("INTERPOL", "XK", {"crime_area": "thb"}, ["bilateral interpol-ccc"]),
    ],
)
def test_an_organisation_answers_through_its_own_units(code, asker, fields, expected):
    answer = _of_organisation(code, asker=asker, **fields)
    assert ways(answer) == expected
    assert answer["deadline"] is None
    assert answer["copy_to"] == []
    assert answer["execution_unit"] is None


def test_an_organisations_closed_specialist_drops_out_of_urgent_cases():
    answer = _of_organisation("EUROPOL", SUNDAY_NIGHT, crime_area="migrant_smuggling", urgency="urgent")
    assert ways(answer) == ["siena europol-oac"]
    removed = {slug(each["unit"]): each["rule"] for each in answer["rejected"]}
    assert removed == {"europol-emsc": "R6", "europol-ec3": "R14"}


def test_an_organisation_may_ask():
    answer = ask(region(with_organisations=True), asker="EUROPOL", country="RS", at=TUESDAY_10)
    assert ways(answer)[0] == "siena rs-spoc"


_NOBODY = {"asker": "HR", "country": "BA", "urgency": "urgent", "classification": "RESTRICTED", "outages": "BA:i247"}


def test_where_nobody_answers_interpols_centre_is_called_ahead():
    answer = ask(region(with_organisations=True), at=SATURDAY_18, **_NOBODY)
    assert ways(answer) == ["i247 interpol-ccc"]
    assert any("call-ahead" in reason for reason in answer["candidates"][0]["reasons"])
    assert answer["deadline"]["rule"] == "PT8H"
    assert answer["no_channel"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"urgency": "urgent", "outages": "i247"},  # the asker's own connection is down
        {"outages": "BA:i247,INTERPOL:i247"},
        {"classification": "SECRET", "country": "TR", "outages": ""},
        {"asker": "RS", "country": "XK", "outages": "", "classification": "RESTRICTED", "subject": "mla"},
        {"subject": "mla"},
        {"asker": "INTERPOL"},  # it need not be told to call itself
        {"asker": "ME", "country": "XK", "outages": "siena", "classification": "RESTRICTED"},  # no member
    ],
)
def test_there_is_no_call_ahead_otherwise(changes):
    assert ways(ask(region(with_organisations=True), at=SATURDAY_18, **{**_NOBODY, **changes})) == []


def test_a_routine_request_waits_instead_of_calling_ahead():
    answer = ask(region(with_organisations=True), at=SATURDAY_18, **{**_NOBODY, "urgency": "routine"})
    assert ways(answer) == ["siena ba-enu", "liaison ba-lo-europol"]


def test_without_a_centre_there_is_no_call_ahead():
    directory = region_with({"INTERPOL:unit/interpol-ccc": None}, with_organisations=True)
    assert ways(ask(directory, at=SATURDAY_18, **_NOBODY)) == []


@pytest.mark.parametrize("subject", ["wanted_worldwide", "selec_operation"])
def test_a_channel_that_a_pair_does_not_use_is_not_brought_forward(subject):
    rules = policy_with(channel_order={"default": ["siena"], "pairs": {"QA-QB": ["bilateral"]}})
    directory = Directory.from_documents([country("QA"), country("QB", [unit("qb-ops", "ops_centre")])])
    answer = ask(directory, rules, asker="QA", country="QB", subject=subject)
    assert ways(answer) == ["bilateral qb-ops"]
