"""Fingerprints in words: the published vectors of BIP-39, and every spelling that is refused."""

import pytest

from federation.encoding import b64url_encode
from federation.errors import FederationError
from federation.keys import fingerprint
from federation.words import fingerprint_words, format_fingerprint, parse_fingerprint
from tests.simulators.node_simulator import named_key

VECTORS = {
    "00" * 32: "abandon " * 23 + "art",
    "ff" * 32: "zoo " * 23 + "vote",
    "7f" * 32: "legal winner thank year wave sausage worth useful " * 2
    + "legal winner thank year wave sausage worth title",
    "80" * 32: "letter advice cage absurd amount doctor acoustic avoid " * 2
    + "letter advice cage absurd amount doctor acoustic bless",
    "f585c11aec520db57dd353c69554b21a89b20fb0650966fa0a9d6f74fd989d8f": (
        "void come effort suffer camp survey warrior heavy shoot primary clutch crush "
        "open amazing screen patrol group space point ten exist slush involve unfold"
    ),
}


@pytest.mark.parametrize(("digits", "words"), VECTORS.items())
def test_published_vectors(digits: str, words: str) -> None:
    kid = b64url_encode(bytes.fromhex(digits))
    assert fingerprint_words(kid) == tuple(words.split())
    assert parse_fingerprint(words) == kid
    assert parse_fingerprint(digits) == kid


def test_a_key_has_the_same_words_each_time() -> None:
    kid = named_key("me federation").kid
    assert fingerprint_words(kid) == fingerprint_words(kid)
    assert len(fingerprint_words(kid)) == 24
    assert fingerprint_words(kid) != fingerprint_words(named_key("rs federation").kid)


def test_people_read_four_rows_of_words_and_two_of_digits() -> None:
    kid = named_key("me federation").kid
    lines = format_fingerprint(kid).splitlines()
    assert [len(line.split()) for line in lines] == [6, 6, 6, 6, 8, 8]
    assert " ".join(lines[:4]).split() == list(fingerprint_words(kid))
    assert " ".join(lines[4:]) == fingerprint(kid)


@pytest.mark.parametrize(
    "change", [str.upper, str.title, lambda text: f"  {text}\n", lambda text: text.replace(" ", "  ")]
)
def test_spacing_and_case_do_not_matter(change) -> None:
    kid = named_key("me federation").kid
    assert parse_fingerprint(change(" ".join(fingerprint_words(kid)))) == kid
    assert parse_fingerprint(change(fingerprint(kid))) == kid


def test_digits_may_be_joined_by_colons_or_by_nothing() -> None:
    kid = named_key("me federation").kid
    assert parse_fingerprint(fingerprint(kid).replace(" ", ":")) == kid
    assert parse_fingerprint(fingerprint(kid).replace(" ", "")) == kid
    assert parse_fingerprint(format_fingerprint(kid).split("\n", 4)[4]) == kid


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "found 0 words"),
        ("abandon " * 23, "found 23 words"),
        ("abandon " * 24, "do not belong together"),
        ("abandon " * 23 + "arts", "no such word is in the list: 'arts'"),
        ("00" * 31, "found 1 words"),
        ("0g" * 32, "found 1 words"),
        ("летва " * 24, "no such word"),
    ],
)
def test_what_is_no_fingerprint_is_refused(text: str, says: str) -> None:
    with pytest.raises(FederationError) as refused:
        parse_fingerprint(text)
    assert refused.value.code == "bad_request"
    assert says in refused.value.detail


@pytest.mark.parametrize("kid", ["", "AAAA", "not base64url!", "AA=="])
def test_what_is_no_thumbprint_has_no_words(kid: str) -> None:
    with pytest.raises(FederationError) as refused:
        fingerprint_words(kid)
    assert refused.value.code == "malformed"
