"""Entity statements of OpenID Federation 1.0, as far as this protocol uses them (protocol.md, section 3).

Three kinds: a node's *configuration* (it speaks about itself), an anchor's configuration, and an anchor's
*subordinate statement* about a node. Chains are anchor → node: ``crit``, metadata policies and intermediates are
refused. Unknown members are ignored; one weak key refuses a configuration whole.
"""

import datetime as dt
import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.addresses import check_announced_url, check_entity_id
from federation.clock import check_clock, from_timestamp, whole_seconds
from federation.errors import KeyFileError, TokenError
from federation.identity import AnchorIdentity, Identity
from federation.keys import KeySet, jwks_of, key_set, parse_jwks
from federation.signing import (
    ANCHOR_STATEMENT,
    ENTITY_STATEMENT,
    ParsedToken,
    check_party,
    parse_token,
    sign,
    verify_token,
)

PROTOCOL = 1
CONFIGURATION_LIFETIME = dt.timedelta(days=7)
LONGEST_CONFIGURATION = dt.timedelta(days=90)
STATEMENT_LIFETIME = dt.timedelta(days=30)
_REFUSED = ("crit", "metadata_policy", "metadata_policy_crit")
_MAX_LISTED = 64
_PARTICIPANT = re.compile(r"[A-Z]{2}|[A-Z][A-Z0-9]{2,11}")


@dataclass(frozen=True, slots=True)
class NodeConfiguration:
    """What a node says about itself, and the exact token in which it says so."""

    entity_id: str
    participant: str
    name: str
    contacts: tuple[str, ...]
    federation_keys: KeySet
    operating_keys: KeySet
    log_url: str
    messages_url: str
    checkpoints_url: str
    authority_hints: tuple[str, ...]
    readers: tuple[str, ...]
    issued_at: dt.datetime
    expires_at: dt.datetime
    token: str
    kid: str
    """The federation key that signed it."""


@dataclass(frozen=True, slots=True)
class AnchorConfiguration:
    """Where an anchor lists and vouches for its nodes."""

    entity_id: str
    list_url: str
    fetch_url: str
    issued_at: dt.datetime
    expires_at: dt.datetime
    token: str


@dataclass(frozen=True, slots=True)
class SubordinateStatement:
    """An anchor's word: these are the federation keys of this node, and this code is its."""

    issuer: str
    entity_id: str
    participant: str
    federation_keys: KeySet
    issued_at: dt.datetime
    expires_at: dt.datetime
    token: str


def make_configuration(
    identity: Identity,
    *,
    now: dt.datetime,
    name: str = "",
    contacts: Sequence[str] = (),
    authority_hints: Sequence[str] = (),
    readers: Sequence[str] = (),
    other_federation_keys: KeySet | None = None,
    lifetime: dt.timedelta = CONFIGURATION_LIFETIME,
    not_before: dt.datetime | None = None,
) -> NodeConfiguration:
    """Sign this node's configuration; its ``iat`` is at least 1 s above ``not_before``, the last one's.

    ``other_federation_keys`` are listed too while a rotation overlaps: the next key before it signs, the former after.
    KeyFileError where the federation key is kept offline, ClockError where ``now`` is far before the last one.
    """
    check_clock(now, not_before)
    if identity.federation_key is None:
        raise KeyFileError("expected the federation key in federation.pem: a configuration is signed with it")
    earliest = whole_seconds(now) if not_before is None else not_before + dt.timedelta(seconds=1)
    federation_keys = {**(other_federation_keys or {}), **key_set(identity.federation_key)}
    claims = _statement(
        identity.entity_id,
        identity.entity_id,
        max(whole_seconds(now), earliest),
        lifetime,
        federation_keys,
        {
            "federation_entity": {"organization_name": name or identity.participant, "contacts": list(contacts)},
            "veza_node": _node(identity, readers),
        },
    )
    if authority_hints:
        claims["authority_hints"] = list(authority_hints)
    return read_configuration(sign(claims, identity.federation_key, ENTITY_STATEMENT.typ))


def _node(identity: Identity, readers: Sequence[str]) -> dict[str, Any]:
    base = f"{identity.entity_id}/federation/v1"
    node: dict[str, Any] = {
        "protocol": PROTOCOL,
        "participant": identity.participant,
        "jwks": jwks_of(identity.listed_operating or key_set(*identity.operating_keys)),
        "log": identity.log_url,
        "messages": f"{base}/messages",
        "checkpoints": f"{base}/checkpoints",
    }
    return node | ({"readers": list(readers)} if readers else {})


