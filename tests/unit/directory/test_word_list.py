"""Words by their beginning, and what may have been meant."""

import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.word_list import WordList


def list_of(*words):
    words_ = WordList()
    for word in words:
        words_.add(word)
    return words_


WORDS = list_of("presevo", "prespa", "tabanovce", "kula", "kulata", "sid", "neum", "2", "24")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", ["2", "24", "kula", "kulata", "neum", "presevo", "prespa", "sid", "tabanovce"]),
        ("pres", ["presevo", "prespa"]),
        ("kula", ["kula", "kulata"]),
        ("kulata", ["kulata"]),
        ("kulatax", []),
        ("2", ["2", "24"]),
        ("z", []),
    ],
)
def test_beginning_with(typed, expected):
    assert WORDS.beginning_with(typed) == expected


def test_words_added_later_are_found_too():
    words = list_of("kula")
    assert words.beginning_with("k") == ["kula"]
    words.add("kapikule")
    assert words.beginning_with("k") == ["kapikule", "kula"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        pytest.param("presvo", "presevo", id="a letter left out"),
        pytest.param("preseevo", "presevo", id="a letter too many"),
        pytest.param("prezevo", "presevo", id="another letter"),
        pytest.param("persevo", "presevo", id="neighbours swapped"),
        pytest.param("resevo", "presevo", id="the first letter left out"),
        pytest.param("xpresevo", "presevo", id="a letter before"),
        pytest.param("rpesevo", "presevo", id="the first two swapped"),
        pytest.param("presevox", "presevo", id="a letter after"),
        pytest.param("presveo", "presevo", id="swapped near the end"),
        pytest.param("tabnov", "tabanov", id="in an unfinished word"),
        pytest.param("tbaa", "taba", id="swapped in an unfinished word"),
        pytest.param("sud", "sid", id="in a short word"),
        pytest.param("sd", "sid", id="in a very short word"),
    ],
)
def test_misspelt(typed, meant):
    assert meant in WORDS.misspelt(typed)


@pytest.mark.parametrize(
    ("typed", "not_meant"),
    [
        pytest.param("prsvo", "presevo", id="two letters left out"),
        pytest.param("vopresevo", "presevo", id="two letters before"),
        pytest.param("z", "k", id="too short"),
        pytest.param("presevo", "presevo", id="no error"),
        pytest.param("", "k", id="nothing typed"),
    ],
)
def test_more_than_one_error_is_not_forgiven(typed, not_meant):
    assert not_meant not in WORDS.misspelt(typed)


letters = st.text(alphabet="abc", min_size=1, max_size=7)


def one_error_away(typed):
    """All strings one typing error away, the long way."""
    forms = set()
    for place in range(len(typed) + 1):
        head, tail = typed[:place], typed[place:]
        forms |= {head + letter + tail for letter in string.ascii_lowercase}
        if tail:
            forms |= {head + tail[1:]} | {head + letter + tail[1:] for letter in string.ascii_lowercase}
        if len(tail) > 1:
            forms.add(head + tail[1] + tail[0] + tail[2:])
    return forms - {typed}


@settings(deadline=None)
@given(st.sets(letters, max_size=12), letters)
def test_what_may_have_been_meant_is_every_beginning_one_error_away(words, typed):
    expected = {form for form in one_error_away(typed) if any(word.startswith(form) for word in words)}
    assert list_of(*words).misspelt(typed) == (sorted(expected) if len(typed) >= 2 else [])


@settings(deadline=None)
@given(st.sets(letters), letters)
def test_beginnings_are_what_startswith_says(words, typed):
    assert list_of(*words).beginning_with(typed) == sorted(word for word in words if word.startswith(typed))
