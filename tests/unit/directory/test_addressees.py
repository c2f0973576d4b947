"""Rule R5 of directory.md, section 4: whom each channel reaches."""

import datetime as dt

import pytest

from directory.index import Directory
from tests.unit.directory.asking import (
    SUNDAY_NIGHT,
    TUESDAY_10,
    ask,
    asked,
    country,
    region_with,
    rejections,
    slug,
    unit,
    ways,
)


@pytest.mark.parametrize(
    ("asker", "requested", "location", "crime", "desk"),
    [
        ("ME", "RS", "xp-gostun-dobrakovo", "migrant_smuggling", "rs-pccc-trebinje"),
        ("MK", "RS", "Прешево", "vehicle_crime", "rs-jcc-tabanovce"),
        ("AL", "XK", "xp-morine-vermice", "vehicle_crime", "xk-jcc-vermice"),
        ("AL", "XK", "xp-qafe-morine-morine", "vehicle_crime", "xk-pccc-plav"),
        ("BG", "GR", "xp-kulata-promachonas", "vehicle_crime", "gr-pccc-promachonas"),
        ("BG", "TR", "Kapıkule", "vehicle_crime", "tr-pccc-kapitan-andreevo"),
        ("AT", "SI", "xp-karavanke-karawanken", "vehicle_crime", "si-pccc-thoerl-maglern"),
    ],
)
def test_the_desk_is_that_of_the_centre_that_fits(asker, requested, location, crime, desk):
    assert ways(asked(asker, requested, location=location, crime_area=crime))[0] == f"pccc {desk}"


@pytest.mark.parametrize(
    ("asker", "location", "crime", "reason"),
    [
        ("ME", None, "vehicle_crime", "no location was given that a common centre could cover"),
        ("ME", "RS-07", "vehicle_crime", "no common centre with a desk of RS covers RS-07"),
        ("ME", "xp-horgos-roszke", "vehicle_crime", "rs-jcc-roszke covers xp-horgos-roszke, but ME is not its partner"),
        (
            "ME",
            "xp-gostun-dobrakovo",
            "corruption",
            "rs-pccc-trebinje covers xp-gostun-dobrakovo, but corruption is not in its remit",
        ),
    ],
)
def test_a_desk_that_does_not_fit_is_rejected(asker, location, crime, reason):
    answer = asked(asker, "RS", location=location, crime_area=crime)
    assert [each["reason"] for each in answer["rejected"] if each["channel"] == "pccc"] == [reason]
    assert rejections(answer)["pccc"] == "R5"


def test_without_a_spoc_on_siena_the_europol_unit_answers():
    assert "siena ba-enu" in ways(asked("HR", "BA"))
    assert rejections(asked("HR", "BA", SUNDAY_NIGHT, urgency="urgent"))["siena"] == "R6"


def test_a_closed_spoc_is_not_replaced_by_the_europol_unit():
    directory = region_with({"RS:unit/rs-spoc": {"hours": "Mo-Fr 08:00-16:00"}, "RS:unit/rs-enu": {"hours": "24/7"}})
    answer = ask(directory, asker="ME", country="RS", at=SUNDAY_NIGHT, urgency="urgent")
    assert [slug(each["unit"]) for each in answer["rejected"] if each["channel"] == "siena"] == ["rs-spoc"]


@pytest.mark.parametrize(
    ("asker", "requested", "expected"),
    [
        ("RS", "DE", "de-lo-rs"),  # posted in the asking state
        ("AL", "IT", "it-lo-al"),
        ("ME", "DE", "de-lo-europol"),  # at Europol, both on siena
        ("BG", "TR", "tr-lo-bg"),
        ("RO", "TR", "tr-lo-selec"),  # at SELEC, both members
    ],
)
def test_the_liaison_officer_is_the_nearest(asker, requested, expected):
    assert ways(asked(asker, requested, classification="SECRET")) == [f"liaison {expected}"]


def test_where_several_fit():
    """The crime listed before all, then more crime areas, then the smaller area, then the id."""
    centres = [
        unit("qb-e", "ops_centre", crime_areas=["drugs", "thb", "fraud"]),
        unit("qb-d", "ops_centre", crime_areas=["cybercrime", "thb"], area=["QB", "XK"]),
        unit("qb-b", "ops_centre", crime_areas=["cybercrime", "thb"]),
        unit("qb-a", "ops_centre", crime_areas=["cybercrime", "thb"]),
        unit("qb-c", "ops_centre", crime_areas=["cybercrime"]),
        unit("qb-0", "ops_centre", level="regional"),
    ]
    order = []
    while centres:
        directory = Directory.from_documents([country("QA"), country("QB", centres)])
        answer = ask(directory, asker="QA", country="QB", crime_area="cybercrime")
        if not answer["candidates"]:
            break
        order.append(slug(answer["candidates"][0]["unit"]))
        centres = [centre for centre in centres if centre["id"] != order[-1]]
    assert order == ["qb-a", "qb-b", "qb-d", "qb-c", "qb-e"]
    assert rejections(answer)["bilateral"] == "R5"  # a regional centre is not the central one


def test_every_crime_counts_as_the_widest_remit():
    centres = [unit("qb-a", "ops_centre", crime_areas=["drugs"]), unit("qb-b", "ops_centre", crime_areas=["*"])]
    directory = Directory.from_documents([country("QA"), country("QB", centres)])
    assert ways(ask(directory, asker="QA", country="QB", crime_area="drugs")) == ["bilateral qb-b"]


def test_among_equals_a_verified_unit_stands_first():
    centres = [
        unit("qb-a", "ops_centre", verified_at="2026-01-01T00:00:00Z"),
        unit("qb-b", "ops_centre", verified_at="2027-02-01T00:00:00Z"),
    ]
    directory = Directory.from_documents([country("QA"), country("QB", centres)])
    assert ways(ask(directory, asker="QA", country="QB")) == ["bilateral qb-b"]
    early = dt.datetime(2026, 2, 1, tzinfo=dt.UTC)
    assert ways(ask(directory, asker="QA", country="QB", now=early)) == ["bilateral qb-a"]


def test_a_unit_that_does_not_list_the_channel_is_not_asked_over_it():
    directory = region_with({"RS:unit/rs-ncb": {"channels": ["bilateral"]}})
    answer = ask(directory, asker="ME", country="RS", at=TUESDAY_10)
    assert rejections(answer)["i247"] == "R5"
