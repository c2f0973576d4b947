"""A participant's configuration: fetched from its own address at each sync (protocol.md, section 3).

- No answer, or one that cannot be used, leaves the configuration held in force until it expires; relays may have a
  newer chain.
- A refused one changes nothing held and fails the sync with its code.
- Where a peer's federation keys changed, the chain of configurations since the one held is followed; under an anchor
  the anchor's statement decides.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import replace

from sqlalchemy.orm import Session

from federation.errors import FederationError, LogIntegrityError, TokenError
from federation.keys import KeySet
from federation.participants import TrustedNode, store_configuration
from federation.statements import NodeConfiguration, verify_configuration
from federation.trust import check_newer, follow_chain, parse_chain
from sync.errors import PeerError
from sync.run import Run
from sync.source import Source
from sync.storing import store


def refresh_configuration(run: Run, node: TrustedNode, origin: Source, relays: Iterable[Source]) -> TrustedNode:
    """The node with its newest configuration.

    Raises FederationError where the origin's own address gave one that is refused, the origin's PeerError where it
    gave none and none that is held or relayed can be used.
    """
    try:
        token = origin.configuration()
    except PeerError as error:
        if error.code == "too_large":
            raise  # that is a statement which section 2 refuses, not one that did not come
        if is_usable(node, run.now):
            return node
        relayed = _from_relays(run, node, relays)
        if relayed is None:
            raise
        return relayed
    return _accept(run, node, token, origin)


def is_usable(node: TrustedNode, now: dt.datetime) -> bool:
    """Whether the configuration held is in force: not expired, and signed by a key that trust still rests on."""
    return node.has_configuration_in_force(now)


def keys_in_force(node: TrustedNode, now: dt.datetime) -> KeySet:
    """The keys that verify what the node signs now: none where its configuration is not in force."""
    return node.keys_in_force(now)


def federation_keys(node: TrustedNode) -> KeySet:
    """The keys that a new configuration must verify with: the anchor's word, or else what the held one lists."""
    if node.trust == "anchor" or node.configuration is None:
        return node.federation_keys
    return node.configuration.federation_keys


def verify_offered(run: Run, node: TrustedNode, token: bytes) -> NodeConfiguration:
    """A configuration that somebody offers as the node's newest, proven; nothing is stored.

    Raises FederationError: a code of section 2 or 3, or ``rollback``.
    """
    offered = verify_configuration(
        token,
        keys=federation_keys(node),
        now=run.now,
        entity_id=node.entity_id,
        participant=node.participant,
        insecure_urls=run.node.settings.insecure_urls,
    )
    check_newer(node.configuration, offered)
    return offered


def _accept(run: Run, node: TrustedNode, token: bytes, origin: Source) -> TrustedNode:
    held = node.configuration
    if held is not None and token == held.token.encode("ascii") and is_usable(node, run.now):
        return node
    try:
        followed: tuple[NodeConfiguration, ...] = (verify_offered(run, node, token),)
    except TokenError as error:
        if error.code != "unknown_key" or node.trust == "anchor":
            raise
        followed = _follow(run, node, _chain(origin, error))
    return _store(run, node, followed)


def _chain(origin: Source, refusal: TokenError) -> bytes:
    """The chain that may explain a configuration signed by an unknown key; without one, it is refused."""
    try:
        return origin.configurations()
    except PeerError as error:
        raise refusal from error


def _follow(run: Run, node: TrustedNode, body: bytes) -> tuple[NodeConfiguration, ...]:
    return follow_chain(
        parse_chain(body),
        start=federation_keys(node),
        held=node.configuration,
        entity_id=node.entity_id,
        participant=node.participant,
        now=run.now,
        insecure_urls=run.node.settings.insecure_urls,
    )


def _from_relays(run: Run, node: TrustedNode, relays: Iterable[Source]) -> TrustedNode | None:
    """What the first relay with a chain that continues what is held or vouched for gives."""
    for relay in relays:
        try:
            followed = _follow(run, node, relay.configurations())
        except (PeerError, FederationError):
            continue  # what a relay says accuses nobody
        if followed:
            return _store(run, node, followed)
    return None


def _store(run: Run, node: TrustedNode, followed: tuple[NodeConfiguration, ...]) -> TrustedNode:
    """Store what was verified; where another process stored a newer one meanwhile, that one stays."""

    def keep(session: Session) -> None:
        for configuration in followed:
            try:
                store_configuration(session, configuration)
            except LogIntegrityError:
                continue

    if followed:
        store(run.node.engine, keep)
    return replace(node, configuration=followed[-1]) if followed else node
