"""Who may read which log: short-lived tokens of trusted nodes (protocol.md, section 6, *Who may read*)."""

import datetime as dt
from collections.abc import Callable

from sqlalchemy.orm import Session

from federation.clock import whole_seconds
from federation.errors import NotHeldError, TokenError, TrustError
from federation.identity import Identity
from federation.keys import KeySet
from federation.participants import TrustedNode, load_by_entity, load_participant
from federation.signing import READ_TOKEN, parse_token, sign, verify_token
from federation.trusted_anchor import load_anchor

LIFETIME = dt.timedelta(seconds=300)


def make_read_token(identity: Identity, audience: str, now: dt.datetime) -> str:
    """A token with which this node may read at ``audience`` (an entity identifier) for five minutes."""
    issued = int(whole_seconds(now).timestamp())
    claims = {
        "iss": identity.entity_id,
        "aud": audience,
        "iat": issued,
        "exp": issued + int(LIFETIME.total_seconds()),
    }
    return sign(claims, identity.operating_key, READ_TOKEN.typ)


def verify_read_token(
    token: str | bytes, entity_id: str, lookup: Callable[[str], KeySet | None], now: dt.datetime
) -> str:
    """The reader's entity identifier, proven.

    ``entity_id`` is this node's own, ``lookup`` gives the operating keys of a trusted issuer. Raises TokenError
    ``unauthenticated`` for an unknown reader, else the code of the first step of section 2 that fails.
    """
    parsed = parse_token(token, READ_TOKEN)
    issuer = str(parsed.claims["iss"])
    keys = lookup(issuer)
    if keys is None:
        raise TokenError("unauthenticated", f"{issuer[:120]} is no reader that this node trusts")
    verify_token(parsed, keys, now, issuer=issuer, audience=entity_id)
    return issuer


def load_reader_keys(session: Session, issuer: str, now: dt.datetime) -> KeySet | None:
    """The operating keys of a node that is trusted now, None for any other: the ``lookup`` of a database."""
    node = load_by_entity(session, issuer)
    if node is None or not node.is_trusted(now):
        return None
    return node.keys_in_force(now)


def check_may_read_entries(session: Session, reader_id: str, participant: str) -> None:
    """Raise unless this authenticated reader may have the entries of a participant's log.

    NotHeldError where the participant is unknown here, TrustError ``forbidden`` where the reader is outside the
    circle that the origin shares its log with. Checkpoints go to every authenticated reader and need no check.
    """
    origin, reader = load_participant(session, participant), load_by_entity(session, reader_id)
    if origin is None:
        raise NotHeldError(f"no log of {participant} is held here")
    if reader is None or not _may_read(session, origin, reader):
        raise TrustError("forbidden", f"{participant} does not share its log with {reader_id}; ask its own node")


def _may_read(session: Session, origin: TrustedNode, reader: TrustedNode) -> bool:
    if origin.trust == "own" or origin.entity_id == reader.entity_id:
        return True
    configuration = origin.configuration
    if configuration is None:
        return False
    if reader.entity_id in configuration.readers:
        return True
    anchor = load_anchor(session)
    if anchor is None or origin.trust != "anchor" or reader.trust != "anchor":
        return False
    return anchor.entity_id in configuration.authority_hints
