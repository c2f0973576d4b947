"""Codes in words: every code of the vocabulary has some."""

import pytest

from directory.vocabulary import CHANNELS, CRIME_AREAS, SUBJECTS, UNIT_KINDS
from web import labels


def test_every_code_has_words() -> None:
    assert set(labels.CHANNELS) == set(CHANNELS)
    assert set(labels.SUBJECTS) == set(SUBJECTS)
    assert set(labels.KINDS) >= set(UNIT_KINDS)
    assert all("_" not in labels.crime_area(code) for code in CRIME_AREAS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "less than a minute ago"),
        (59, "less than a minute ago"),
        (60, "1 minute ago"),
        (7_199, "1 hour ago"),
        (7_200, "2 hours ago"),
        (172_800, "2 days ago"),
    ],
)
def test_how_long_ago(seconds: int, text: str) -> None:
    assert labels.ago(seconds) == text


@pytest.mark.parametrize(
    ("phone", "spoken"),
    [
        ("+9996880002", "+999 688 0002"),
        ("+999688000", "+999 688 000"),
        ("112", "112"),
        ("", ""),
        ("+99968800", "+999 688 00"),
    ],
)
def test_a_number_is_spoken_in_groups(phone: str, spoken: str) -> None:
    assert labels.spoken_number(phone) == spoken
    assert spoken.replace(" ", "") == phone


def test_languages() -> None:
    assert labels.language("sq") == "Albanian"
    assert labels.language("xx") == "xx"
    assert "translation" in labels.language(None)
