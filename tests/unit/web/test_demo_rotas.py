"""The demo's generated rotas: made by rule, accepted by input, somebody on duty at any hour."""

import datetime as dt

import pytest

from directory.rota import parse_rota
from directory.rota_schedule import on_duty, shifts
from web.demo_plan import country_codes, organisation_codes, sample_document
from web.demo_rotas import with_duty

NOW = dt.datetime(2026, 11, 21, 22, 17, 5, tzinfo=dt.UTC)
EVERYBODY = [*country_codes(), *organisation_codes()]


@pytest.mark.parametrize("code", EVERYBODY)
def test_every_unit_that_is_always_open_has_somebody_on_duty_for_a_month(code):
    document = with_duty(sample_document(code), EVERYBODY.index(code), NOW)
    rotas = {rota["id"]: rota for rota in document["rotas"]}
    for unit in document["units"]:
        if unit["hours"] == "24/7":
            rota = parse_rota(rotas[unit["rota"]])
            month = shifts(rota, NOW, NOW + dt.timedelta(days=30))
            assert all(shift.member is not None for shift in month)
            assert len({shift.member for shift in month}) >= 3


@pytest.mark.parametrize("code", EVERYBODY)
def test_records_refer_to_each_other_and_ids_are_slugs(code):
    document = with_duty(sample_document(code), EVERYBODY.index(code), NOW)
    members = {member["id"]: member["unit"] for member in document["members"]}
    units = {unit["id"] for unit in document["units"]}
    assert len(members) == len(document["members"])
    assert set(members.values()) <= units
    assert all(len(slug) <= 63 for slug in [*members, *(rota["id"] for rota in document["rotas"])])
    for rota in document["rotas"]:
        used = {member for layer in rota["layers"] for member in layer["members"]}
        used |= {override["member"] for override in rota["overrides"]}
        assert {members[member] for member in used} == {rota["unit"]}


def test_members_are_posts_not_people_and_their_numbers_reach_nobody():
    phones = []
    for order, code in enumerate(EVERYBODY):
        for member in with_duty(sample_document(code), order, NOW)["members"]:
            assert member["name"].startswith("Duty officer ")
            assert member["phone"].startswith("+999")
            assert 8 <= len(member["phone"]) <= 16
            phones.append(member["phone"])
    assert len(set(phones)) == len(phones)


def test_the_same_start_gives_the_same_rotas():
    assert with_duty(sample_document("ME"), 0, NOW) == with_duty(sample_document("ME"), 0, NOW)


def test_the_sample_itself_is_not_changed():
    before = len(sample_document("ME").get("rotas", []))
    with_duty(sample_document("ME"), 0, NOW)
    assert len(sample_document("ME").get("rotas", [])) == before
    assert all("rota" not in unit for unit in sample_document("ME")["units"])


def test_layers_restrictions_overrides_and_zones_all_occur():
    rotas = [r for c in EVERYBODY for r in with_duty(sample_document(c), EVERYBODY.index(c), NOW)["rotas"]]
    assert {len(rota["layers"]) for rota in rotas} >= {2, 3}
    assert {len(rota["overrides"]) for rota in rotas} == {0, 1, 2}
    assert len({rota["time_zone"] for rota in rotas}) > 15
    assert any(layer.get("restrictions") for rota in rotas for layer in rota["layers"])


def test_overrides_come_soon_and_take_effect():
    rotas = with_duty(sample_document("ME"), 0, NOW)["rotas"]
    overrides = [(parse_rota(rota), override) for rota in rotas for override in rota["overrides"]]
    assert overrides
    for _, override in overrides:
        start = dt.datetime.fromisoformat(override["start"])
        assert NOW < start < NOW + dt.timedelta(days=3)
    assert any(
        on_duty(rota, dt.datetime.fromisoformat(override["start"]) + dt.timedelta(hours=hour)) == override["member"]
        for rota, override in overrides
        for hour in range(24)
    )


def test_a_rota_that_a_unit_already_names_is_kept():
    unit = {"id": "me-spoc", "hours": "24/7", "rota": "own", "kind": "spoc"}
    document = {"country": "ME", "timezone": "Europe/Podgorica", "languages": ["cnr"], "units": [unit]}
    assert with_duty(document, 0, NOW)["rotas"] == []
    assert with_duty(document, 0, NOW)["units"] == [unit]
