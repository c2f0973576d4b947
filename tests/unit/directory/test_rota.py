"""Reading rotas: everything that is wrong is said at once, with its place and what was expected."""

import contextlib
import copy
import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.rota import Layer, Override, OverrideTimeline, Restriction, Rota, double_replacements, parse_rota

UTC = dt.UTC
DOCUMENT = {
    "unit": "me-spoc",
    "name": "Night desk",
    "time_zone": "Europe/Podgorica",
    "layers": [
        {
            "name": "night",
            "members": ["m1", "m2"],
            "start": "2026-01-05T08:00",
            "rotation": {"every": 12, "unit": "hours"},
            "restrictions": [{"weekdays": ["fri", "sat"], "start": "20:00", "end": "08:00"}],
        }
    ],
    "overrides": [
        {
            "start": "2026-01-07T18:00:00+01:00",
            "end": "2026-01-08T07:00:00Z",
            "member": "m3",
            "replaces": "m1",
            "reason": "leave",
        }
    ],
}


def changed(path, value):
    """The document with one part replaced, or left out where the value is `...`."""
    document = copy.deepcopy(DOCUMENT)
    *parents, last = path
    part = document
    for step in parents:
        part = part[step]
    if value is ...:
        del part[last]
    else:
        part[last] = value
    return document


def faults_of(document):
    with pytest.raises(InvalidInputError) as refusal:
        parse_rota(document)
    return refusal.value.faults


def test_a_whole_rota_is_read():
    assert parse_rota(DOCUMENT) == Rota(
        time_zone="Europe/Podgorica",
        layers=(
            Layer(
                name="night",
                members=("m1", "m2"),
                start=dt.datetime(2026, 1, 5, 8),
                every=12,
                unit="hours",
                restrictions=(Restriction(frozenset({4, 5}), dt.time(20), dt.time(8)),),
            ),
        ),
        overrides=(
            Override(
                dt.datetime(2026, 1, 7, 17, tzinfo=UTC), dt.datetime(2026, 1, 8, 7, tzinfo=UTC), "m3", "m1", "leave"
            ),
        ),
        unit="me-spoc",
        name="Night desk",
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["unit"], ...),
        (["name"], ...),
        (["name"], None),
        (["overrides"], ...),
        (["overrides"], []),
        (["layers"], []),
        (["layers", 0, "name"], ...),
        (["layers", 0, "members"], []),
        (["layers", 0, "members"], ["m1", "m1", "m2"]),
        (["layers", 0, "restrictions"], ...),
        (["layers", 0, "restrictions"], []),
        (["layers", 0, "start"], "2026-01-05T08:00:30"),
        (["layers", 0, "start"], "2026-03-29T02:30"),
        (["layers", 0, "rotation", "every"], 1),
        (["layers", 0, "restrictions", 0, "end"], "20:00"),
        (["overrides", 0, "replaces"], ...),
        (["overrides", 0, "replaces"], None),
        (["overrides", 0, "reason"], ...),
        (["overrides", 0, "reason"], None),
        (["overrides", 0, "start"], "2026-01-07T18:00Z"),
        (["a_newer_member"], {"kept": "by those who store it"}),
        (["layers", 0, "a_newer_member"], 1),
    ],
)
def test_optional_parts_and_unknown_members_are_accepted(path, value):
    assert parse_rota(changed(path, value)).time_zone == "Europe/Podgorica"


