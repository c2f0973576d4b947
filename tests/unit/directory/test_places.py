"""Locations: crossing ids, crossing names in any script, ISO 3166-2."""

import pytest

from directory.errors import InvalidInputError
from directory.places import crossing_title, nearest_to_question, resolve_location
from directory.vocabulary import CROSSINGS


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("xp-gostun-dobrakovo", "xp-gostun-dobrakovo"),
        (" XP-Gostun-Dobrakovo ", "xp-gostun-dobrakovo"),
        ("Gostun", "xp-gostun-dobrakovo"),
        ("Гостун", "xp-gostun-dobrakovo"),
        ("Preševo", "xp-presevo-tabanovce"),
        ("Прешево", "xp-presevo-tabanovce"),
        ("PRESEVO", "xp-presevo-tabanovce"),
        ("Preševo / Tabanovce", "xp-presevo-tabanovce"),
        ("Табановце – Прешево", "xp-presevo-tabanovce"),
        ("Qafë Thanë", "xp-qafe-thane-kjafasan"),
        ("Kjafasan", "xp-qafe-thane-kjafasan"),
        ("Ќафасан", "xp-qafe-thane-kjafasan"),
        ("Đala", "xp-djala-tiszasziget"),
        ("Djala", "xp-djala-tiszasziget"),
        ("Đerdap II", "xp-djerdap2-portile-de-fier2"),
        ("Obrežje", "xp-bregana-obrezje"),
        ("Kapıkule", "xp-kapitan-andreevo-kapikule"),
        ("Κήποι", "xp-kipoi-ipsala"),
        ("Kipi", "xp-kipoi-ipsala"),
        ("Albița", "xp-albita-leuseni"),
        ("RS-07", "RS-07"),
        ("rs-07", "RS-07"),
        ("AT-2", "AT-2"),
        ("x-XK-prizren", "x-XK-prizren"),
    ],
)
def test_a_location_is_understood_as_typed(text, expected):
    assert resolve_location(text) == expected


@pytest.mark.parametrize(
    ("text", "between", "expected"),
    [
        ("Morinë", ("AL", "XK"), None),
        ("Морина", ("AL", "XK"), "xp-qafe-morine-morine"),
        ("Kula", ("HR", "RS"), "xp-kula-kulle"),
    ],
)
def test_of_several_crossings_of_a_name_the_question_decides(text, between, expected):
    if expected:
        assert resolve_location(text, between) == expected
        return
    with pytest.raises(InvalidInputError, match=r"xp-morine-vermice .* xp-qafe-morine-morine"):
        resolve_location(text, between)


_ONES = ["xp-kula-kulle", "xp-gostun-dobrakovo", "xp-horgos-roszke"]


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        (("ME", "XK"), ["xp-kula-kulle"]),  # between both
        (("ME", "HU"), ["xp-horgos-roszke"]),  # in the requested one
        (("HU", "ME"), ["xp-gostun-dobrakovo", "xp-kula-kulle"]),
        (("AT", "IT"), sorted(_ONES)),  # nowhere near
        ((), sorted(_ONES)),
    ],
)
def test_the_countries_of_the_question_narrow_a_shared_name(between, expected):
    assert nearest_to_question(_ONES, between) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Atlantis", "expected a crossing, or a code as in ISO 3166-2"),
        ("Batrovc", "did you mean Batrovci / Bajakovo"),
        ("xp-nowhere", "expected a crossing"),
        ("QQ-01", "expected a crossing"),
        ("RS-0001", "expected a crossing"),
        ("x-XK-", "expected a crossing"),
        ("…", "expected a crossing"),
    ],
)
def test_what_is_no_location_is_refused_with_the_nearest_names(text, message):
    with pytest.raises(InvalidInputError, match=message):
        resolve_location(text)


@pytest.mark.parametrize("crossing", CROSSINGS.values(), ids=lambda crossing: crossing.id)
def test_every_crossing_is_found_by_its_title(crossing):
    assert resolve_location(crossing_title(crossing), crossing.countries) == crossing.id
