"""A checker of evidence by somebody else: the standard library and Ed25519 alone, written from the protocol's text.

It shares no line with the program, so that a mistake of the program is not proven right by itself.
"""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class NotProvenError(Exception):
    """What does not hold."""


def check(evidence: dict[str, Any]) -> str:
    """The thumbprint of the federation key that everything rests on; NotProvenError where the fork is not proven."""
    configurations = [claims(token) for token in evidence["configurations"]]
    if not configurations:
        raise NotProvenError("no configurations")
    keys = configurations[0]["jwks"]["keys"]
    for token, content in zip(evidence["configurations"], configurations, strict=True):
        verify(token, keys, "entity-statement+jwt")
        expect(content["iss"] == content["sub"] == configurations[0]["iss"], "configurations of one node")
        node = content["metadata"]["veza_node"]
        expect(node["participant"] == evidence["participant"], "configurations of the participant")
        keys = content["jwks"]["keys"]
    operating = [key for content in configurations for key in content["metadata"]["veza_node"]["jwks"]["keys"]]
    sides = {}
    for side in ("held", "offered"):
        verify(evidence[side], operating, "veza-checkpoint+jwt")
        sides[side] = claims(evidence[side])
        expect(sides[side]["iss"] == configurations[0]["iss"], f"{side}: its issuer")
        expect(sides[side]["sub"] == evidence["participant"], f"{side}: its participant")
    if sides["held"]["size"] == sides["offered"]["size"]:
        expect(sides["held"]["root"] != sides["offered"]["root"], "two roots")
    else:
        expect(len(evidence["headers"]) == 1, "one row of headers")
        seq, *headers = evidence["headers"][0]
        expect(headers[0] != headers[1], "two headers")
        for side, header in zip(("held", "offered"), headers, strict=True):
            leaf = hashlib.sha256(b"\0" + header.encode()).digest()
            path = [decode(step) for step in evidence["proofs"][side]]
            size, root = sides[side]["size"], decode(sides[side]["root"])
            expect(0 <= seq < size and climb(leaf, seq, size, path) == root, f"{side}: the path of header {seq}")
    return json.loads(decode(evidence["configurations"][0].split(".")[0]))["kid"]


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise NotProvenError(what)


def climb(node: bytes, index: int, size: int, path: list[bytes]) -> bytes | None:
    """The root that a path leads to, by recursion on the largest power of two below the size (RFC 9162, 2.1.1)."""
    if size == 1:
        return node if not path else None
    if not path:
        return None
    split = 1 << ((size - 1).bit_length() - 1)
    *below, top = path
    if index < split:
        left = climb(node, index, split, below)
        return None if left is None else hashlib.sha256(b"\1" + left + top).digest()
    right = climb(node, index - split, size - split, below)
    return None if right is None else hashlib.sha256(b"\1" + top + right).digest()


def verify(token: str, keys: list[dict[str, str]], typ: str) -> None:
    head, body, signature = token.split(".")
    header = json.loads(decode(head))
    expect(header.keys() == {"alg", "typ", "kid"} and header["typ"] == typ, f"a token of type {typ}")
    for key in keys:
        if thumbprint(key) == header["kid"]:
            try:
                Ed25519PublicKey.from_public_bytes(decode(key["x"])).verify(
                    decode(signature), f"{head}.{body}".encode()
                )
            except InvalidSignature as error:
                raise NotProvenError("the signature") from error
            return
    raise NotProvenError("a key that is listed")


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode(token.split(".")[1]))
    return found


def thumbprint(key: dict[str, str]) -> str:
    canonical = json.dumps({name: key[name] for name in ("crv", "kty", "x")}, separators=(",", ":"), sort_keys=True)
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