@pytest.mark.parametrize(
    ("path", "value", "place", "expected"),
    [
        (["time_zone"], ..., "/time_zone", "IANA"),
        (["time_zone"], "Mars/X", "/time_zone", "IANA"),
        (["time_zone"], "../../etc/passwd", "/time_zone", "IANA"),
        (["time_zone"], 1, "/time_zone", "IANA"),
        (["time_zone"], ["Europe/Belgrade"], "/time_zone", "IANA"),
        (["unit"], 7, "/unit", "a text"),
        (["name"], "n" * 201, "/name", "200 characters"),
        (["layers"], ..., "/layers", "a list of layers"),
        (["layers"], None, "/layers", "a list of layers"),
        (["layers"], {"0": {}}, "/layers", "a list of layers"),
        (["layers", 0], "night", "/layers/0", "an object with members"),
        (["layers", 0, "name"], ["night"], "/layers/0/name", "a text"),
        (["layers", 0, "members"], ..., "/layers/0/members", "a list of member ids"),
        (["layers", 0, "members"], "m1", "/layers/0/members", "a list of member ids"),
        (["layers", 0, "members", 1], "", "/layers/0/members/1", "id of a member"),
        (["layers", 0, "members", 1], None, "/layers/0/members/1", "id of a member"),
        (["layers", 0, "start"], ..., "/layers/0/start", "without an offset"),
        (["layers", 0, "start"], "2026-01-05T08:00Z", "/layers/0/start", "without an offset"),
        (["layers", 0, "start"], "2026-01-05T08:00+01:00", "/layers/0/start", "without an offset"),
        (["layers", 0, "start"], "2026-01-05", "/layers/0/start", "without an offset"),
        (["layers", 0, "start"], "2026-02-30T08:00", "/layers/0/start", "on the calendar"),
        (["layers", 0, "start"], "2026-01-05T24:00", "/layers/0/start", "on the calendar"),
        (["layers", 0, "start"], "9999-01-05T08:00", "/layers/0/start", "1900 to 2200"),
        (["layers", 0, "start"], "1899-12-31T08:00", "/layers/0/start", "1900 to 2200"),
        (["layers", 0, "rotation"], ..., "/layers/0/rotation", "every and unit"),
        (["layers", 0, "rotation", "unit"], "months", "/layers/0/rotation/unit", "hours, days or weeks"),
        (["layers", 0, "rotation", "unit"], ["hours"], "/layers/0/rotation/unit", "hours, days or weeks"),
        (["layers", 0, "rotation", "every"], 0, "/layers/0/rotation/every", "from 1 to 87840"),
        (["layers", 0, "rotation", "every"], -1, "/layers/0/rotation/every", "from 1"),
        (["layers", 0, "rotation", "every"], 10**9, "/layers/0/rotation/every", "from 1"),
        (["layers", 0, "rotation", "every"], True, "/layers/0/rotation/every", "whole number"),
        (["layers", 0, "rotation", "every"], 1.5, "/layers/0/rotation/every", "whole number"),
        (["layers", 0, "rotation", "every"], "12", "/layers/0/rotation/every", "whole number"),
        (["layers", 0, "restrictions"], {}, "/layers/0/restrictions", "a list of restrictions"),
        (["layers", 0, "restrictions", 0], None, "/layers/0/restrictions/0", "an object with weekdays"),
        (["layers", 0, "restrictions", 0, "weekdays"], ..., "/layers/0/restrictions/0/weekdays", "weekdays"),
        (["layers", 0, "restrictions", 0, "weekdays"], [], "/layers/0/restrictions/0/weekdays", "at least one of mon"),
        (["layers", 0, "restrictions", 0, "weekdays"], ["Fri"], "/layers/0/restrictions/0/weekdays", "mon, tue"),
        (["layers", 0, "restrictions", 0, "weekdays"], [4], "/layers/0/restrictions/0/weekdays", "mon, tue"),
        (["layers", 0, "restrictions", 0, "start"], "8:00", "/layers/0/restrictions/0/start", "00:00 to 23:59"),
        (["layers", 0, "restrictions", 0, "end"], "24:00", "/layers/0/restrictions/0/end", "00:00 to 23:59"),
        (["layers", 0, "restrictions", 0, "end"], 8, "/layers/0/restrictions/0/end", "00:00 to 23:59"),
        (["overrides"], None, "/overrides", "a list of overrides"),
        (["overrides", 0], 5, "/overrides/0", "an object with start, end and member"),
        (["overrides", 0, "member"], ..., "/overrides/0/member", "id of a member"),
        (["overrides", 0, "member"], None, "/overrides/0/member", "id of a member"),
        (["overrides", 0, "replaces"], 1, "/overrides/0/replaces", "id of a member"),
        (["overrides", 0, "reason"], "his mother is ill", "/overrides/0/reason", "leave, training, duty, swap, other"),
        (["overrides", 0, "start"], "2026-01-07T18:00:00", "/overrides/0/start", "an instant"),
        (["overrides", 0, "start"], "1800-01-07T18:00:00Z", "/overrides/0/start", "1900 to 2200"),
        (["overrides", 0, "end"], ..., "/overrides/0/end", "an instant"),
        (["overrides", 0, "end"], "2026-01-07T17:00:00Z", "/overrides/0/end", "after the start, 2026-01-07T17:00:00Z"),
        (["overrides", 0, "end"], "2026-01-01T00:00:00Z", "/overrides/0/end", "after the start"),
        (["overrides", 0, "end"], "9999-12-31T23:59:59-23:59", "/overrides/0/end", "years 1 to 9999"),
    ],
)
def test_what_is_wrong_is_refused_at_its_place(path, value, place, expected):
    fault = next(fault for fault in faults_of(changed(path, value)) if fault.place == place)
    assert expected in fault.expected


@pytest.mark.parametrize("document", [None, [], "rota", 3])
def test_what_is_no_object_is_refused(document):
    assert faults_of(document)[0].expected.startswith("expected a rota")


def test_every_fault_is_named_at_once():
    document = changed(["time_zone"], "Mars/X")
    document["layers"].append({"members": 1, "start": "soon", "rotation": {"every": 0, "unit": "days"}})
    document["overrides"].append({"start": "x", "end": "y", "member": ""})
    assert [fault.place for fault in faults_of(document)] == [
        "/time_zone",
        "/layers/1/rotation/every",
        "/layers/1/members",
        "/layers/1/start",
        "/overrides/1/start",
        "/overrides/1/end",
        "/overrides/1/member",
    ]


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just("2026-01-05T08:00")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["time_zone", "layers", "overrides", "members", "start", "end", "rotation", "every", "unit", "weekdays"]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=15,
)