def make_anchor_configuration(
    anchor: AnchorIdentity, now: dt.datetime, lifetime: dt.timedelta = CONFIGURATION_LIFETIME
) -> AnchorConfiguration:
    """Sign the configuration of the anchor that this node runs."""
    endpoints = {
        "federation_list_endpoint": f"{anchor.entity_id}/list",
        "federation_fetch_endpoint": f"{anchor.entity_id}/fetch",
    }
    claims = _statement(
        anchor.entity_id,
        anchor.entity_id,
        whole_seconds(now),
        lifetime,
        key_set(anchor.key),
        {"federation_entity": endpoints},
    )
    return _anchor_configuration(parse_token(sign(claims, anchor.key, ANCHOR_STATEMENT.typ), ANCHOR_STATEMENT), True)


def make_subordinate_statement(
    anchor: AnchorIdentity,
    participant: str,
    entity_id: str,
    federation_keys: KeySet,
    now: dt.datetime,
    lifetime: dt.timedelta = STATEMENT_LIFETIME,
) -> SubordinateStatement:
    """Sign the anchor's word about one node."""
    metadata = {"veza_node": {"participant": participant}}
    claims = _statement(anchor.entity_id, entity_id, whole_seconds(now), lifetime, federation_keys, metadata)
    return _subordinate_statement(parse_token(sign(claims, anchor.key, ANCHOR_STATEMENT.typ), ANCHOR_STATEMENT))


def _statement(
    issuer: str,
    subject: str,
    issued_at: dt.datetime,
    lifetime: dt.timedelta,
    keys: KeySet,
    metadata: Mapping[str, Any],
) -> dict[str, Any]:
    issued = int(issued_at.timestamp())
    return {
        "iss": issuer,
        "sub": subject,
        "iat": issued,
        "exp": issued + int(lifetime.total_seconds()),
        "jwks": jwks_of(keys),
        "metadata": metadata,
    }


def verify_configuration(
    token: str | bytes,
    *,
    keys: KeySet | None,
    now: dt.datetime,
    entity_id: str | None,
    participant: str | None = None,
    insecure_urls: bool = False,
    relayed: bool = False,
) -> NodeConfiguration:
    """A node's configuration, proven by one of ``keys``.

    With ``keys`` None only its own signature is checked: nobody vouches for it yet (a proposal to peer); with
    ``entity_id`` None it may name any. ``relayed`` ones may be expired. Raises TokenError with the code of the first
    rule of sections 2 and 3 that it breaks, or TrustError ``insecure_url``.
    """
    parsed = parse_token(token, ENTITY_STATEMENT)
    expected = str(parsed.claims["iss"]) if entity_id is None else entity_id
    check_party(parsed, expected, expected)  # a configuration speaks about itself
    trusted = parse_jwks(parsed.claims["jwks"]) if keys is None else keys
    verify_token(parsed, trusted, now, issuer=expected, subject=expected, relayed=relayed)
    # The form alone: the address itself is judged when trust is given, and again when it is dialled.
    check_entity_id(expected, insecure_urls=insecure_urls or expected.startswith("https:"))
    configuration = _configuration(parsed)
    if participant is not None and configuration.participant != participant:
        raise TokenError("wrong_participant", f"expected {participant}, the node claims {configuration.participant}")
    return configuration


@functools.lru_cache(maxsize=512)
def read_configuration(token: str) -> NodeConfiguration:
    """A configuration that was verified before it was stored: its content, read again."""
    return _configuration(parse_token(token, ENTITY_STATEMENT))


