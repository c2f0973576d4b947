"""Rules R1 (availability) and R2 (gates) of directory.md, section 4."""

import pytest

from directory.index import Directory
from directory.vocabulary import SUBJECTS
from tests.unit.directory.asking import (
    SATURDAY_18,
    SUNDAY_NIGHT,
    TUESDAY_10,
    ask,
    asked,
    country,
    policy_with,
    region_with,
    rejections,
    unit,
    ways,
)

# -- R1 availability --


@pytest.mark.parametrize(
    ("fields", "channel", "reason"),
    [
        ({"asker": "ME", "country": "TR"}, "siena", "TR is not connected to siena"),
        ({"asker": "TR", "country": "ME"}, "siena", "TR is not connected to siena"),
        ({"asker": "HR", "country": "RS"}, "selec", "HR is not connected to selec"),
        ({"asker": "ME", "country": "RS", "outages": ["RS:siena"]}, "siena", "siena is down in RS"),
        ({"asker": "ME", "country": "RS", "outages": ["ME:i247"]}, "i247", "i247 is down in ME"),
        ({"asker": "ME", "country": "RS", "outages": "siena"}, "siena", "siena is down in ME"),
        ({"asker": "ME", "country": "RS", "outage": "RS:bilateral"}, "bilateral", "bilateral is down in RS"),
        (
            {"asker": "DE", "country": "IT", "classification": "CONFIDENTIAL"},
            "i247",
            "i247 carries up to RESTRICTED here, the request is CONFIDENTIAL",
        ),
        (
            {"asker": "DE", "country": "RS", "classification": "CONFIDENTIAL"},
            "siena",
            "siena carries up to RESTRICTED here, the request is CONFIDENTIAL",
        ),
        (
            {"asker": "ME", "country": "RS", "classification": "RESTRICTED"},
            "bilateral",
            "bilateral carries up to UNCLASSIFIED here, the request is RESTRICTED",
        ),
    ],
)
def test_a_channel_that_is_not_available_is_rejected(fields, channel, reason):
    answer = ask(at=TUESDAY_10, **fields)
    assert channel not in [each["channel"] for each in answer["candidates"]]
    assert [each["reason"] for each in answer["rejected"] if each["channel"] == channel] == [reason]
    assert rejections(answer)[channel] == "R1"


def test_an_outage_elsewhere_changes_nothing():
    assert ways(asked("ME", "RS", outages=["HR:siena"])) == ways(asked("ME", "RS"))


def test_a_published_outage_counts_while_it_lasts():
    directory = region_with(
        {"RS:outage/o1": {"channel": "siena", "from": "2027-02-09T08:00:00Z", "to": "2027-02-09T12:00:00Z"}}
    )
    during = ask(directory, asker="ME", country="RS", at=TUESDAY_10)
    after = ask(directory, asker="ME", country="RS", at="2027-02-09T12:00:00Z")
    assert rejections(during)["siena"] == "R1"
    assert "siena rs-spoc" in ways(after)


@pytest.mark.parametrize(
    ("asker", "requested", "location", "expected"),
    [
        ("SI", "HR", "xp-bregana-obrezje", "pccc hr-pccc-dolga-vas"),  # a desk that has siena
        ("ME", "RS", "xp-gostun-dobrakovo", None),  # one that has not
    ],
)
def test_a_common_centre_carries_restricted_only_where_its_desk_has_siena(asker, requested, location, expected):
    answer = asked(asker, requested, location=location, crime_area="vehicle_crime", classification="RESTRICTED")
    assert (expected in ways(answer)) if expected else (rejections(answer)["pccc"] == "R1")


def test_claims_beyond_the_policy_have_no_effect_and_are_shown():
    claims = {"siena": {"connected": True, "max": "CONFIDENTIAL"}, "i247": {"connected": True, "max": "RESTRICTED"}}
    directory = region_with({"TR:participant/self": {"channels": claims, "memberships": ["EU", "INTERPOL"]}})
    answer = ask(directory, asker="DE", country="TR", at=TUESDAY_10, crime_area="drugs")
    assert rejections(answer)["siena"] == "R1"
    assert answer["europol_copy_assessment"] is False
    assert answer["notes"] == [
        "TR claims the membership EU, which the policy does not grant",
        "TR claims siena up to CONFIDENTIAL, the policy grants none",
    ]