@settings(deadline=None)
@given(json_values)
def test_whatever_is_given_is_read_or_refused(value):
    with contextlib.suppress(InvalidInputError):
        assert parse_rota(value).time_zone


# --- Rule 8: double replacements ---


def hours(start, end, replaces="ana"):
    midnight = dt.datetime(2026, 1, 6, tzinfo=UTC)
    return Override(
        midnight + dt.timedelta(hours=start), midnight + dt.timedelta(hours=end), f"for {replaces}", replaces
    )


@pytest.mark.parametrize(
    ("overrides", "pairs"),
    [
        pytest.param([], [], id="none"),
        pytest.param([hours(8, 20), hours(12, 16)], [(0, 1)], id="one within the other"),
        pytest.param([hours(12, 16), hours(8, 20)], [(0, 1)], id="in any order"),
        pytest.param([hours(8, 20), hours(8, 20)], [(0, 1)], id="twice the same"),
        pytest.param([hours(8, 12), hours(12, 16)], [], id="one after the other"),
        pytest.param([hours(8, 20), hours(12, 16, "boris")], [], id="two members"),
        pytest.param([hours(8, 20, None), hours(12, 16, None)], [], id="nobody in particular"),
        pytest.param([hours(0, 24), hours(1, 2), hours(3, 4)], [(0, 1), (0, 2)], id="a long one meets every short one"),
        pytest.param([hours(0, 6), hours(5, 10), hours(9, 12)], [(0, 1), (1, 2)], id="in a row"),
    ],
)
def test_double_replacements(overrides, pairs):
    assert double_replacements(overrides) == pairs


@settings(deadline=None)
@given(st.lists(st.builds(lambda start, length: hours(start, start + length), st.integers(0, 50), st.integers(1, 9))))
def test_double_replacements_are_found_whenever_two_overlap(overrides):
    overlapping = {
        place
        for place, one in enumerate(overrides)
        for other in overrides[:place] + overrides[place + 1 :]
        if one.start < other.end and other.start < one.end
    }
    found = double_replacements(overrides)
    assert bool(found) == bool(overlapping)
    assert {place for pair in found for place in pair} <= overlapping


def test_several_double_replacements_are_refused_together():
    document = copy.deepcopy(DOCUMENT)
    document["overrides"] = [
        {"start": f"2026-01-0{day}T08:00:00Z", "end": f"2026-01-0{day + 2}T08:00:00Z", "member": "m2", "replaces": "m1"}
        for day in (1, 2, 3)
    ]
    faults = faults_of(document)
    assert [fault.place for fault in faults] == ["/overrides/1", "/overrides/2"]
    assert "from 2026-01-02T08:00:00Z to 2026-01-04T08:00:00Z meets /overrides/0" in faults[0].expected
    assert len(parse_rota(document, refuse_double_replacements=False).overrides) == 3


def test_a_double_replacement_is_named_beside_other_faults():
    document = copy.deepcopy(DOCUMENT)
    document["time_zone"] = "Europe/Nowhere"
    override = {"start": "2026-01-01T08:00:00Z", "end": "2026-01-03T08:00:00Z", "member": "m2", "replaces": "m1"}
    reversed_ = {**override, "start": override["end"], "end": override["start"]}
    document["overrides"] = [override, override, reversed_, {**override, "replaces": ""}, {**override, "replaces": 5}]
    assert sorted(fault.place for fault in faults_of(document)) == [
        *("/overrides/1", "/overrides/2/end", "/overrides/3/replaces", "/overrides/4/replaces", "/time_zone"),
    ]


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (["layers", 0], "/layers/0"),
        (["layers", 0, "rotation"], "/layers/0/rotation"),
        (["overrides", 0], "/overrides/0"),
    ],
)
def test_a_part_that_is_no_object_is_one_fault(path, place):
    assert [fault.place for fault in faults_of(changed(path, "none"))] == [place]


def test_what_is_no_rota_is_one_fault():
    assert [fault.place for fault in faults_of(None)] == [""]


def test_weekdays_that_are_no_list_are_one_fault():
    places = [fault.place for fault in faults_of(changed(["layers", 0, "restrictions", 0, "weekdays"], "fri"))]
    assert places == ["/layers/0/restrictions/0/weekdays"]


def test_members_are_those_who_take_turns_and_those_who_stand_in():
    assert parse_rota(DOCUMENT).members == {"m1", "m2", "m3"}


# --- Overrides in force ---


@settings(deadline=None)
@given(
    st.lists(st.builds(lambda start, length: hours(start, start + length), st.integers(0, 50), st.integers(1, 9))),
    st.integers(-1, 61),
)
def test_the_timeline_finds_what_is_in_force_in_list_order(overrides, hour):
    at = hours(hour, hour + 1).start
    expected = [override for override in overrides if override.start <= at < override.end]
    assert OverrideTimeline(overrides).active(at) == expected


def test_equal_rotas_are_equal_whatever_was_asked_of_them():
    first, second = parse_rota(DOCUMENT), parse_rota(DOCUMENT)
    first.timeline.active(dt.datetime(2026, 1, 8, tzinfo=UTC))
    assert first == second
    assert hash(first) == hash(second)
