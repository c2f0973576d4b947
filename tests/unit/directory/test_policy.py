"""The policy file: what it grants, what it refuses, and which files are refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.policy import carries, load_policy, lower, parse_policy
from directory.values import Participant, Unit
from directory.vocabulary import CLASSIFICATIONS
from tests.unit.directory.asking import OPEN_POLICY, ROOT, documents, policy, unit


def _participant(code, **members):
    data = {"country": code, "names": {"en": code}, "timezone": "Etc/UTC", "languages": ["en"], **members}
    return Participant.from_data(code, data)


@pytest.mark.parametrize("document", documents(with_organisations=True), ids=lambda document: document.participant)
def test_the_shipped_policy_grants_what_the_region_says_and_no_more(document):
    participant = Participant.from_data(document.participant, document.records["participant/self"])
    standing = policy().standing(participant)
    assert standing.without_effect == ()
    assert standing.memberships == participant.memberships
    assert standing.ceilings == participant.connections
    assert policy().caps[document.participant].ceilings == participant.connections


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"memberships": ["EU", "INTERPOL"]}, ["TR claims the membership EU, which the policy does not grant"]),
        (
            {"channels": {"siena": {"connected": True, "max": "RESTRICTED"}}},
            ["TR claims siena up to RESTRICTED, the policy grants none"],
        ),
        (
            {"channels": {"i247": {"connected": True, "max": "SECRET"}}},
            ["TR claims i247 up to SECRET, the policy grants RESTRICTED"],
        ),
        ({"channels": {"i247": {"connected": True, "max": "UNCLASSIFIED"}}}, []),  # less than granted is believed
        ({"channels": {"siena": {"connected": False, "max": "SECRET"}}}, []),
        ({"channels": {"pccc": {"connected": True, "max": "SECRET"}}}, []),  # needs no connection
        ({}, []),
    ],
)
def test_claims_beyond_the_policy_are_named(members, expected):
    standing = policy().standing(_participant("TR", **members))
    assert list(standing.without_effect) == expected
    assert set(standing.ceilings) <= {"i247"}


def test_the_lower_ceiling_counts():
    channels = {"i247": {"connected": True, "max": "UNCLASSIFIED"}}
    assert policy().standing(_participant("TR", channels=channels)).ceilings == {"i247": "UNCLASSIFIED"}


def test_a_connection_without_a_ceiling_carries_nothing_classified():
    participant = _participant("QB", channels={"siena": {"connected": True}})
    assert policy().standing(participant).ceilings == {"siena": "UNCLASSIFIED"}


def test_who_is_not_listed_is_as_he_claims():
    channels = {"siena": {"connected": True, "max": "SECRET"}, "pccc": {"connected": True, "max": "SECRET"}}
    standing = policy().standing(_participant("QB", memberships=["EU"], channels=channels))
    assert standing.memberships == {"EU"}
    assert standing.ceilings == {"siena": "SECRET"}


@pytest.mark.parametrize(
    ("asker", "requested", "expected"),
    [("RS", "XK", {"mission"}), ("XK", "RS", {"mission"}), ("ME", "XK", None), ("XK", "EUROPOL", None)],
)
def test_which_gate_stands_between_two(asker, requested, expected):
    gate = policy().pair_gate(asker, requested)
    assert gate is not None
    assert gate.only == expected
    assert gate.replace == {"i247": "mission"}


@pytest.mark.parametrize(("asker", "requested"), [("RS", "ME"), ("DE", "IT")])
def test_most_pairs_have_no_gate(asker, requested):
    assert policy().pair_gate(asker, requested) is None


@pytest.mark.parametrize("classification", ["UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL"])
def test_only_secret_sets_a_gate(classification):
    assert policy().classification_gate(classification) is None
    assert policy().classification_gate("SECRET").only == {"liaison"}


def test_a_pair_may_have_an_order_of_its_own():
    rules = parse_policy(
        {**OPEN_POLICY, "channel_order": {"default": ["siena"], "pairs": {"ME-RS": ["bilateral", "siena"]}}}
    )
    assert rules.order("RS", "ME") == rules.order("ME", "RS") == ("bilateral", "siena")
    assert rules.order("ME", "HR") == ("siena",)


@pytest.mark.parametrize(
    ("channel", "channels", "expected"),
    [
        ("liaison", ["liaison"], "SECRET"),
        ("mission", ["mission"], "RESTRICTED"),
        ("fiu", ["fiu"], "RESTRICTED"),
        ("bilateral", ["bilateral", "siena"], "UNCLASSIFIED"),
        ("network", ["network"], "UNCLASSIFIED"),
        ("ejn", ["ejn"], "UNCLASSIFIED"),
        ("pccc", ["pccc"], "UNCLASSIFIED"),
        ("pccc", ["pccc", "siena"], "RESTRICTED"),
    ],
)
def test_fixed_ceilings(channel, channels, expected):
    desk = Unit.from_data("QB", "qb-a", unit("qb-a", "pccc", channels=channels))
    assert policy().fixed_ceiling(channel, desk) == expected


@given(st.sampled_from(CLASSIFICATIONS), st.sampled_from(CLASSIFICATIONS), st.sampled_from(CLASSIFICATIONS))
def test_two_ceilings_carry_what_both_carry(first, second, classification):
    both = carries(first, classification) and carries(second, classification)
    assert carries(lower(first, second), classification) is both


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        ({"participants": None}, ["/participants"]),
        ({"gates": {}, "ceilings": []}, ["/ceilings", "/gates"]),
        ({"channel_order": {}}, ["/channel_order/default"]),
        ({"participants": {"RS": {"memberships": "EU", "channels": {}}}}, ["/participants/RS"]),
        ({"participants": {"RS": []}}, ["/participants/RS"]),
        (
            {"participants": {"RS": {"memberships": [], "channels": {"siena": "TOP"}}}},
            ["/participants/RS/channels/siena"],
        ),
        ({"ceilings": {**OPEN_POLICY["ceilings"], "fiu": "LOW"}}, ["/ceilings/fiu"]),
        ({"connections": ["siena", "i247", "sirene"]}, ["/ceilings"]),
        ({"channel_order": {"default": ["mission"]}}, ["/channel_order/default"]),
        ({"channel_order": {"default": [], "pairs": {"ME-RS": ["post"]}}}, ["/channel_order/ME-RS"]),
        ({"unlisted": "refused"}, ["/unlisted"]),
        ({"gates": [{"between": ["RS"], "only": [], "reason": "x"}]}, ["/gates/0"]),
        ({"gates": [{"between": ["RS", "XK"], "only": []}]}, ["/gates/0"]),
        ({"gates": [{"classification": "TOP", "only": [], "reason": "x"}]}, ["/gates/0"]),
        ({"gates": ["RS-XK", {"between": ["RS", "XK"], "reason": "x"}]}, ["/gates/0", "/gates/1"]),
    ],
)
def test_a_broken_policy_is_refused_with_every_fault(changes, places):
    with pytest.raises(InvalidInputError) as caught:
        parse_policy({**OPEN_POLICY, **changes})
    assert [fault.place for fault in caught.value.faults] == places


@pytest.mark.parametrize("document", [None, [], "policy", 1])
def test_what_is_no_object_is_refused(document):
    with pytest.raises(InvalidInputError):
        parse_policy(document)


def test_a_policy_without_call_ahead_is_one():
    without = {name: value for name, value in OPEN_POLICY.items() if name != "call_ahead"}
    assert parse_policy(without).call_ahead is None


def test_a_file_of_the_operator_is_read(tmp_path):
    path = tmp_path / "policy.json"
    path.write_text(json.dumps(OPEN_POLICY))
    assert load_policy(path).gates == ()
    assert load_policy().gates == load_policy(ROOT / "directory/data/policy.json").gates


@pytest.mark.parametrize("text", ["{", "", "\xff"])
def test_a_file_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "policy.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInputError, match="policy file in JSON"):
        load_policy(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="policy file"):
        load_policy(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("code", "connected"),
    [("HR", True), ("XK", True), ("TR", False), ("UA", True), ("EG", False), ("EUROPOL", True), ("MARRI", False)],
)
def test_who_is_on_siena_without_being_in_the_directory(code, connected):
    assert policy().is_on_siena(code) is connected
