"""References between the records of one participant."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.references import circular_parents, missing_references, references_of
from tests.records import make_agency, make_layer, make_member, make_outage, make_participant, make_rota, make_unit

GOOD: dict[str, dict[str, Any]] = {
    "participant/self": make_participant(),
    "agency/police": make_agency(),
    "unit/spoc": make_unit(agency="police", parent=None, rota="spoc-rota"),
    "unit/desk": make_unit(
        parent="spoc",
        escalation=[{"after": 0, "notify": ["on_duty", "member/duty-1"]}, {"after": 5, "notify": ["unit/spoc"]}],
    ),
    "member/duty-1": make_member(unit="spoc"),
    "member/duty-2": make_member(unit=None),
    "rota/spoc-rota": make_rota(),
    "outage/x": make_outage(),
}


def _faults(records: dict[str, dict[str, Any]], *known: set[str]) -> list[tuple[str, str]]:
    return [
        (record, fault.place)
        for record, data in records.items()
        for fault in missing_references(record, data, records, *known)
    ]


def test_references_that_are_met_are_no_faults() -> None:
    assert _faults(GOOD) == []


@pytest.mark.parametrize(
    ("removed", "faults"),
    [
        ("agency/police", [("unit/spoc", "/agency")]),
        (
            "unit/spoc",
            [
                ("unit/desk", "/parent"),
                ("unit/desk", "/escalation/1/notify/0"),
                ("member/duty-1", "/unit"),
                ("rota/spoc-rota", "/unit"),
            ],
        ),
        ("rota/spoc-rota", [("unit/spoc", "/rota")]),
        ("member/duty-1", [("unit/desk", "/escalation/0/notify/1"), ("rota/spoc-rota", "/layers/0/members/0")]),
        ("member/duty-2", [("rota/spoc-rota", "/layers/0/members/1")]),
        ("unit/desk", []),
        ("participant/self", []),
    ],
)
def test_a_missing_record_is_named_wherever_it_is_referred_to(removed: str, faults: list[tuple[str, str]]) -> None:
    rest = {record: data for record, data in GOOD.items() if record != removed}
    assert _faults(rest) == faults
    assert _faults(rest, set(), {removed}) == []


def test_overrides_refer_to_members() -> None:
    override = {"start": "2026-11-21T00:00:00Z", "end": "2026-11-22T00:00:00Z", "member": "a", "replaces": "b"}
    rota = make_rota(layers=[make_layer(members=[])], overrides=[{**override, "replaces": None}, override])
    assert [*references_of("rota/x", rota)] == [
        ("/unit", "unit/spoc"),
        ("/overrides/0/member", "member/a"),
        ("/overrides/1/member", "member/a"),
        ("/overrides/1/replaces", "member/b"),
    ]


def test_the_fault_says_which_record_is_missing() -> None:
    [fault] = missing_references("unit/a", make_unit(agency="nobody"))
    assert (fault.found, fault.expected) == ("nobody", "expected a record agency/nobody, which is not there")


def _units(parents: dict[str, str | None]) -> dict[str, dict[str, Any]]:
    return {f"unit/{unit}": make_unit(parent=parent) for unit, parent in parents.items()}


@pytest.mark.parametrize(
    ("parents", "circles"),
    [
        ({"a": None, "b": "a", "c": "b", "d": "b"}, []),
        ({"a": "a"}, ["unit/a -> unit/a"]),
        ({"b": "a", "a": "b"}, ["unit/a -> unit/b -> unit/a"]),
        ({"c": "b", "b": "a", "a": "c", "d": "c", "e": None}, ["unit/a -> unit/c -> unit/b -> unit/a"]),
        ({"a": "b", "b": "a", "x": "y", "y": "x"}, ["unit/a -> unit/b -> unit/a", "unit/x -> unit/y -> unit/x"]),
    ],
)
def test_circles_of_parents_are_named_once(parents: dict[str, str | None], circles: list[str]) -> None:
    faults = [fault for _, fault in circular_parents(_units(parents))]
    assert [fault.expected for fault in faults] == [f"expected parents without a circle, not {way}" for way in circles]
    assert all(fault.place == "/parent" for fault in faults)


@given(st.dictionaries(st.sampled_from("abcdefg"), st.none() | st.sampled_from("abcdefg")))
def test_a_circle_is_found_exactly_where_parents_never_end(parents: dict[str, str | None]) -> None:
    def ends(unit: str | None) -> bool:
        for _ in range(len(parents) + 1):
            unit = parents.get(unit) if unit is not None else None
        return unit is None

    circles = [*circular_parents(_units(parents))]
    assert bool(circles) == (not all(ends(unit) for unit in parents))


def test_a_long_chain_of_parents_is_no_burden() -> None:
    parents: dict[str, str | None] = {f"u{number}": f"u{number + 1}" for number in range(20_000)}
    assert [*circular_parents(_units(parents))] == []


@pytest.mark.parametrize(
    ("record", "data", "places"),
    [
        ("unit/a", {"agency": ["police"], "parent": 5, "rota": "No Slug"}, []),
        ("unit/a", {"parent": "gone", "hours": "always"}, ["/parent"]),
        ("unit/a", {"escalation": "soon"}, []),
        ("unit/a", {"escalation": [5, {"notify": "spoc"}]}, []),
        ("unit/a", {"escalation": [{"notify": [5, "unit/", "spoc/x", "unit/gone"]}]}, ["/escalation/0/notify/3"]),
        ("member/a", {"unit": {}}, []),
        ("rota/a", {"unit": "gone", "layers": 5, "overrides": [None]}, ["/unit"]),
        ("rota/a", {"layers": [7, {"members": "duty-1"}, {"members": [None, "gone"]}]}, ["/layers/2/members/1"]),
        ("rota/a", {"layers": [], "overrides": [{"member": 1, "replaces": "gone"}]}, ["/overrides/0/replaces"]),
        ("spaceship/a", {"unit": "gone"}, []),
    ],
)
def test_a_record_that_breaks_other_rules_is_searched_as_well(
    record: str, data: dict[str, Any], places: list[str]
) -> None:
    assert [fault.place for fault in missing_references(record, data, {"member/duty-1"})] == places


def test_a_parent_that_is_no_text_ends_the_way() -> None:
    assert [*circular_parents({"unit/a": {"parent": "b"}, "unit/b": {"parent": ["a"]}})] == []
