"""What the makers of vectors share: two nodes with fixed keys, one instant, and honest or dishonest signatures."""

import hashlib
from typing import Any

from federation.encoding import b64url_encode
from federation.keys import SigningKey
from federation.signing import CHECKPOINT
from tests.unit.federation.samples import NOW, forge, identity, key

ME, RS = identity("ME"), identity("RS")
OPERATING = ME.operating_key
FEDERATION = key("me federation")
IAT = int(NOW.timestamp())
JTI = "0b54f6a8-5f6e-4f0e-9d55-0f9e54a3c111"
HASH = b64url_encode(hashlib.sha256(b"a log of one entry").digest())
Case = dict[str, Any]


def case(name: str, token: str, expect: str, **other: object) -> Case:
    """One example: what it shows, the token, what must be answered, and what differs from the file's situation."""
    return {"name": name, "token": token, "expect": expect} | other


def header(typ: str = CHECKPOINT.typ, signing: SigningKey = OPERATING, **members: object) -> dict[str, Any]:
    """A header of the right form, with other members."""
    return {"alg": "EdDSA", "kid": signing.kid, "typ": typ} | members


def signed(typ: str, claims: dict[str, Any], signing: SigningKey = OPERATING, **changes: object) -> str:
    """A token over claims, some of them changed (``...`` removes one), honestly signed."""
    whole = {name: value for name, value in (claims | changes).items() if value is not ...}
    return forge(header(typ, signing), whole, signing)


def spoiled(token: str) -> str:
    """The token with the first bit of its signature turned."""
    head, body, signature = token.split(".")
    first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    turned = first[first.index(signature[0]) ^ 0b100000]
    return f"{head}.{body}.{turned}{signature[1:]}"
