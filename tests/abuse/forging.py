"""Tokens that no honest program would make, signed with the right key unless said otherwise."""

import json
from collections.abc import Callable
from typing import Any

from federation.encoding import b64url_encode, dump_json
from federation.keys import SigningKey
from federation.signing import CHECKPOINT
from tests.abuse.attacked import Attack
from tests.simulators.node_simulator import SimulatedNode

Signer = Callable[[bytes], bytes]


def claims_of(node: SimulatedNode, **changes: object) -> dict[str, Any]:
    """The true claims of a checkpoint, with some changed; ``...`` leaves one out."""
    issued = int(node.now.timestamp())
    true: dict[str, Any] = {
        "iss": node.entity_id,
        "sub": node.participant,
        "size": node.size,
        "root": b64url_encode(node.root),
        "iat": issued,
        "exp": issued + 3600,
    }
    return {name: value for name, value in (true | changes).items() if value is not ...}


def header_of(node: SimulatedNode, **changes: object) -> dict[str, Any]:
    """The true header of a checkpoint, with some members changed; ``...`` leaves one out."""
    true: dict[str, Any] = {"alg": "EdDSA", "typ": CHECKPOINT.typ, "kid": node.identity.operating_key.kid}
    return {name: value for name, value in (true | changes).items() if value is not ...}


def forged(header: bytes, claims: bytes, sign: Signer) -> bytes:
    """Three parts, each exactly as given."""
    text = f"{b64url_encode(header)}.{b64url_encode(claims)}"
    return f"{text}.{b64url_encode(sign(text.encode()))}".encode()


def signed(node: SimulatedNode, header: bytes | None = None, claims: bytes | None = None) -> bytes:
    """A token over these exact bytes, rightly signed by the node's operating key."""
    return forged(
        dump_json(header_of(node)) if header is None else header,
        dump_json(claims_of(node)) if claims is None else claims,
        node.identity.operating_key.private.sign,
    )


def growing(then: Attack) -> Attack:
    """RS publishes ten more entries, and then misbehaves."""

    def attack(node: SimulatedNode) -> None:
        node.grow(10)
        then(node)

    return attack


def serving(make: Callable[[SimulatedNode], bytes]) -> Attack:
    """RS grows by ten entries and serves these bytes as its checkpoint."""

    def attack(node: SimulatedNode) -> None:
        node.grow(10)
        node.checkpoint_token = make(node)

    return attack


def claiming(**changes: object) -> Attack:
    """RS grows by ten entries and signs a checkpoint with these claims in place of the true ones."""
    return serving(lambda node: signed(node, claims=dump_json(claims_of(node, **changes))))


def heading(**changes: object) -> Attack:
    """RS grows by ten entries and signs a checkpoint with these header members in place of the true ones."""
    return serving(lambda node: signed(node, header=dump_json(header_of(node, **changes))))


def writing(member: str, text: bytes) -> Attack:
    """RS signs a checkpoint whose claims hold, in place of a member's value, a text that may be no JSON at all."""

    def make(node: SimulatedNode) -> bytes:
        claims = claims_of(node)
        old = json.dumps(claims[member]).encode()
        whole = dump_json(claims)
        name = json.dumps(member).encode() + b":"
        assert name + old in whole
        return signed(node, claims=whole.replace(name + old, name + text))

    return serving(make)


def signed_by(key: SigningKey, kid: str | None = None) -> Attack:
    """RS grows by ten entries; another key signs, under its own name or another."""

    def make(node: SimulatedNode) -> bytes:
        header = header_of(node, kid=key.kid if kid is None else kid)
        return forged(dump_json(header), dump_json(claims_of(node)), key.private.sign)

    return serving(make)
