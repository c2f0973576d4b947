"""Whom this node trusts and by which keys, held against the statements that are stored (protocol.md, section 3)."""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import Base
from federation.addresses import parse_networks
from federation.encoding import dump_json
from federation.errors import FederationError
from federation.finding import REPAIR, Finding, short
from federation.keys import KeySet, jwks_of, parse_jwks
from federation.signing import ENTITY_STATEMENT, parse_token, verify_token
from federation.statements import NodeConfiguration, read_configuration
from federation.stored_log import Instant, StoredLog, as_instant, as_text, raw, raw_instant
from federation.tables import ConfigurationRow, ParticipantRow

_PARTICIPANT = Base.metadata.tables[ParticipantRow.__tablename__]
_CONFIGURATION = Base.metadata.tables[ConfigurationRow.__tablename__]
_BIND = "compare the node's fingerprint by another channel and bind it again: veza peer add, or veza sync (anchor)"


@dataclass(frozen=True, slots=True)
class StoredConfiguration:
    """A row of the table ``configuration``, with what its token says (or why it says nothing)."""

    issued_at: Instant
    expires_at: Instant
    token: str
    content: NodeConfiguration | FederationError


@dataclass(frozen=True, slots=True)
class _Bound:
    """A row of the table ``participant``."""

    participant: str
    entity_id: str
    trust: str
    jwks: str
    networks: str


def load_stored_configurations(session: Session, participant: str) -> list[StoredConfiguration]:
    """The configurations of one participant as they are stored, oldest first."""
    query = sa.select(
        raw_instant(session, _CONFIGURATION.c.issued_at),
        raw_instant(session, _CONFIGURATION.c.expires_at),
        raw(session, _CONFIGURATION.c.token),
    ).where(_CONFIGURATION.c.participant == participant)
    rows = session.execute(query.order_by(_CONFIGURATION.c.issued_at)).all()
    return [_stored(as_instant(start), as_instant(end), as_text(token)) for start, end, token in rows]


def _stored(issued_at: Instant, expires_at: Instant, token: str) -> StoredConfiguration:
    content: NodeConfiguration | FederationError
    try:
        content = read_configuration(token)
    except FederationError as error:
        content = error
    return StoredConfiguration(issued_at, expires_at, token, content)


def readable(configurations: list[StoredConfiguration]) -> list[NodeConfiguration]:
    """Those that say something."""
    return [stored.content for stored in configurations if isinstance(stored.content, NodeConfiguration)]


def verify_trust(session: Session, logs: list[StoredLog]) -> Iterator[Finding]:
    """Everything that is wrong with the nodes bound and the configurations held, of every participant."""
    own = {log.participant: log.own for log in logs}
    bound = {row.participant: row for row in _load_bound(session)}
    configured = session.execute(sa.select(raw(session, _CONFIGURATION.c.participant)).distinct()).scalars()
    for code in sorted({*bound, *own, *map(as_text, configured)}):
        configurations = load_stored_configurations(session, code)
        keys: KeySet = {}
        if code in bound:
            yield from _verify_bound(bound[code], readable(configurations), own.get(code))
            keys = _keys_of(bound[code]) or {}
        yield from _verify_chain(code, configurations, keys, lenient=code not in bound or bound[code].trust == "anchor")


def _load_bound(session: Session) -> list[_Bound]:
    columns = (
        _PARTICIPANT.c.participant,
        _PARTICIPANT.c.entity_id,
        _PARTICIPANT.c.trust,
        _PARTICIPANT.c.federation_jwks,
        _PARTICIPANT.c.allowed_networks,
    )
    rows = session.execute(sa.select(*(raw(session, column) for column in columns)))
    return [_Bound(*map(as_text, row)) for row in rows]


def _verify_bound(bound: _Bound, held: list[NodeConfiguration], own: bool | None) -> Iterator[Finding]:
    yield from _verify_kind(bound, own)
    if _keys_of(bound) is None:
        yield _finding(bound, "the federation keys that trust rests on, each under its thumbprint", bound.jwks)
    if not _are_networks(bound.networks):
        yield _finding(bound, "a list of networks", bound.networks)
    if held and all(configuration.entity_id != bound.entity_id for configuration in held):
        yield _finding(bound, f"the node that signed its configurations, {held[-1].entity_id}", bound.entity_id)


def _verify_kind(bound: _Bound, own: bool | None) -> Iterator[Finding]:
    if bound.trust not in ("own", "anchor", "peering"):
        yield _finding(bound, "own, anchor or peering", bound.trust)
    elif own is not None and own != (bound.trust == "own"):
        yield _finding(bound, "trust own for the own log and for no other", f"trust {bound.trust}, own log: {own}")


def _keys_of(bound: _Bound) -> KeySet | None:
    """The keys that trust rests on, None where the column is not what this node writes."""
    try:
        keys = parse_jwks(json.loads(bound.jwks))
    except (FederationError, ValueError):
        return None
    return keys if dump_json(jwks_of(keys)).decode("utf-8") == bound.jwks else None


def _are_networks(text: str) -> bool:
    try:
        parse_networks(json.loads(text))
    except (FederationError, ValueError, TypeError):
        return False
    return True


def _finding(bound: _Bound, expected: str, found: str) -> Finding:
    return Finding(bound.participant, "trust", bound.participant, expected, short(found), _BIND)


def _verify_chain(
    participant: str, configurations: list[StoredConfiguration], bound: KeySet, *, lenient: bool
) -> Iterator[Finding]:
    """Each configuration is what its row says, and signed by a federation key of the one before.

    The first rests on the keys ``bound``, and so may, under an anchor (``lenient``), each later one: its statement
    suffices. What the anchor said then is not held any more, so what a configuration itself lists counts.
    """
    before: KeySet | None = None
    for stored in configurations:
        content = stored.content
        if isinstance(content, FederationError):
            yield _broken(participant, stored, "a configuration", str(content))
            continue
        fault = _row_fault(participant, stored, content)
        keys = dict(bound) | dict(before or {})
        if before is None or lenient:
            keys |= dict(content.federation_keys)
        fault = fault or _signature_fault(content, keys)
        if fault is not None:
            yield _broken(participant, stored, "signed by a federation key of the one before", fault)
        before = content.federation_keys


def _row_fault(participant: str, stored: StoredConfiguration, content: NodeConfiguration) -> str | None:
    said = (content.participant, content.issued_at, content.expires_at)
    found = (participant, stored.issued_at, stored.expires_at)
    return None if said == found else f"a configuration of {said} in the row of {found}"


def _signature_fault(content: NodeConfiguration, keys: KeySet) -> str | None:
    try:
        parsed = parse_token(content.token, ENTITY_STATEMENT)
        now: dt.datetime = content.issued_at
        verify_token(parsed, keys, now, issuer=content.entity_id, subject=content.entity_id)
    except FederationError as error:
        return str(error)
    return None


def _broken(participant: str, stored: StoredConfiguration, expected: str, found: str) -> Finding:
    return Finding(participant, "configuration", str(stored.issued_at), expected, short(found), REPAIR)
