import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.encoding import MAX_DEPTH, b64url_decode, b64url_encode, dump_json, parse_json
from federation.errors import FederationError, TokenError

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"))
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(st.binary())
def test_base64url_round_trip(data: bytes) -> None:
    assert b64url_decode(b64url_encode(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("AA==", id="padding"),
        pytest.param("AA=", id="half the padding"),
        pytest.param("A", id="one character"),
        pytest.param("AB", id="stray bits"),
        pytest.param("AAF", id="stray bits of three"),
        pytest.param("A+/A", id="the other alphabet"),
        pytest.param("AA A", id="a space"),
        pytest.param("AAAA\n", id="a line break"),
        pytest.param("AAA\u0660", id="an Arabic-Indic digit"),
        pytest.param("AA-\u2011", id="a look-alike hyphen"),
    ],
)
def test_base64url_has_one_spelling(text: str) -> None:
    with pytest.raises(TokenError, match="canonical") as refusal:
        b64url_decode(text)
    assert refusal.value.code == "malformed"


@given(JSON)
def test_json_round_trip(value: object) -> None:
    assert parse_json(dump_json(value), "value") == value


@given(JSON)
def test_json_is_read_alike_in_any_spelling(value: object) -> None:
    assert parse_json(json.dumps(value, indent=1, ensure_ascii=True), "value") == value


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, {"a": [math.nan]}])
def test_numbers_that_json_lacks_are_not_written(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        dump_json(value)


def test_written_json_is_compact_and_escapes_only_what_json_requires() -> None:
    assert dump_json({"a": 'Преш/ево "\\\u2028\x7f', "b": [1, None]}) == (
        '{"a":"Преш/ево \\"\\\\\u2028\x7f","b":[1,null]}'.encode()
    )


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b'{"a":1,"a":2}', id="duplicate member"),
        pytest.param(b'{"a":{"b":1,"\\u0062":2}}', id="duplicate member behind an escape"),
        pytest.param(b"NaN", id="NaN"),
        pytest.param(b"[Infinity]", id="Infinity"),
        pytest.param(b"[-Infinity]", id="-Infinity"),
        pytest.param(b"1e400", id="a number beyond every float"),
        pytest.param(b"9007199254740992", id="2^53"),
        pytest.param(b"-9007199254740992", id="-2^53"),
        pytest.param(b"9223372036854775808", id="2^63"),
        pytest.param(b"1" * 5000, id="5,000 digits"),
        pytest.param(b"-" + b"1" * 5000, id="minus 5,000 digits"),
        pytest.param(b'"\\ud800"', id="lone surrogate"),
        pytest.param(b'"\\udc00\\ud800"', id="surrogates the wrong way round"),
        pytest.param(b'{"\\ud800":1}', id="lone surrogate in a name"),
        pytest.param(b'"\\u0000"', id="NUL"),
        pytest.param(b'"\\\\\\u0000"', id="NUL after a backslash"),
        pytest.param(b'"\x00"', id="raw NUL"),
        pytest.param(b'"\xff"', id="invalid UTF-8"),
        pytest.param(b'"\xed\xa0\x80"', id="surrogate as UTF-8"),
        pytest.param(b"\xef\xbb\xbf1", id="byte order mark"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}{}", id="two values"),
        pytest.param(b"{'a':1}", id="single quotes"),
        pytest.param(b'{"a":1,}', id="trailing comma"),
        pytest.param(b"01", id="leading zero"),
        pytest.param(b'"\n"', id="raw line break in a string"),
        pytest.param(b"[" * 200_000, id="200,000 open brackets"),
        pytest.param(b"[" * 200_000 + b"]" * 200_000, id="depth 200,000"),
        pytest.param(b'{"a":' * 100_000 + b"1" + b"}" * 100_000, id="depth 100,000 of objects"),
    ],
)
def test_json_that_could_be_read_twice_is_malformed(text: bytes) -> None:
    with pytest.raises(FederationError) as refusal:
        parse_json(text, "the body")
    assert refusal.value.code == "malformed"
    assert "the body" in refusal.value.detail


@pytest.mark.parametrize("text", ['"\ud800"', "'"])
def test_text_is_judged_like_bytes(text: str) -> None:
    with pytest.raises(FederationError, match="malformed"):
        parse_json(text, "the body")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"9007199254740991", 2**53 - 1),
        (b'"\\ud83d\\ude00"', "😀"),
        (b'"\\\\u0000"', "\\u0000"),
        (b'["[[[[", "]]", "\\"{"]', ["[[[[", "]]", '"{']),
        (b" null ", None),
        (b"1.50", 1.5),
        (b"123456789.123456789012345678", 123456789.12345679),
    ],
)
def test_json_that_has_one_reading_is_read(text: bytes, value: object) -> None:
    assert parse_json(text, "value") == value


def test_nesting_is_bounded_exactly() -> None:
    assert parse_json(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "value") is not None
    with pytest.raises(FederationError, match="nesting"):
        parse_json(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), "value")
    assert parse_json(b"[" + b"[]," * 50 + b"[]]", "value") == [[]] * 51