def _configuration(parsed: ParsedToken) -> NodeConfiguration:
    claims, entity_id = parsed.claims, str(parsed.claims["iss"])
    _check_plain(claims)
    node = _member(claims["metadata"], "veza_node", dict, {})
    if type(node.get("protocol")) is not int or node["protocol"] != PROTOCOL:
        found = repr(node.get("protocol"))[:40]
        raise TokenError("unsupported_version", f"expected protocol {PROTOCOL}, found {found}")
    if claims["exp"] - claims["iat"] > LONGEST_CONFIGURATION.total_seconds():
        raise TokenError("malformed", f"expected exp at most {LONGEST_CONFIGURATION} after iat")
    federation_keys, operating_keys = parse_jwks(claims["jwks"]), parse_jwks(node.get("jwks"))
    reused = sorted(federation_keys.keys() & operating_keys.keys())
    if reused:
        raise TokenError("key_reused", f"a key is a federation or an operating key, not both: {reused[0]}")
    entity = _member(claims["metadata"], "federation_entity", dict, {})
    return NodeConfiguration(
        entity_id=entity_id,
        participant=_code(node),
        name=_member(entity, "organization_name", str, ""),
        contacts=_texts(entity, "contacts"),
        federation_keys=federation_keys,
        operating_keys=operating_keys,
        log_url=check_announced_url(node.get("log"), entity_id),
        messages_url=check_announced_url(node.get("messages"), entity_id),
        checkpoints_url=check_announced_url(node.get("checkpoints"), entity_id),
        authority_hints=_texts(claims, "authority_hints"),
        readers=_texts(node, "readers"),
        issued_at=from_timestamp(claims["iat"]),
        expires_at=from_timestamp(claims["exp"]),
        token=parsed.token,
        kid=parsed.kid,
    )


def verify_anchor_configuration(
    token: str | bytes, *, keys: KeySet, now: dt.datetime, anchor_id: str, insecure_urls: bool = False
) -> AnchorConfiguration:
    """The anchor's configuration, proven by the keys that the operator fetched out of band."""
    parsed = parse_token(token, ANCHOR_STATEMENT)
    verify_token(parsed, keys, now, issuer=anchor_id, subject=anchor_id)
    return _anchor_configuration(parsed, insecure_urls)


def _anchor_configuration(parsed: ParsedToken, insecure_urls: bool) -> AnchorConfiguration:
    claims = parsed.claims
    _check_plain(claims)
    entity = _member(claims["metadata"], "federation_entity", dict)
    return AnchorConfiguration(
        entity_id=claims["iss"],
        list_url=check_entity_id(_member(entity, "federation_list_endpoint", str), insecure_urls),
        fetch_url=check_entity_id(_member(entity, "federation_fetch_endpoint", str), insecure_urls),
        issued_at=from_timestamp(claims["iat"]),
        expires_at=from_timestamp(claims["exp"]),
        token=parsed.token,
    )


def verify_subordinate_statement(
    token: str | bytes, *, keys: KeySet, now: dt.datetime, anchor_id: str, entity_id: str
) -> SubordinateStatement:
    """The anchor's word about ``entity_id``, proven by the anchor's keys."""
    parsed = parse_token(token, ANCHOR_STATEMENT)
    verify_token(parsed, keys, now, issuer=anchor_id, subject=entity_id)
    return _subordinate_statement(parsed)


def _subordinate_statement(parsed: ParsedToken) -> SubordinateStatement:
    claims = parsed.claims
    _check_plain(claims)
    node = _member(claims["metadata"], "veza_node", dict)
    return SubordinateStatement(
        issuer=claims["iss"],
        entity_id=claims["sub"],
        participant=_code(node),
        federation_keys=parse_jwks(claims["jwks"]),
        issued_at=from_timestamp(claims["iat"]),
        expires_at=from_timestamp(claims["exp"]),
        token=parsed.token,
    )


def _check_plain(claims: Mapping[str, Any]) -> None:
    refused = [name for name in _REFUSED if name in claims]
    if refused:
        raise TokenError("malformed", f"expected a statement without {', '.join(refused)}: chains are anchor to node")


def _member(value: Mapping[str, Any], name: str, kind: type, default: object = None) -> Any:  # noqa: ANN401
    found = value.get(name, default)
    if not isinstance(found, kind):
        raise TokenError("malformed", f"expected the member {name} to be a {kind.__name__}, found {repr(found)[:80]}")
    return found


def _code(node: Mapping[str, Any]) -> str:
    """The participant code: it names rows, files and URLs, so nothing but its own form may pass (section 1)."""
    code = _member(node, "participant", str)
    if not _PARTICIPANT.fullmatch(code):
        raise TokenError("malformed", f"expected a participant code such as ME or SELEC, found {repr(code)[:80]}")
    return str(code)


def _texts(value: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = value.get(name, [])
    if not isinstance(found, list) or len(found) > _MAX_LISTED or not all(isinstance(text, str) for text in found):
        raise TokenError("malformed", f"expected {name} to be a list of at most {_MAX_LISTED} texts")
    return tuple(found)
