"""Signed statements: JWS compact serialisations, checked in the order of protocol.md, section 2.

The first failing step is the answer. ``parse_token`` does what needs no key, ``verify_token`` the rest:

1. length, 2. form (three canonical base64url parts, a header of exactly ``alg typ kid``, strict JSON), 3. ``typ``,
4. algorithm, 5. claims; then 6. issuer and subject, 7. ``kid``, 8. signature, 9. audience, 11. times and lifetime.

Steps 10 and 12 (repeats, content) belong to whoever reads the claims.
PyJWT does the signature itself and nothing else: it would accept what the other steps refuse.
"""

import datetime as dt
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from federation.encoding import MAX_INTEGER, b64url_decode, dump_json, parse_json
from federation.errors import FederationError, TokenError
from federation.keys import EDDSA_NAMES, KeySet, PublicKey, SigningKey

CLOCK_SKEW = dt.timedelta(seconds=300)
_HEADER = {"alg", "typ", "kid"}
_ANCHOR_ALGORITHMS = (*EDDSA_NAMES, "ES256", "PS256", "RS256")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_JWS = jwt.PyJWS(algorithms=["EdDSA", "ES256", "PS256", "RS256"])
_JWS.register_algorithm("Ed25519", _JWS.get_algorithm_by_name("EdDSA"))


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 300


def _is_integer(value: object) -> bool:
    return type(value) is int and 0 <= value < MAX_INTEGER  # a bool is no integer


def _is_hash(value: object) -> bool:
    try:
        return isinstance(value, str) and len(b64url_decode(value)) == 32
    except TokenError:
        return False


def _is_uuid(value: object) -> bool:
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _is_anything(value: object) -> bool:
    return True  # ``aud`` is judged by step 9


