"""Bytes as text and back, without a second reading: canonical base64url and strict JSON (protocol.md, sections 1, 2).

Whatever two parsers could read differently is refused: padding, stray bits, duplicate members, ``NaN``, numbers that
lose digits, lone surrogates, NUL, and nesting without bound.
"""

import base64
import binascii
import json
import math
import re
from collections.abc import Sequence
from typing import Any

import orjson

from federation.errors import FederationError, TokenError

MAX_DEPTH = 32
MAX_INTEGER = 2**53
"""Integers are below this (section 1)."""

_CANONICAL = re.compile(r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?", re.ASCII)
"""The last character carries no stray bits: each run of bytes has one spelling."""
_STANDARD_ALPHABET = str.maketrans("-_", "+/")
_LONG_NUMBER = re.compile(rb"\d{16}")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def b64url_encode(data: bytes) -> str:
    """Unpadded base64url."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64url_decode(text: str) -> bytes:
    """The bytes of unpadded, canonical base64url; TokenError ``malformed`` for any other spelling of them."""
    if _CANONICAL.fullmatch(text) is None:
        raise TokenError("malformed", "expected canonical base64url without padding, found another spelling")
    return binascii.a2b_base64(text.translate(_STANDARD_ALPHABET) + "=" * (-len(text) % 4))


def dump_json(value: object) -> bytes:
    """Compact JSON in UTF-8 that escapes only what JSON requires; ValueError for NaN and infinities."""
    return _ENCODER.encode(value).encode("utf-8")


def parse_json(text: bytes | str, what: str, max_depth: int = MAX_DEPTH) -> object:
    """Read strict JSON; ``what`` names it in the error.

    Raises FederationError ``malformed`` for invalid Unicode, NUL, duplicate members, numbers that are not finite or
    not below 2^53 in whole, and nesting deeper than ``max_depth``.
    """
    try:
        data = text.encode("utf-8") if isinstance(text, str) else text
        quick = _parse_own_form(data, max_depth)
        return _parse_strictly(data.decode("utf-8"), max_depth) if quick is None else quick
    except UnicodeError as error:
        raise FederationError("malformed", f"{what}: expected valid Unicode in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise FederationError("malformed", f"{what}: {error}") from error


def _parse_own_form(data: bytes, max_depth: int) -> object:
    """The value where ``data`` is what a compact writer makes of it, else None: nothing to read twice in that form.

    Writing the value again and comparing shows duplicate members, odd numbers and needless escapes at a fraction of
    the cost of the strict reading, which decides everything else.
    """
    if data.count(b"{") + data.count(b"[") > max_depth or _LONG_NUMBER.search(data) or b"\\u" in data:
        return None
    try:
        value: object = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return value if orjson.dumps(value) == data else None


def _parse_strictly(text: str, max_depth: int) -> object:
    if _depth(text) > max_depth:
        raise ValueError(f"expected nesting of at most {max_depth} levels")
    value: object = _DECODER.decode(text)
    # Escapes are the only way to a surrogate or NUL that survives decoding the bytes.
    if "\\u" in text and _has_forbidden_characters(value):
        raise ValueError("expected valid Unicode without NUL, found an escaped surrogate or NUL")
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRUCTURE.finditer(text):
        mark = match.group()
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _has_forbidden_characters(value: object) -> bool:
    flat = _ENCODER.encode(value)
    return "\\u0000" in flat.replace("\\\\", "") or any("\ud800" <= character <= "\udfff" for character in flat)


def _unique(members: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(members)
    if len(result) != len(members):
        raise ValueError("expected each member once, found one twice")
    return result


def _integer(digits: str) -> int:
    if len(digits) > 17 or abs(int(digits)) >= MAX_INTEGER:
        raise ValueError(f"expected integers below 2^53, found one of {len(digits)} characters")
    return int(digits)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("expected finite numbers, found one beyond every float")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"expected JSON numbers, found {name}")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_number, parse_constant=_constant, strict=True
)
