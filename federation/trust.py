"""Who vouches for whom: the rules of protocol.md, section 3, as pure functions over statements.

- Under an anchor a node's configuration verifies with the federation keys that the anchor's statement gives, and
  claims the code that the anchor granted.
- A chain of configurations, oldest first, is followed from what is held or pinned: each is signed by a federation key
  of the one before, so a follower that was away sees every rotation; only the last must be in force.
- A configuration that is older than the one held, or of the same second with other bytes, is a rollback.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from federation.encoding import parse_json
from federation.errors import FederationError, LogIntegrityError, TokenError
from federation.keys import KeySet
from federation.signing import ENTITY_STATEMENT, parse_token
from federation.statements import (
    NodeConfiguration,
    SubordinateStatement,
    verify_configuration,
    verify_subordinate_statement,
)

MAX_CHAIN = 256
MAX_LISTED_NODES = 10_000


def resolve_under_anchor(
    *,
    anchor_id: str,
    anchor_keys: KeySet,
    statement: str | bytes,
    configuration: str | bytes,
    entity_id: str,
    now: dt.datetime,
    insecure_urls: bool = False,
) -> tuple[SubordinateStatement, NodeConfiguration]:
    """The anchor's word about a node and the node's own, each proven.

    Raises TokenError with the code of the first rule that either breaks; ``wrong_participant`` where the node claims
    another code than the anchor granted.
    """
    vouched = verify_subordinate_statement(
        statement, keys=anchor_keys, now=now, anchor_id=anchor_id, entity_id=entity_id
    )
    claimed = verify_configuration(
        configuration,
        keys=vouched.federation_keys,
        now=now,
        entity_id=entity_id,
        participant=vouched.participant,
        insecure_urls=insecure_urls,
    )
    return vouched, claimed


def check_newer(held: NodeConfiguration | None, offered: NodeConfiguration) -> Literal["same", "newer"]:
    """Whether a verified configuration replaces the one held; LogIntegrityError ``rollback`` if it contradicts it."""
    if held is None or offered.issued_at > held.issued_at:
        return "newer"
    if offered.token == held.token:
        return "same"
    raise LogIntegrityError(
        "rollback",
        f"{offered.participant}: expected a configuration issued after {held.issued_at}, found {offered.issued_at}",
    )


def follow_chain(
    tokens: Sequence[str],
    *,
    start: KeySet,
    held: NodeConfiguration | None,
    entity_id: str,
    participant: str,
    now: dt.datetime,
    insecure_urls: bool = False,
    relayed: bool = False,
) -> tuple[NodeConfiguration, ...]:
    """The configurations of a chain that come after what is held, oldest first, each proven by the one before.

    ``start`` are the federation keys held or pinned. Configurations from before them are passed over. Raises
    TokenError ``unknown_key`` where nothing in the chain continues from ``start``, ``too_large`` beyond 256.
    """
    if not 1 <= len(tokens) <= MAX_CHAIN:
        raise TokenError("too_large", f"expected a chain of 1 to {MAX_CHAIN} configurations, found {len(tokens)}")
    remaining = _from_start(tokens, start, held)
    if not remaining:
        if held is not None and held.token == tokens[-1]:
            return ()
        raise TokenError("unknown_key", "no configuration of the chain is signed by a key that is held or pinned")
    keys, last, followed = start, held, []
    for number, token in enumerate(remaining, 1):
        configuration = verify_configuration(
            token,
            keys=keys,
            now=now,
            entity_id=entity_id,
            participant=participant,
            insecure_urls=insecure_urls,
            relayed=relayed or number < len(remaining),  # expiry counts for the last only
        )
        check_newer(last, configuration)
        keys, last = configuration.federation_keys, configuration
        followed.append(configuration)
    return tuple(followed)


def _from_start(tokens: Sequence[str], start: KeySet, held: NodeConfiguration | None) -> Sequence[str]:
    parsed = [parse_token(token, ENTITY_STATEMENT) for token in tokens]
    held_at = -1 if held is None else int(held.issued_at.timestamp())
    for number, statement in enumerate(parsed):
        if statement.kid in start and statement.claims["iat"] > held_at:
            return tokens[number:]
    return ()


def parse_chain(body: bytes) -> list[str]:
    """The body of ``GET /federation/v1/configurations/{participant}``: a JSON array of tokens (TokenError)."""
    return _texts(body, "chain of configurations", MAX_CHAIN)


def parse_node_list(body: bytes) -> list[str]:
    """The body of an anchor's list endpoint: a JSON array of entity identifiers (TokenError)."""
    return _texts(body, "list of nodes", MAX_LISTED_NODES)


def _texts(body: bytes, what: str, most: int) -> list[str]:
    try:
        value = parse_json(body, what)
    except FederationError as error:
        raise TokenError(error.code, error.detail) from error
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TokenError("malformed", f"expected the {what} to be an array of texts")
    if len(value) > most:
        raise TokenError("too_large", f"expected a {what} of at most {most}, found {len(value)}")
    return value
