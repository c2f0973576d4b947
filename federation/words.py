"""Fingerprints that two people can compare over the telephone: a key's thumbprint as 24 English words.

The words are those of BIP-39: 11 bits each, the last one with a checksum, so that a word misheard is noticed. The
hexadecimal form says the same and is for copying. Whoever compares one of them has compared the key.
"""

import binascii
import functools

from mnemonic import Mnemonic

from federation.encoding import b64url_decode, b64url_encode
from federation.errors import FederationError, TokenError
from federation.keys import fingerprint

WORDS = 24
_WORDS_PER_ROW = 6
_HEX_DIGITS = 64
_GROUPS_PER_ROW = 8


@functools.cache
def _english() -> Mnemonic:
    return Mnemonic("english")


def fingerprint_words(kid: str) -> tuple[str, ...]:
    """The 24 words of a key's thumbprint (32 bytes of base64url); TokenError ``malformed`` for anything else."""
    thumbprint = b64url_decode(kid)
    if len(thumbprint) != 32:
        raise TokenError("malformed", f"expected a thumbprint of 32 bytes, found {len(thumbprint)}")
    return tuple(_english().to_mnemonic(thumbprint).split(" "))


def format_fingerprint(kid: str) -> str:
    """The fingerprint for people, on several lines: words in rows of six, the same in hexadecimal groups below."""
    return "\n".join(
        [*_rows(fingerprint_words(kid), _WORDS_PER_ROW), *_rows(fingerprint(kid).split(), _GROUPS_PER_ROW)]
    )


def parse_fingerprint(text: str) -> str:
    """The ``kid`` that a fingerprint stands for, given as 24 words or in hexadecimal, in any case and spacing.

    FederationError ``bad_request`` says what is wrong with any other text; a word too few or one that was misheard is
    noticed by the checksum.
    """
    plain = text.lower().replace(":", " ").replace("-", " ").split()
    digits = "".join(plain)
    if len(digits) == _HEX_DIGITS and not set(digits) - set("0123456789abcdef"):
        return b64url_encode(binascii.unhexlify(digits))
    if len(plain) != WORDS:
        raise FederationError(
            "bad_request",
            f"expected a fingerprint of {WORDS} words or {_HEX_DIGITS} hexadecimal digits, found {len(plain)} words",
        )
    try:
        return b64url_encode(bytes(_english().to_entropy(plain)))
    except (ValueError, LookupError) as error:
        raise FederationError("bad_request", f"expected the words of a fingerprint: {_explain(plain)}") from error


def _explain(words: list[str]) -> str:
    known = set(_english().wordlist)
    strange = [word for word in words if word not in known]
    return f"no such word is in the list: {strange[0][:30]!r}" if strange else "they do not belong together; ask again"


def _rows(parts: "tuple[str, ...] | list[str]", width: int) -> list[str]:
    return [" ".join(parts[start : start + width]) for start in range(0, len(parts), width)]
