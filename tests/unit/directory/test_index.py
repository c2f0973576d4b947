"""The read side in memory: what is found by which key, and that it keeps up with what changes."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.index import Directory
from directory.store import Record
from tests.unit.directory.asking import country, region, unit

AT = dt.datetime(2027, 2, 9, 9, 0, tzinfo=dt.UTC)
ROTA = {
    "unit": "qb-spoc",
    "time_zone": "Etc/UTC",
    "layers": [
        {"members": ["m1", "m2"], "start": "2027-01-01T08:00", "rotation": {"every": 12, "unit": "hours"}},
    ],
    "overrides": [],
}


def _record(record, data=None, *, code="QB", seq=1, state="live"):
    type_ = record.partition("/")[0]
    return Record(code, record, type_, seq, AT, data or {}, state, seq)


def _directory(*records):
    directory = Directory.from_documents([country("QB")])
    directory.apply([_record(record, data) for record, data in records])
    return directory


def _slugs(units):
    return [each.slug for each in units]


@pytest.mark.parametrize(
    ("find", "expected"),
    [
        (lambda d: d.units_of_kind("RS", "spoc"), ["rs-spoc"]),
        (lambda d: d.units_of_kind("TR", "enu"), []),
        (lambda d: d.units_of_kind("ZZ", "spoc"), []),
        (lambda d: d.desks("RS", "xp-gostun-dobrakovo"), ["rs-pccc-trebinje"]),
        (lambda d: d.desks("RS", "RS-07"), []),
        (lambda d: d.posted("DE", "RS"), ["de-lo-rs"]),
        (lambda d: d.posted("DE", "ME"), []),
        (lambda d: d.contacts("RS", "SEPCA-HTC"), ["rs-htc"]),
        (lambda d: d.contacts("XK", "BUDAPEST-24/7"), []),
        (lambda d: d.units_at("RS", "border_station", "xp-gostun-dobrakovo"), ["rs-bps-gostun"]),
        (lambda d: d.units_at("RS", "spoc", "RS"), []),  # only those whose area rules ask for
        (lambda d: d.units_of_agency("AT", "at-ag-bmj"), ["at-ejn"]),
        (lambda d: d.units_of_agency("AT", "nobody"), []),
    ],
)
def test_units_are_found_by_key(find, expected):
    assert _slugs(find(region())) == expected


@pytest.mark.parametrize("ref", ["RS:unit/nobody", "ZZ:unit/rs-spoc", "rs-spoc", ""])
def test_what_is_not_there_is_not_found(ref):
    assert region().unit(ref) is None
    assert region().member(ref) is None
    assert region().agency(ref) is None


def test_a_country_has_its_units_and_no_others():
    assert len(region().units_of("RS")) == 51
    assert len(list(region().units())) == 491
    assert region().units_of("ZZ") == []


@pytest.mark.parametrize(("code", "expected"), [("RS", "rs-spoc"), ("ZZ", None)])
def test_the_spoc(code, expected):
    spoc = region().spoc(code)
    assert (spoc.slug if spoc else None) == expected


def test_the_unit_above():
    assert region().parent_of(region().unit("RS:unit/rs-ncb")).slug == "rs-spoc"
    assert region().parent_of(region().unit("ME:unit/me-spoc")) is None
    orphan = _directory(("unit/qb-a", unit("qb-a", "ncb", parent="qb-none")))
    assert orphan.parent_of(orphan.unit("QB:unit/qb-a")) is None


def test_a_record_that_goes_leaves_nothing_behind():
    records = {
        "unit/qb-lo": unit(
            "qb-lo", "border_station", area=["xp-kula-kulle"], posted_to="RS", networks=["EJN"], agency="qb-ag"
        ),
        "agency/qb-ag": {"name": {"en": "Kula Police"}, "kind": "police", "level": "central"},
        "member/m1": {"name": "Duty officer 1", "unit": "qb-lo"},
        "outage/o1": {"channel": "siena", "from": "2027-02-09T08:00:00Z"},
        "rota/r1": {**ROTA, "unit": "qb-lo"},
    }
    directory = _directory(*records.items())
    lo = directory.unit("QB:unit/qb-lo")
    assert directory.rota_of(lo) is not None
    assert _slugs(directory.members_of(lo)) == ["m1"]
    assert directory.outages("QB", AT) == {"siena"}
    directory.apply([_record(record, seq=2, state="deleted") for record in records])
    assert directory.unit("QB:unit/qb-lo") is None
    assert directory.agencies_of("QB") == []
    assert directory.rota_of(lo) is None
    assert directory.members_of(lo) == []
    assert directory.outages("QB", AT) == frozenset()
    for found in (
        directory.posted("QB", "RS"),
        directory.contacts("QB", "EJN"),
        directory.units_of_agency("QB", "qb-ag"),
        directory.units_at("QB", "border_station", "xp-kula-kulle"),
    ):
        assert found == ()
    assert {hit.kind for hit in directory.search("kula")} == {"place"}


@pytest.mark.parametrize("state", ["deleted", "unknown", "unreadable"])
def test_only_live_records_are_in_it(state):
    directory = _directory(("unit/qb-a", unit("qb-a", "spoc")))
    directory.apply([_record("unit/qb-a", seq=2, state=state), _record("watch/qb-x", {"new": 1}, seq=3, state=state)])
    assert directory.units_of("QB") == []


@pytest.mark.parametrize(
    "record", ["unit/x", "agency/x", "member/x", "rota/x", "outage/x", "participant/self", "watch/x"]
)
def test_taking_out_what_is_not_there_is_no_error(record):
    directory = Directory()
    directory.apply([_record(record, state="deleted")])
    assert directory.participants == {}


def test_a_record_of_a_new_type_is_passed_over():
    assert _directory(("watch/x", {"colour": "red"})).units_of("QB") == []


def test_a_participant_that_goes_takes_its_name_along():
    directory = Directory.from_documents([country("QB")])
    directory.apply([_record("participant/self", state="deleted")])
    assert directory.participants == {}


def test_a_changed_unit_is_found_only_under_its_new_keys():
    directory = _directory(("unit/qb-a", unit("qb-a", "spoc")))
    directory.apply([_record("unit/qb-a", unit("qb-a", "ncb"), seq=2)], 9)
    assert directory.units_of_kind("QB", "spoc") == ()
    assert _slugs(directory.units_of_kind("QB", "ncb")) == ["qb-a"]
    assert directory.version == 9


def test_what_was_prepared_is_forgotten_when_something_changes():
    directory = _directory(("unit/qb-a", unit("qb-a", "spoc", hours="Mo-Fr 08:00-16:00")))
    assert directory.prepared("key", lambda: "old") == "old"
    assert directory.prepared("key", lambda: "new") == "old"
    assert directory.opening(directory.unit("QB:unit/qb-a"), AT).is_open
    directory.apply([_record("unit/qb-a", unit("qb-a", "spoc", hours="Sa 08:00-16:00"), seq=2)])
    assert directory.prepared("key", lambda: "new") == "new"
    assert not directory.opening(directory.unit("QB:unit/qb-a"), AT).is_open


def test_what_is_prepared_does_not_grow_without_end():
    directory = Directory()
    for number in range(10_000):
        directory.prepared(number, lambda: "plan")
    assert len(directory._plans) <= 4_096


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, "QB:rota/r1"),  # the rota names the unit
        ({"rota": "r2"}, "QB:rota/r2"),  # the unit names the rota
        ({"rota": "r9"}, None),
    ],
)
def test_the_rota_of_a_unit(members, expected):
    directory = _directory(
        ("unit/qb-spoc", unit("qb-spoc", "spoc", **members)),
        ("rota/r1", ROTA),
        ("rota/r2", {name: value for name, value in ROTA.items() if name != "unit"}),
    )
    found = directory.rota_of(directory.unit("QB:unit/qb-spoc"))
    assert (found[0] if found else None) == expected


def test_a_rota_that_breaks_its_rules_is_refused():
    with pytest.raises(InvalidInputError):
        _directory(("rota/r1", {**ROTA, "time_zone": "Mars/X"}))


_MINUTES = st.integers(0, 400 * 24 * 60)


@given(
    st.lists(_MINUTES, min_size=1, max_size=20),
    st.sampled_from(["Mo-Fr 08:00-16:00; PH off", "Mo-Su 22:00-06:00", "24/7"]),
)
def test_opening_is_what_the_hours_say_in_whatever_order_it_is_asked(minutes, hours):
    directory = Directory.from_documents(
        [country("QB", [unit("qb-a", "spoc", hours=hours)], timezone="Europe/Skopje", public_holidays=["05-01"])]
    )
    asked = directory.unit("QB:unit/qb-a")
    zone, holidays = directory.zone_of(asked), directory.holidays_of(asked)
    for minute in minutes:
        at = AT + dt.timedelta(minutes=minute)
        opening = directory.opening(asked, at)
        assert opening.is_open is asked.hours.is_open(at, zone, holidays)
        if not opening.is_open:
            assert opening.next_opening > at
            assert asked.hours.is_open(opening.next_opening, zone, holidays)
            assert not asked.hours.is_open(opening.next_opening - dt.timedelta(seconds=1), zone, holidays)


def test_a_unit_that_never_opens_has_no_next_opening():
    leap_year = (dt.date(2028, 1, 1) + dt.timedelta(days=day) for day in range(366))
    every_day = [f"{day:%m-%d}" for day in leap_year]
    directory = Directory.from_documents(
        [country("QB", [unit("qb-a", "spoc", hours="Mo-Su 08:00-16:00; PH off")], public_holidays=every_day)]
    )
    opening = directory.opening(directory.unit("QB:unit/qb-a"), AT)
    assert (opening.is_open, opening.next_opening) == (False, None)


def test_a_unit_may_keep_another_zone_than_its_country():
    directory = _directory(("unit/qb-a", unit("qb-a", "spoc", timezone="Asia/Kathmandu")))
    assert str(directory.zone_of(directory.unit("QB:unit/qb-a"))) == "Asia/Kathmandu"


def test_a_unit_of_an_unknown_participant_has_no_holidays():
    directory = Directory()
    directory.apply([_record("unit/qb-a", unit("qb-a", "spoc"))])
    assert directory.holidays_of(directory.unit("QB:unit/qb-a")).fixed == frozenset()


@pytest.mark.parametrize(
    ("text", "kind", "ref"),
    [
        ("Прешево", "place", "xp-presevo-tabanovce"),
        ("UMOPS", "unit", "RS:unit/rs-spoc"),
        ("rs-spoc", "unit", "RS:unit/rs-spoc"),
        ("Uprava carina", "agency", "RS:agency/rs-ag-uc"),
    ],
)
def test_the_search_finds_units_agencies_and_places(text, kind, ref):
    assert (kind, ref) in [(found.kind, found.ref) for found in region().search(text)]


@pytest.mark.parametrize("text", ["", "   ", "12345 67890"])
def test_the_search_may_find_nothing(text):
    assert region().search(text) == []


def test_what_is_found_has_its_names():
    found = next(hit for hit in region().search("Kjafasan") if hit.kind == "place")
    assert "Qafë Thanë" in found.names.values()
    assert found.participant is None


def test_locations_are_resolved_by_it():
    assert region().resolve_location("Гостун") == "xp-gostun-dobrakovo"
