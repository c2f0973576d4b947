"""Messages between nodes and the receipts for them (protocol.md, section 8), as signed statements.

A message is proven in the steps of section 2, in this order: ``parse_message`` does 1 to 5, whoever knows the senders
step 6, ``prove_message`` 7 to 9, the mailbox 10 (repeats), ``check_times`` 11, whoever knows the type 12.
What a message says is its *content*: the same ``jti`` with the same content is the same message, however often it was
signed anew.
"""

import datetime as dt
import hashlib
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from federation.clock import from_timestamp, whole_seconds
from federation.encoding import b64url_encode
from federation.errors import TokenError
from federation.identity import Identity
from federation.keys import KeySet
from federation.signing import MESSAGE, RECEIPT, ParsedToken, parse_token, prove_token, sign, verify_token

LIFETIME = dt.timedelta(hours=24)
"""The longest that section 8 allows; after that a message is signed anew."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose sender is proven."""

    issuer: str
    """The entity identifier of the node that sent it."""
    audience: str
    jti: str
    type: str
    body: Mapping[str, Any] = field(repr=False)
    token: str = field(repr=False)

    @property
    def content(self) -> bytes:
        """SHA-256 over what it says."""
        return content_digest(self.audience, self.type, self.body)


def new_jti() -> str:
    """A random name for a new message."""
    return str(uuid.uuid4())


def content_digest(audience: str, type_: str, body: Mapping[str, Any]) -> bytes:
    """SHA-256 over ``aud``, ``type`` and ``body``, in whatever order their members were written."""
    content = {"aud": audience, "type": type_, "body": body}
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def token_digest(token: str) -> str:
    """The ``digest`` of a receipt: base64url SHA-256 of a message's JWT."""
    return b64url_encode(hashlib.sha256(token.encode("ascii")).digest())


def make_message(
    identity: Identity,
    *,
    audience: str,
    jti: str,
    type_: str,
    body: Mapping[str, Any],
    now: dt.datetime,
    lifetime: dt.timedelta = LIFETIME,
) -> str:
    """Sign a message to the node ``audience`` (its entity identifier)."""
    issued = int(whole_seconds(now).timestamp())
    claims = {
        "iss": identity.entity_id,
        "aud": audience,
        "jti": jti,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "type": type_,
        "body": body,
    }
    return sign(claims, identity.operating_key, MESSAGE.typ)


def parse_message(token: str | bytes) -> ParsedToken:
    """Steps 1 to 5; nobody has vouched for the claims yet. TokenError with the code of the first that fails."""
    return parse_token(token, MESSAGE)


def prove_message(parsed: ParsedToken, keys: KeySet, *, issuer: str, audience: str) -> Message:
    """Steps 7 to 9 with the keys that trust established for the issuer; TokenError with the first code that fails."""
    prove_token(parsed, keys, issuer=issuer, audience=audience)
    claims = parsed.claims
    return Message(claims["iss"], claims["aud"], claims["jti"], claims["type"], claims["body"], parsed.token)


def read_times(token: str) -> tuple[dt.datetime, dt.datetime]:
    """``iat`` and ``exp`` of a message that this node signed."""
    claims = parse_token(token, MESSAGE).claims
    return from_timestamp(claims["iat"]), from_timestamp(claims["exp"])


def make_receipt(identity: Identity, message: Message, now: dt.datetime) -> str:
    """Sign that this node holds the message since ``now``, in the very form in which it came first."""
    return _sign_receipt(
        identity,
        {
            "iss": identity.entity_id,
            "aud": message.issuer,
            "iat": int(whole_seconds(now).timestamp()),
            "jti": message.jti,
            "digest": token_digest(message.token),
        },
    )


def sign_receipt_anew(identity: Identity, receipt: str) -> str:
    """The same claims under the key that signs now: for a repeat whose receipt's key is gone."""
    return _sign_receipt(identity, parse_token(receipt, RECEIPT).claims)


def _sign_receipt(identity: Identity, claims: Mapping[str, Any]) -> str:
    return sign(claims, identity.operating_key, RECEIPT.typ)


def verify_receipt(
    receipt: str | bytes,
    keys: KeySet,
    now: dt.datetime,
    *,
    issuer: str,
    audience: str,
    jti: str,
    tokens: Collection[str],
) -> dt.datetime:
    """When the node ``issuer`` took the message, proven: its receipt for one of the ``tokens`` that were signed for it.

    Raises TokenError with the code of the first step of section 2 that fails, ``malformed`` where the receipt is
    for another message or for a token that was never signed.
    """
    parsed = parse_token(receipt, RECEIPT)
    claims = verify_token(parsed, keys, now, issuer=issuer, audience=audience)
    if claims["jti"] != jti:
        raise TokenError("malformed", f"expected a receipt for the message {jti}, found one for {claims['jti']}")
    if claims["digest"] not in {token_digest(token) for token in tokens}:
        raise TokenError("malformed", f"expected a receipt for what was sent as {jti}, found one for other bytes")
    return from_timestamp(claims["iat"])