ClaimTypes = Mapping[str, tuple[Callable[[object], bool], str]]
_TEXT = (_is_text, "a text of 1 to 300 characters")
_INTEGER = (_is_integer, "an integer from 0 below 2^53")
_HASH = (_is_hash, "32 bytes of base64url")
_UUID_CLAIM = (_is_uuid, "a UUID in lower case")
_OBJECT = (_is_object, "an object")
_ANYTHING = (_is_anything, "a value")


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What one kind of statement must look like: ``typ``, length, claims with their types, longest life."""

    typ: str
    max_bytes: int
    claims: ClaimTypes
    closed: bool
    """True where no other claims may stand."""
    lifetime: dt.timedelta | None = None
    algorithms: tuple[str, ...] = EDDSA_NAMES


CHECKPOINT = TokenKind(
    "veza-checkpoint+jwt",
    8 * 1024,
    {"iss": _TEXT, "sub": _TEXT, "size": _INTEGER, "root": _HASH, "iat": _INTEGER, "exp": _INTEGER},
    closed=True,
    lifetime=dt.timedelta(days=7),
)
READ_TOKEN = TokenKind(
    "veza-read+jwt",
    8 * 1024,
    {"iss": _TEXT, "aud": _ANYTHING, "iat": _INTEGER, "exp": _INTEGER},
    closed=True,
    lifetime=dt.timedelta(seconds=300),
)
MESSAGE = TokenKind(
    "veza-message+jwt",
    32 * 1024,
    {
        "iss": _TEXT,
        "aud": _ANYTHING,
        "jti": _UUID_CLAIM,
        "iat": _INTEGER,
        "exp": _INTEGER,
        "type": _TEXT,
        "body": _OBJECT,
    },
    closed=False,
    lifetime=dt.timedelta(hours=24),
)
RECEIPT = TokenKind(
    "veza-receipt+jwt",
    8 * 1024,
    {"iss": _TEXT, "aud": _ANYTHING, "iat": _INTEGER, "jti": _UUID_CLAIM, "digest": _HASH},
    closed=True,
)
_STATEMENT_CLAIMS: ClaimTypes = {
    "iss": _TEXT,
    "sub": _TEXT,
    "iat": _INTEGER,
    "exp": _INTEGER,
    "jwks": _OBJECT,
    "metadata": _OBJECT,
}
ENTITY_STATEMENT = TokenKind("entity-statement+jwt", 64 * 1024, _STATEMENT_CLAIMS, closed=False)
ANCHOR_STATEMENT = TokenKind(
    "entity-statement+jwt", 64 * 1024, _STATEMENT_CLAIMS, closed=False, algorithms=_ANCHOR_ALGORITHMS
)
"""An anchor can be other software: its own configuration and its statements may use other algorithms."""


@dataclass(frozen=True, slots=True)
class ParsedToken:
    """A statement of the right form that nobody has vouched for yet."""

    kind: TokenKind
    token: str
    algorithm: str
    kid: str
    claims: Mapping[str, Any] = field(repr=False)


def sign(claims: Mapping[str, Any], key: SigningKey, typ: str) -> str:
    """Sign claims with EdDSA as a compact JWS with a header of exactly ``alg typ kid``."""
    return _JWS.encode(dump_json(claims), key.private, algorithm="EdDSA", headers={"typ": typ, "kid": key.kid})


def parse_token(token: str | bytes, kind: TokenKind) -> ParsedToken:
    """Steps 1 to 5: the claims of a statement of this kind, still unverified.

    Raises TokenError with the code of the first step that fails.
    """
    text = _bounded_text(token, kind.max_bytes)  # (1)
    header, claims, signature = _parts(text)  # (2)
    if header["typ"] != kind.typ:  # (3)
        raise TokenError("wrong_type", f"expected typ {kind.typ}, found {_short(header['typ'])}")
    if header["alg"] not in kind.algorithms or not signature:  # (4)
        expected = ", ".join(kind.algorithms)
        raise TokenError("bad_signature", f"expected a signature with {expected}, found alg {_short(header['alg'])}")
    _check_claims(claims, kind)  # (5)
    return ParsedToken(kind, text, header["alg"], header["kid"], claims)


def verify_token(
    parsed: ParsedToken,
    keys: KeySet,
    now: dt.datetime,
    *,
    issuer: str,
    subject: str | None = None,
    audience: str | None = None,
    relayed: bool = False,
) -> Mapping[str, Any]:
    """Steps 6 to 11: the claims, proven to be the issuer's.

    ``keys`` are those that trust established for this issuer. ``relayed`` statements may be expired: they arrive as
    stale. Raises TokenError with the code of the first step that fails.
    """
    prove_token(parsed, keys, issuer=issuer, subject=subject, audience=audience)
    check_times(parsed, now, relayed=relayed)  # (11)
    return parsed.claims


def prove_token(
    parsed: ParsedToken,
    keys: KeySet,
    *,
    issuer: str,
    subject: str | None = None,
    audience: str | None = None,
) -> None:
    """Steps 6 to 9: raise TokenError with the code of the first that fails; whoever knows repeats does step 10 next."""
    check_party(parsed, issuer, subject)  # (6)
    key = keys.get(parsed.kid)  # (7)
    if key is None:
        raise TokenError("unknown_key", f"{issuer} lists no key {_short(parsed.kid)}")
    _check_signature(parsed, key)  # (8)
    if audience is not None and parsed.claims["aud"] != audience:  # (9)
        raise TokenError("wrong_audience", f"expected aud {audience}, found {_short(parsed.claims['aud'])}")


def is_signed_by(token: str | bytes, keys: KeySet) -> bool:
    """Whether one of ``keys`` signed this token, whatever else is wrong with it: then its sender can be blamed."""
    try:
        text = _bounded_text(token, ENTITY_STATEMENT.max_bytes)
        head, *rest = text.split(".")
        header = _object(b64url_decode(head), "token header") if len(rest) == 2 else {}
        key = keys.get(str(header.get("kid")))
        if key is None or header.get("alg") not in key.algorithms:
            return False
        _JWS.decode(text, key.key, algorithms=list(key.algorithms))
    except (TokenError, jwt.PyJWTError):
        return False
    return True


def read_kid(token: str) -> str:
    """The ``kid`` of a token that was verified before it was stored."""
    return str(_object(b64url_decode(token.split(".", 1)[0]), "token header")["kid"])


def check_party(parsed: ParsedToken, issuer: str, subject: str | None) -> None:
    """Step 6: ``iss`` and, where one is expected, ``sub``; TokenError ``wrong_issuer`` or ``wrong_participant``."""
    if parsed.claims["iss"] != issuer:
        raise TokenError("wrong_issuer", f"expected iss {issuer}, found {_short(parsed.claims['iss'])}")
    if subject is not None and parsed.claims["sub"] != subject:
        raise TokenError("wrong_participant", f"expected sub {subject}, found {_short(parsed.claims['sub'])}")


def _bounded_text(token: str | bytes, max_bytes: int) -> str:
    if len(token) > max_bytes:
        raise TokenError("too_large", f"expected at most {max_bytes} bytes, found {len(token)}")
    try:
        return token if isinstance(token, str) else token.decode("ascii")
    except UnicodeDecodeError as error:
        raise TokenError("malformed", "expected a token in ASCII, found other bytes") from error


def _parts(text: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Step 2: header, claims, signature."""
    parts = text.split(".")
    if len(parts) != 3:
        raise TokenError("malformed", f"expected three parts joined by dots, found {len(parts)}")
    header_bytes, claims_bytes, signature = (b64url_decode(part) for part in parts)
    header = _object(header_bytes, "token header")
    if header.keys() != _HEADER:
        found = ", ".join(sorted(_short(name) for name in header))
        raise TokenError("bad_header", f"expected a header of exactly alg, typ, kid; found {found}"[:300])
    if not isinstance(header["kid"], str):
        raise TokenError("malformed", f"expected kid to be a text, found {_short(header['kid'])}")
    return header, _object(claims_bytes, "token claims"), signature


