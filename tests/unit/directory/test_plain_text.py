"""Which characters and values a record may hold."""

import math
import sys
import unicodedata
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from directory.plain_text import (
    LARGEST_INTEGER,
    MAX_DEPTH,
    escape,
    forbidden_character,
    measure,
    mixed_script_words,
    value_faults,
)

HIDDEN_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
NAMES_WITH_TRICKS = [
    ("\u202eciloP", "U+202E"),
    ("a\u2066b", "U+2066"),
    ("zero\u200bwidth", "U+200B"),
    ("joiner\u200d", "U+200D"),
    ("\ufeffbom", "U+FEFF"),
    ("soft\u00adhyphen", "U+00AD"),
    ("nul\x00", "U+0000"),
    ("escape\x1b[2J", "U+001B"),
    ("delete\x7f", "U+007F"),
    ("next\x85line", "U+0085"),
    ("line\u2028separator", "U+2028"),
    ("half\ud800", "U+D800"),
    ("tag\U000e0041", "U+E0041"),
]
HARMLESS_TEXTS = [
    "Qafë Thanë",
    "Управа царина",
    "Τελωνείο",
    "Iğdır şube",
    "Őrség",
    "Kosovo*",
    "a b",
    "<script>alert(1)</script>",
    "{{7*7}}",
    "=cmd|' /C calc'!A0",
    "%s%n",
    "100 %",
    "e\u0301",
    "🛂",
]

scalars = st.none() | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER) | st.text(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)


def _faults(data: dict[str, Any], one_line: frozenset[str] = frozenset()) -> list[str]:
    return [fault.place for fault in value_faults(data, one_line)]


def test_forbidden_characters_are_those_that_print_nothing() -> None:
    def expected(character: str) -> bool:
        return unicodedata.category(character) in HIDDEN_CATEGORIES

    # A newer Unicode version than the library's may know more of them: what is unassigned here is left out.
    wrong = [
        f"U+{point:04X}"
        for point in range(sys.maxunicode + 1)
        if unicodedata.category(chr(point)) != "Cn"
        and (forbidden_character(chr(point)) is not None) != expected(chr(point))
    ]
    assert wrong == []


@pytest.mark.parametrize(("text", "character"), NAMES_WITH_TRICKS)
def test_the_forbidden_character_is_named(text: str, character: str) -> None:
    assert forbidden_character(text) == character
    assert forbidden_character(text, one_line=False) == character


@pytest.mark.parametrize("text", HARMLESS_TEXTS)
def test_ordinary_text_is_harmless(text: str) -> None:
    assert forbidden_character(text) is None
    assert measure({"name": text}) == (len(orjson.dumps({"name": text})), True)


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\t"])
def test_line_breaks_are_refused_in_a_line_only(line_break: str) -> None:
    text = f"first{line_break}Bcc: second"
    assert forbidden_character(text) == f"U+{ord(line_break[0]):04X}"
    assert forbidden_character(text, one_line=False) is None
    data = {"name": {"en": text}, "note": text}
    assert _faults(data, frozenset({"name"})) == ["/name/en"]


@pytest.mark.parametrize(("text", "character"), NAMES_WITH_TRICKS)
def test_tricks_are_found_wherever_they_stand(text: str, character: str) -> None:
    data = {"known": {"en": text}, "list": ["x", {"deep/er": text}], text: 1}
    assert measure(data)[1] is False
    faults = [*value_faults(data, frozenset())]
    assert [fault.place for fault in faults] == [
        "",
        "/known/en",
        "/list/1/deep~1er",
    ]
    assert all(character in fault.expected for fault in faults)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (2**53, "expected a finite number below 2^53"),
        (-(2**53), "expected a finite number below 2^53"),
        (10**400, "expected a finite number below 2^53"),
        (math.nan, "expected a finite number below 2^53"),
        (math.inf, "expected a finite number below 2^53"),
        (-math.inf, "expected a finite number below 2^53"),
        (1e300, "expected a finite number below 2^53"),
        (b"bytes", "expected a JSON value"),
        ({1, 2}, "expected a JSON value"),
        (object(), "expected a JSON value"),
    ],
)
@pytest.mark.parametrize("wrap", [lambda value: value, lambda value: [1, value], lambda value: {"a": {"b": value}}])
def test_values_that_are_not_json_of_the_protocol_are_named(value: object, expected: str, wrap: Any) -> None:
    data = {"parent": None, "extra": wrap(value)}
    if not (isinstance(value, float) and abs(value) < math.inf):  # a huge finite number is only looked at closely
        assert measure(data)[1] is False
    assert [fault.expected for fault in value_faults(data, frozenset())] == [expected]


def test_names_of_members_must_be_text() -> None:
    assert measure({1: "a"})[1] is False  # type: ignore[dict-item]
    assert [fault.expected for fault in value_faults({1: "a"}, ())] == ["expected text as the name of each member"]  # type: ignore[dict-item]


def test_depth_is_bounded_however_deep_it_is() -> None:
    data: dict[str, Any] = {}
    for _ in range(100_000):
        data = {"a": [data]}
    assert measure(data) == (0, False)
    [fault] = value_faults(data, frozenset())
    assert fault.place.count("/") == MAX_DEPTH + 1
    assert fault.expected == f"expected at most {MAX_DEPTH} levels"
    while data:  # taken apart by hand: freeing it in one go would recurse as deep
        data = data["a"].pop()


def test_nesting_to_the_bound_is_allowed_and_one_more_is_not() -> None:
    value: list[Any] = []
    for _ in range(MAX_DEPTH - 1):
        value = [value]
    assert _faults({"a": value}) == []
    assert measure({"a": [value]})[1] is False
    assert _faults({"a": [value]}) == ["/a" + "/0" * MAX_DEPTH]


def test_a_null_in_the_open_is_harmless_and_a_hidden_one_is_looked_at() -> None:
    assert measure({"parent": None, "to": None})[1] is True
    assert measure({"list": [None]})[1] is False
    assert measure({"name": "null"})[1] is False
    assert _faults({"list": [None], "name": "null"}) == []


@given(st.dictionaries(st.text(max_size=4), values, max_size=4))
def test_what_is_plainly_harmless_has_no_fault(data: dict[str, Any]) -> None:
    size, harmless = measure(data)
    faults = _faults(data, frozenset(data))
    if harmless:
        assert faults == []
        assert size == len(orjson.dumps(data))
    if not faults:
        assert size > 0


@given(st.text())
def test_a_pointer_step_is_one_step(text: str) -> None:
    step = escape(text)
    assert "/" not in step
    assert step.replace("~1", "/").replace("~0", "~") == text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Pоlice", ["Pоlice"]),  # the o is Cyrillic
        ("Αthens desk", ["Αthens"]),  # the A is Greek
        ("НЦБ Beograd", []),
        ("SIENA пост ИНТЕРПОЛ-а", []),
        ("Управа (УМОПС)", []),
        ("EC3 центар", []),
        ("Police", []),
        ("Őrség", []),
        ("e\u0301tat", []),
    ],
)
def test_words_of_several_scripts_are_found(text: str, words: list[str]) -> None:
    assert mixed_script_words(text) == words
