"""The rules for the objects inside records; every fault is named with its place."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import part_rules
from directory.errors import InvalidInputError
from tests.named_faults import faults_of, refused_places

NOT_OBJECTS = [None, "text", 3, True, [], ["siena"]]
OBJECT_RULES = [
    part_rules.names,
    part_rules.addresses,
    part_rules.endpoints,
    part_rules.connections,
    part_rules.designated,
]


@pytest.mark.parametrize("rule", OBJECT_RULES)
@pytest.mark.parametrize("value", NOT_OBJECTS)
def test_other_json_types_are_refused(rule: Any, value: object) -> None:
    assert refused_places(lambda: rule(value)) == [""]


@pytest.mark.parametrize(
    ("tag", "valid"),
    [
        ("en", True),
        ("sr-Latn", True),
        ("cnr", True),
        ("sr-Latn-RS", True),
        ("sr-latn", True),
        ("es-419", True),
        ("de-CH-1996", True),
        ("sl-rozaj", True),
        ("", False),
        ("english", False),
        ("sr_Latn", False),
        ("e", False),
        ("sr-", False),
        ("-en", False),
        ("en\n", False),
        ("сп", False),
        (7, False),
    ],
)
def test_language_tags(tag: object, valid: bool) -> None:
    assert part_rules.is_language_tag(tag) is valid


@pytest.mark.parametrize("value", [{"en": "Police"}, {"sr": "Полиција", "sr-Latn": "Policija"}])
def test_names_by_language_pass(value: dict[str, str]) -> None:
    assert part_rules.names(value) == value


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ({}, [""]),
        ({"en": ""}, ["/en"]),
        ({"en": None, "sr": "x", "mk": 3, "sq": "y" * 301}, ["/en", "/mk", "/sq"]),
        ({"English": "Police"}, ["/English"]),
        ({"a/b~c": ""}, ["/a~1b~0c", "/a~1b~0c"]),
        ({"en": {"en": "x"}}, ["/en"]),
    ],
)
def test_bad_names_are_refused(value: object, places: list[str]) -> None:
    assert refused_places(lambda: part_rules.names(value)) == places


def test_endpoints_are_kept_with_phone_numbers_in_normal_form() -> None:
    given_endpoints = {
        "phone": "+382 20 123 456",
        "email": "desk@me.spoc.example",
        "address": {"siena": "ME-SPOC", "i247": "IP PODGORICA"},
        "radio": {"band": 4},
        "web": "https://spoc.example/me",
    }
    assert part_rules.endpoints(given_endpoints) == {**given_endpoints, "phone": "+38220123456"}
    assert part_rules.endpoints({}) == {}


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ({"phone": "112"}, ["/phone"]),
        ({"phone": None, "email": 3}, ["/phone", "/email"]),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, ["/email"]),
        ({"address": "ME-SPOC"}, ["/address"]),
        ({"address": {"telex": "1", "siena": ""}}, ["/address/telex", "/address/siena"]),
        ({"address": {"siena": "javascript:alert(1)"}}, ["/address/siena"]),
        ({"url": "http://169.254.169.254/"}, ["/url"]),
        ({"contact": "data:text/html,<script>"}, ["/contact"]),
    ],
)
def test_bad_endpoints_are_refused(value: object, places: list[str]) -> None:
    assert refused_places(lambda: part_rules.endpoints(value)) == places


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"siena": {"connected": True, "max": "CONFIDENTIAL"}},
        {"sirene": {"connected": False}, "selec": {"connected": False, "max": "RESTRICTED"}},
        {"siena": {"connected": False, "substitute": "liaison officer", "since": 2027}},
        {"siena": {"connected": False, "substitute": None}},
    ],
)
def test_connections_pass(value: dict[str, Any]) -> None:
    assert part_rules.connections(value) == value


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ({"telex": {"connected": False}}, ["/telex"]),
        ({"siena": True}, ["/siena"]),
        ({"siena": {}}, ["/siena/connected"]),
        ({"siena": {"connected": "yes", "max": "secret"}}, ["/siena/connected", "/siena/max"]),
        ({"siena": {"connected": True}}, ["/siena/max"]),
        ({"siena": {"connected": False, "max": None}}, ["/siena/max"]),
        ({"siena": {"connected": False, "substitute": ""}}, ["/siena/substitute"]),
        ({"x/y": {"connected": 1, "max": []}}, ["/x~1y", "/x~1y/connected", "/x~1y/max"]),
    ],
)
def test_bad_connections_are_refused(value: object, places: list[str]) -> None:
    assert refused_places(lambda: part_rules.connections(value)) == places


@pytest.mark.parametrize(
    "value",
    [
        {"from": "2026-01-01"},
        {"from": "2026-01-01", "to": None},
        {"from": "2026-01-01", "to": "2026-01-02"},
        {"from": "2026-01-01T00:00:00Z", "to": "2026-01-02", "by": "decree"},
    ],
)
def test_designations_pass(value: dict[str, Any]) -> None:
    assert part_rules.designated(value) == value


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ({}, ["/from"]),
        ({"from": None}, ["/from"]),
        ({"from": "soon", "to": "later"}, ["/from", "/to"]),
        ({"from": "2026-01-02", "to": "2026-01-01"}, ["/to"]),
        ({"from": "2026-01-01", "to": "2026-01-01T00:00:00Z"}, ["/to"]),
        ({"from": "2026-01-01", "to": 5}, ["/to"]),
    ],
)
def test_bad_designations_are_refused(value: object, places: list[str]) -> None:
    assert refused_places(lambda: part_rules.designated(value)) == places


DEFAULT_STEPS = [
    {"after": 0, "notify": ["on_duty"]},
    {"after": 15, "notify": ["next", "fallback"]},
    {"after": 30, "notify": ["spoc"]},
    {"after": 60, "notify": ["asker"]},
]


@pytest.mark.parametrize(
    "value",
    [
        DEFAULT_STEPS,
        [{"after": 0, "notify": ["member/duty-1", "unit/me-ops"]}],
        [{"after": 5, "notify": ["on_duty"]}, {"after": 5, "notify": ["spoc"], "by": "pager"}],
    ],
)
def test_escalations_pass(value: list[Any]) -> None:
    assert part_rules.escalation(value) == value


@pytest.mark.parametrize(
    ("value", "places"),
    [
        (None, [""]),
        ({}, [""]),
        ([], [""]),
        (["on_duty"], ["/0"]),
        ([{}], ["/0/after", "/0/notify"]),
        ([{"after": -1, "notify": ["on_duty"]}], ["/0/after"]),
        ([{"after": True, "notify": ["on_duty"]}], ["/0/after"]),
        ([{"after": 1.5, "notify": ["on_duty"]}], ["/0/after"]),
        ([{"after": "15", "notify": ["on_duty"]}], ["/0/after"]),
        ([{"after": 10**9, "notify": ["on_duty"]}], ["/0/after"]),
        ([{"after": 0, "notify": []}], ["/0/notify"]),
        ([{"after": 0, "notify": "on_duty"}], ["/0/notify"]),
        ([{"after": 0, "notify": ["boss", None, "rota/x", "member/", "unit/X"]}], [f"/0/notify/{n}" for n in range(5)]),
        ([{"after": 30, "notify": ["spoc"]}, {"after": 15, "notify": ["next"]}], ["/1/after"]),
        (
            [{"after": 30, "notify": ["spoc"]}, 7, {"after": 15, "notify": ["x"]}, {"after": 16, "notify": ["next"]}],
            ["/1", "/2/notify/0", "/2/after"],
        ),
    ],
)
def test_bad_escalations_are_refused(value: object, places: list[str]) -> None:
    assert refused_places(lambda: part_rules.escalation(value)) == places


def test_a_step_back_in_time_says_what_it_must_not_go_below() -> None:
    steps = [*DEFAULT_STEPS, {"after": 59, "notify": ["spoc"]}]
    with pytest.raises(
        InvalidInputError, match=r"/4/after: expected no less than the 60 of the step before \(found 59\)"
    ):
        part_rules.escalation(steps)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["siena", "after", "notify", "from", "to", "en", "phone"]), inner, max_size=3)
    ),
)


@pytest.mark.parametrize("rule", [*OBJECT_RULES, part_rules.escalation])
@given(value=json_values)
def test_any_json_is_accepted_as_it_is_or_refused_with_faults(rule: Any, value: object) -> None:
    faults = faults_of(lambda: rule(value))
    if faults:
        assert all(fault.expected.startswith("expected ") for fault in faults)
    else:
        assert rule(value) == value
