"""Codes, crossings and references."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory import vocabulary
from directory.errors import InvalidInputError
from directory.vocabulary import (
    CLASSIFICATIONS,
    COUNTRIES,
    CROSSINGS,
    LANGUAGES,
    ORGANISATION_CODE,
    PARTICIPANT_CODE,
    RECORD_ID,
    SLUG,
    Reference,
    country_of_subdivision,
    format_reference,
    parse_record_id,
    parse_reference,
)

REGION = json.loads((Path(__file__).parents[3] / "web/data/region.json").read_text(encoding="utf-8"))
CLOSED_LISTS = {
    "unit_kinds": vocabulary.UNIT_KINDS,
    "levels": vocabulary.LEVELS,
    "channels": vocabulary.CHANNELS,
    "crime_areas_europol_annex_i": vocabulary.EUROPOL_ANNEX_I,
}


@pytest.mark.parametrize("name", CLOSED_LISTS)
def test_closed_lists_are_those_of_the_region(name: str) -> None:
    assert set(REGION["vocab"][name]) == CLOSED_LISTS[name]


def test_every_crime_area_is_known() -> None:
    assert vocabulary.EUROPOL_ANNEX_I | set(REGION["vocab"]["crime_areas_extra"]) == vocabulary.CRIME_AREAS
    assert "other" in vocabulary.CRIME_AREAS


def test_classifications_rise() -> None:
    assert CLASSIFICATIONS == ("UNCLASSIFIED", "RESTRICTED", "CONFIDENTIAL", "SECRET")


def test_countries_are_iso_3166_and_kosovo() -> None:
    assert len(COUNTRIES) == 250
    assert {"XK", "GB", "GR"} <= COUNTRIES
    assert COUNTRIES.isdisjoint({"EU", "UK", "EL", "SU"})


def test_languages_are_iso_639_1_and_montenegrin() -> None:
    assert len(LANGUAGES) == 184
    assert {"cnr", "bs", "hr", "sr", "sq", "mk"} <= LANGUAGES
    assert LANGUAGES.isdisjoint({"sh", "me", "xx"})


def test_codes_of_the_spec_are_listed() -> None:
    assert {"immediate_threat", "life_or_limb", "detention_decision", "imminent_loss"} == vocabulary.URGENCY_GROUNDS
    assert {"third_country", "urgency", "incident"} == vocabulary.CHANNEL_GROUNDS
    assert len(vocabulary.DECLINE_GROUNDS) == 11
    assert len(vocabulary.SUBJECTS) == 10
    assert {"leave", "training", "duty", "swap", "other"} == vocabulary.OVERRIDE_REASONS


def test_crossings_join_two_countries_and_have_a_name_in_each() -> None:
    assert len(CROSSINGS) == 129
    for crossing in CROSSINGS.values():
        assert set(crossing.countries) == set(crossing.names) <= COUNTRIES
        assert all(name for names in crossing.names.values() for name in names.values())
    roszke = CROSSINGS["xp-horgos-roszke"]
    assert roszke.names["RS"]["sr-Latn"] == "Horgoš"
    assert (roszke.kind, roszke.status, roszke.road) == ("road", "schengen_external", "E75")


def test_vocabulary_cannot_be_changed_by_accident() -> None:
    with pytest.raises(TypeError):
        CROSSINGS["xp-new"] = CROSSINGS["xp-horgos-roszke"]  # type: ignore[index]
    with pytest.raises(TypeError):
        CROSSINGS["xp-horgos-roszke"].names["RS"]["en"] = "Horgos"  # type: ignore[index]


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (PARTICIPANT_CODE, ["ME", "XK", "SELEC", "A1B", "ABCDEFGHIJKL"], ["M", "me", "1AB", "M1", "ABCDEFGHIJKLM", ""]),
        (ORGANISATION_CODE, ["SELEC", "A1B"], ["ME", "SELEC-1", "selec", "1ST"]),
        (SLUG, ["a", "0", "a-", "m-4f7k2q9x", "a" * 63], ["", "-a", "A", "a_b", "a.b", "a" * 64, "č"]),
        (
            RECORD_ID,
            ["unit/a", "participant/self", "x" * 20 + "/a"],
            ["unit/", "/a", "Unit/a", "x" * 21 + "/a", "a/b/c"],
        ),
    ],
)
def test_forms_of_names(pattern: re.Pattern[str], good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not pattern.match(text)] == []
    assert [text for text in bad if pattern.match(text)] == []


@pytest.mark.parametrize("pattern", [PARTICIPANT_CODE, SLUG, RECORD_ID, vocabulary.OPEN_CODE])
@pytest.mark.parametrize("ending", ["\n", "\u200b", "\u2011", "٣", " "])
def test_no_form_lets_invisible_or_foreign_characters_pass(pattern: re.Pattern[str], ending: str) -> None:
    for start in ("ME", "SELEC", "unit/a", "ab"):
        assert not pattern.match(start + ending)


@pytest.mark.parametrize(
    ("code", "country"),
    [
        ("RS-00", "RS"),
        ("ME-1", "ME"),
        ("DE-BY", "DE"),
        ("AT-9", "AT"),
        ("GB-ABE", "GB"),
        ("x-XK-prizren", "XK"),
        ("RS", None),
        ("RS-", None),
        ("RS-ABCD", None),
        ("ZZ-1", None),
        ("rs-00", None),
        ("x-RS-beograd", None),
        ("x-XK-", None),
        ("RS-00\n", None),
    ],
)
def test_country_of_a_subdivision(code: str, country: str | None) -> None:
    assert country_of_subdivision(code) == country


@given(
    st.from_regex(PARTICIPANT_CODE, fullmatch=True),
    st.from_regex(r"[a-z]{1,20}", fullmatch=True),
    st.from_regex(SLUG, fullmatch=True),
)
def test_references_survive_writing_and_reading(participant: str, type_: str, slug: str) -> None:
    reference = Reference(participant, type_, slug)
    assert parse_reference(format_reference(reference)) == reference
    assert parse_record_id(reference.record) == (type_, slug)


@pytest.mark.parametrize(
    "text",
    ["", "RS", "RS:", "RS:unit", "unit/x", ":unit/x", "rs:unit/x", "RS:unit/X", "RS:unit/x\n", "RS::unit/x", 7, None],
)
def test_what_is_no_reference_is_refused(text: object) -> None:
    with pytest.raises(InvalidInputError, match="expected a reference such as RS:unit/bps-presevo") as caught:
        parse_reference(text)
    assert caught.value.faults[0].found == text


@pytest.mark.parametrize("text", ["", "unit", "unit/", "/x", "unit/x/y", "RS:unit/x", "UNIT/x", None, ["unit/x"]])
def test_what_is_no_record_id_is_refused(text: object) -> None:
    with pytest.raises(InvalidInputError, match="expected a record id"):
        parse_record_id(text)