def test_who_is_not_in_the_policy_is_as_he_claims():
    directory = Directory.from_documents([country("QA"), country("QB", [unit("qb-ncb", "ncb", channels=["i247"])])])
    assert ways(ask(directory, asker="QA", country="QB")) == ["i247 qb-ncb"]


# -- R2 gates --


@pytest.mark.parametrize("subject", sorted(SUBJECTS - {"mla"}))
@pytest.mark.parametrize(("asker", "requested", "expected"), [("RS", "XK", "xk-eulex-ipcu"), ("XK", "RS", "rs-spoc")])
def test_between_serbia_and_kosovo_only_the_mission(asker, requested, expected, subject):
    answer = asked(asker, requested, SUNDAY_NIGHT, urgency="urgent", subject=subject, location="xp-merdare")
    assert ways(answer) == [f"mission {expected}"]
    assert set(rejections(answer).values()) == {"R2"}


@pytest.mark.parametrize(
    ("asker", "requested", "expected"),
    [("ME", "XK", "xk-unmik-ilo"), ("XK", "ME", "me-ncb"), ("DE", "XK", "xk-unmik-ilo"), ("XK", "TR", "tr-ncb")],
)
def test_with_kosovo_the_mission_stands_in_the_place_of_i247(asker, requested, expected):
    answer = asked(asker, requested, subject="wanted_worldwide")
    assert ways(answer)[0] == f"mission {expected}"
    assert "i247" not in {each["channel"] for each in answer["candidates"] + answer["rejected"]}


def test_the_mission_keeps_the_place_of_i247_in_the_order():
    assert [way.split()[0] for way in ways(asked("ME", "XK"))] == ["siena", "mission", "liaison"]


def test_the_mission_needs_no_connection_and_carries_restricted():
    down = asked("XK", "ME", outages="i247", classification="RESTRICTED")
    assert "mission me-ncb" in ways(down)
    assert rejections(asked("XK", "ME", classification="CONFIDENTIAL"))["mission"] == "R1"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"asker": "ME", "country": "RS"}, ["liaison rs-lo-europol"]),
        ({"asker": "RS", "country": "DE"}, ["liaison de-lo-rs"]),
        ({"asker": "ME", "country": "TR"}, ["liaison tr-lo-selec"]),
        ({"asker": "DE", "country": "IT", "subject": "sis_alert"}, ["liaison it-lo-europol"]),
        ({"asker": "XK", "country": "RS"}, []),
        ({"asker": "RS", "country": "XK"}, []),
        ({"asker": "HR", "country": "TR"}, []),
        ({"asker": "HR", "country": "RS", "subject": "mla"}, []),
    ],
)
def test_secret_travels_by_liaison_officer_only_and_keeps_a_closed_one(fields, expected):
    answer = ask(classification="SECRET", urgency="urgent", at=SATURDAY_18, **fields)
    assert ways(answer) == expected
    assert [each["open"] for each in answer["candidates"]] == [False] * len(expected)
    assert all(
        each["next_opening"] == "2027-02-22T07:00:00Z" for each in answer["candidates"][:1] if "tr" not in each["unit"]
    )


@pytest.mark.parametrize(("asker", "requested"), [("RS", "XK"), ("XK", "RS"), ("ME", "XK")])
def test_judicial_cooperation_with_kosovo_reaches_nobody(asker, requested):
    answer = asked(asker, requested, subject="mla")
    assert ways(answer) == []
    assert answer["no_channel"]["rule"] == "R13"
    assert answer["deadline"] is None


def test_a_gate_that_names_nobody_there_is_rejected():
    directory = region_with({"XK:unit/xk-eulex-ipcu": None})
    answer = ask(directory, asker="RS", country="XK", at=TUESDAY_10)
    assert ways(answer) == []
    assert rejections(answer)["mission"] == "R5"


def test_a_gate_whose_addressees_do_not_name_the_requested_state_reaches_nobody():
    gate = {
        "between": ["QA", "QB"],
        "replace": {"i247": "mission"},
        "addressees": {"QA": {"kind": "ncb"}},
        "reason": "x",
    }
    directory = Directory.from_documents([country("QA"), country("QB", [unit("qb-ncb", "ncb")])])
    answer = ask(directory, policy_with(gates=[gate]), asker="QA", country="QB")
    assert rejections(answer)["mission"] == "R5"
    assert ways(answer) == []
