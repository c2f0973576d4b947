"""Deterministic nodes, keys and statements for the tests of this package; no real participant is meant."""

import datetime as dt
import hashlib
from typing import Any

import jwt

from federation.encoding import b64url_encode, dump_json
from federation.identity import AnchorIdentity, Identity
from federation.keys import SigningKey, key_from_seed

NOW = dt.datetime(2026, 11, 21, 20, 0, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


def key(name: str) -> SigningKey:
    """The same key for the same name."""
    return key_from_seed(hashlib.sha256(name.encode()).digest())


def identity(participant: str = "ME", operating: str = "", *former: str) -> Identity:
    """A node at https://spoc.example.<code>, with keys that follow from their names."""
    code = participant.lower()
    return Identity(
        participant,
        f"https://spoc.example.{code}",
        key(f"{code} federation"),
        key(operating or f"{code} operating"),
        tuple(key(name) for name in former),
    )


ANCHOR = AnchorIdentity("https://anchor.example.org", key("anchor"))


def unit(name: str = "Duty desk", **members: object) -> dict[str, Any]:
    """A unit record that follows every rule."""
    record = {
        "name": {"en": name},
        "kind": "spoc",
        "level": "central",
        "area": ["ME"],
        "crime_areas": ["*"],
        "channels": ["siena"],
        "languages": ["en"],
        "hours": "24/7",
    }
    return record | members


def forge(header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes, signing: SigningKey) -> str:
    """A compact token over any header and claims, with a valid Ed25519 signature by ``signing``."""
    parts = [value if isinstance(value, bytes) else dump_json(value) for value in (header, claims)]
    text = ".".join(b64url_encode(part) for part in parts)
    return f"{text}.{b64url_encode(signing.private.sign(text.encode()))}"


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token, unverified."""
    return jwt.decode(token, options={"verify_signature": False})


def header_of(token: str) -> dict[str, Any]:
    """The header of a token, unverified."""
    return jwt.get_unverified_header(token)


def altered(token: str, signing: SigningKey, **claims: object) -> str:
    """The token with other claims (``...`` removes one), signed again."""
    changed = {name: value for name, value in (claims_of(token) | claims).items() if value is not ...}
    return forge(header_of(token) | {"kid": signing.kid}, changed, signing)