def _object(data: bytes, what: str) -> dict[str, Any]:
    try:
        value = parse_json(data, what)
    except FederationError as error:
        raise TokenError(error.code, error.detail) from error
    if not isinstance(value, dict):
        raise TokenError("malformed", f"expected {what} to be an object")
    return value


def _check_claims(claims: Mapping[str, Any], kind: TokenKind) -> None:
    _check_names(claims, kind)
    for name, (fits, expected) in kind.claims.items():
        if not fits(claims[name]):
            raise TokenError("malformed", f"expected {name} to be {expected}, found {_short(claims[name])}")
    if "exp" in kind.claims and claims["exp"] <= claims["iat"]:
        raise TokenError("malformed", f"expected exp after iat, found iat {claims['iat']}, exp {claims['exp']}")


def _check_names(claims: Mapping[str, Any], kind: TokenKind) -> None:
    missing = sorted(kind.claims.keys() - claims.keys())
    if missing:
        raise TokenError("malformed", f"expected the claims {', '.join(missing)}, found none")
    unexpected = sorted(claims.keys() - kind.claims.keys())
    if kind.closed and unexpected:
        raise TokenError("malformed", f"expected no other claims, found {_short(unexpected)}")


def _check_signature(parsed: ParsedToken, key: PublicKey) -> None:
    if parsed.algorithm not in key.algorithms:
        raise TokenError("bad_signature", f"the key {key.kid} does not fit alg {parsed.algorithm}")
    try:
        _JWS.decode(parsed.token, key.key, algorithms=[parsed.algorithm])
    except jwt.PyJWTError as error:
        raise TokenError("bad_signature", f"the signature is not that of the key {key.kid}") from error


def check_times(parsed: ParsedToken, now: dt.datetime, *, relayed: bool = False) -> None:
    """Step 11: ``iat``, ``exp`` and the longest life of this kind; TokenError where one of them does not hold."""
    instant, skew = int(now.timestamp()), int(CLOCK_SKEW.total_seconds())
    issued, expires = parsed.claims["iat"], parsed.claims.get("exp")
    if issued > instant + skew:
        raise TokenError("not_yet_valid", f"issued at {issued}, which is {issued - instant} s ahead of {instant} here")
    if expires is None or "exp" not in parsed.kind.claims:
        return
    if not relayed and expires < instant - skew:
        raise TokenError("expired", f"expired at {expires}, which is {instant - expires} s before {instant} here")
    lifetime = parsed.kind.lifetime
    if lifetime is not None and expires - issued > lifetime.total_seconds():
        raise TokenError("malformed", f"expected exp at most {lifetime} after iat, found {expires - issued} s")


def _short(value: object) -> str:
    return repr(value)[:80]
