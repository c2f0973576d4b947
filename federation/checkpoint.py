"""Checkpoints: the origin's signed word on how long its log is and what stands in it (protocol.md, section 5).

``read_checkpoint`` does what needs no key, ``verify_checkpoint`` proves who said it, ``compare_checkpoint`` puts it
beside what is held. Only the comparison that needs no entries is made here; whether a larger checkpoint continues
what is held shows when its entries are replayed on the frontier.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from federation.clock import check_clock, from_timestamp, whole_seconds
from federation.encoding import b64url_decode, b64url_encode
from federation.errors import LogIntegrityError, TokenError
from federation.head import Head
from federation.identity import Identity
from federation.keys import KeySet
from federation.merkle import EMPTY_ROOT
from federation.signing import CHECKPOINT, ParsedToken, parse_token, sign, verify_token

LIFETIME = dt.timedelta(hours=48)

Standing = Literal["fresh", "ahead", "older"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The claims of a checkpoint, its exact token, and the key that signed it."""

    participant: str
    issuer: str
    size: int
    root: bytes
    issued_at: dt.datetime
    expires_at: dt.datetime
    token: str
    kid: str


def make_checkpoint(
    identity: Identity,
    size: int,
    root: bytes,
    now: dt.datetime,
    not_before: dt.datetime | None = None,
    lifetime: dt.timedelta = LIFETIME,
) -> Checkpoint:
    """Sign a checkpoint of the own log; its ``iat`` is never below ``not_before``, the last one's.

    Raises ClockError where ``now`` is far before the last one: a clock that went back signs nothing.
    """
    check_clock(now, not_before)
    issued_at = max(whole_seconds(now), not_before or whole_seconds(now))
    issued = int(issued_at.timestamp())
    claims = {
        "iss": identity.entity_id,
        "sub": identity.participant,
        "size": size,
        "root": b64url_encode(root),
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
    }
    return read_checkpoint(sign(claims, identity.operating_key, CHECKPOINT.typ))


def read_checkpoint(token: str | bytes) -> Checkpoint:
    """The claims of a checkpoint, not yet verified (steps 1 to 5 of section 2)."""
    return _checkpoint(parse_token(token, CHECKPOINT))


def verify_checkpoint(
    token: str | bytes,
    *,
    entity_id: str,
    participant: str,
    keys: KeySet,
    now: dt.datetime,
    relayed: bool = False,
) -> Checkpoint:
    """The checkpoint, proven to be ``entity_id``'s about ``participant``'s log.

    ``keys`` are the operating keys that the origin's current configuration lists; a ``relayed`` one may be expired.
    """
    parsed = parse_token(token, CHECKPOINT)
    checkpoint = _checkpoint(parsed)
    verify_token(parsed, keys, now, issuer=entity_id, subject=participant, relayed=relayed)
    return checkpoint


def _checkpoint(parsed: ParsedToken) -> Checkpoint:
    claims = parsed.claims
    root = b64url_decode(claims["root"])
    if claims["size"] == 0 and root != EMPTY_ROOT:
        raise TokenError("malformed", "expected the root of an empty log at size 0, found another")
    return Checkpoint(
        participant=claims["sub"],
        issuer=claims["iss"],
        size=claims["size"],
        root=root,
        issued_at=from_timestamp(claims["iat"]),
        expires_at=from_timestamp(claims["exp"]),
        token=parsed.token,
        kid=parsed.kid,
    )


def compare_checkpoint(held: Head, offered: Checkpoint, *, relayed: bool = False) -> Standing:
    """Where a verified checkpoint stands beside what is held: ``fresh``, ``ahead`` or, from a relay, ``older``.

    Raises LogIntegrityError ``fork`` for another root at the same size, whatever its age and whoever brought it, and
    ``rollback`` for an older one at the origin's own address. An older one from a relay accuses nobody.
    """
    if offered.size > held.size:
        return "ahead"
    if offered.size == held.size and offered.root != held.root:
        raise LogIntegrityError(
            "fork",
            f"{held.participant} signed two roots at size {held.size}: held {held.root.hex()}, "
            f"offered {offered.root.hex()}",
        )
    older = held.issued_at is not None and offered.issued_at < held.issued_at
    if offered.size == held.size and not older:
        return "fresh"
    if relayed:
        return "older"
    raise LogIntegrityError(
        "rollback",
        f"{held.participant}: expected at least size {held.size} issued at {held.issued_at}, "
        f"found size {offered.size} issued at {offered.issued_at}",
    )
