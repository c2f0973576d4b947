"""The nodes that are trusted for a participant code, and the configurations that were accepted from them.

The only writer of the tables ``participant`` and ``configuration``. Every change bumps the counter ``federation``.
"""

import datetime as dt
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import Base
from directory.store import bump_counter
from federation.addresses import IPNetwork, parse_networks
from federation.encoding import dump_json
from federation.errors import NotHeldError, TrustError
from federation.keys import KeySet, jwks_of, parse_jwks
from federation.signing import read_kid
from federation.statements import NodeConfiguration, read_configuration
from federation.tables import ConfigurationRow, ParticipantRow, ProvenKeyRow
from federation.trust import MAX_CHAIN, check_newer

Trust = Literal["own", "anchor", "peering"]

_CONFIGURATION = Base.metadata.tables[ConfigurationRow.__tablename__]
_SELECT_NEWEST = (
    sa.select(_CONFIGURATION.c.token)
    .where(_CONFIGURATION.c.participant == sa.bindparam("of"))
    .order_by(_CONFIGURATION.c.issued_at.desc())
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class TrustedNode:
    """A node, the code it speaks for, and what that trust rests on."""

    participant: str
    entity_id: str
    trust: Trust
    federation_keys: KeySet
    """From the anchor's statement, or the pinned key."""
    configuration: NodeConfiguration | None
    """The newest accepted one."""
    statement_expires_at: dt.datetime | None
    ended_at: dt.datetime | None
    allowed_networks: tuple[IPNetwork, ...]

    @property
    def operating_keys(self) -> KeySet:
        """The keys that verify what the node signs now: those of its newest configuration, else none."""
        return {} if self.configuration is None else self.configuration.operating_keys

    def is_trusted(self, now: dt.datetime) -> bool:
        """Whether trust is in force: not ended, and the anchor's statement, where there is one, not expired."""
        return self.ended_at is None and (self.statement_expires_at is None or now < self.statement_expires_at)


def load_participant(session: Session, participant: str) -> TrustedNode | None:
    """The node bound to a code, also where its trust has ended."""
    return _load_one(session, ParticipantRow.participant == participant)


def load_by_entity(session: Session, entity_id: str) -> TrustedNode | None:
    """The node with this entity identifier."""
    return _load_one(session, ParticipantRow.entity_id == entity_id)


def load_participants(session: Session) -> list[TrustedNode]:
    """All nodes, own one included, by code."""
    rows = session.execute(sa.select(ParticipantRow).order_by(ParticipantRow.participant)).scalars()
    return [_node(session, row) for row in rows]


def _load_one(session: Session, condition: sa.ColumnElement[bool]) -> TrustedNode | None:
    row = session.execute(sa.select(ParticipantRow).where(condition)).scalar_one_or_none()
    return None if row is None else _node(session, row)


def _node(session: Session, row: ParticipantRow) -> TrustedNode:
    return TrustedNode(
        participant=row.participant,
        entity_id=row.entity_id,
        trust=row.trust,  # type: ignore[arg-type]  # written by bind_participant alone
        federation_keys=parse_jwks(json.loads(row.federation_jwks)),
        configuration=load_configuration(session, row.participant),
        statement_expires_at=row.statement_expires_at,
        ended_at=row.ended_at,
        allowed_networks=parse_networks(json.loads(row.allowed_networks)),
    )


def bind_participant(
    session: Session,
    participant: str,
    entity_id: str,
    trust: Trust,
    federation_keys: KeySet,
    *,
    statement_expires_at: dt.datetime | None = None,
    allowed_networks: Sequence[str] | None = None,
) -> None:
    """Trust a node for a code, or renew that trust; earlier allowed networks stay where none are given.

    Raises TrustError ``participant_taken`` where the code is bound to another node, or the node to another code, and
    ``key_reused`` where one of the keys is already proven to be another participant's.
    """
    _check_free(session, participant, entity_id)
    _check_not_reused(session, participant, federation_keys.keys())
    values: dict[str, Any] = {
        "entity_id": entity_id,
        "trust": trust,
        "federation_jwks": dump_json(jwks_of(federation_keys)).decode("utf-8"),
        "statement_expires_at": statement_expires_at,
        "ended_at": None,
    }
    if allowed_networks is not None:
        parse_networks(allowed_networks)
        values["allowed_networks"] = json.dumps(list(allowed_networks))
    row = session.get(ParticipantRow, participant)
    if row is None:
        session.add(ParticipantRow(participant=participant, **{"allowed_networks": "[]"} | values))
    else:
        if row.entity_id != entity_id:
            _forget_configurations(session, participant)  # the former node's keys speak for the code no more
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()
    bump_counter(session, "federation")


def forget_participant(session: Session, participant: str) -> None:
    """Forget which node a code was bound to, its configurations and whose its federation keys are."""
    _forget_configurations(session, participant)
    session.execute(sa.delete(ProvenKeyRow).where(ProvenKeyRow.participant == participant))
    session.execute(sa.delete(ParticipantRow).where(ParticipantRow.participant == participant))
    bump_counter(session, "federation")


def _forget_configurations(session: Session, participant: str) -> None:
    session.execute(sa.delete(ConfigurationRow).where(ConfigurationRow.participant == participant))


def _check_free(session: Session, participant: str, entity_id: str) -> None:
    rows = session.execute(
        sa.select(ParticipantRow.participant, ParticipantRow.entity_id, ParticipantRow.ended_at).where(
            (ParticipantRow.participant == participant) | (ParticipantRow.entity_id == entity_id)
        )
    )
    for held_code, held_id, ended_at in rows:
        same_code_elsewhere = held_code == participant and held_id != entity_id and ended_at is None
        if same_code_elsewhere or held_code != participant:
            raise TrustError(
                "participant_taken",
                f"{held_code} is bound to {held_id}, so {entity_id} cannot be {participant}; "
                f"an operator must remove the old one first",
            )


def end_trust(session: Session, participant: str, now: dt.datetime) -> None:
    """End trust in a node at once; what was held of it stays readable as stale. NotHeldError for an unknown code."""
    row = session.get(ParticipantRow, participant)
    if row is None:
        raise NotHeldError(f"no node is bound to {participant}")
    if row.ended_at is None:
        row.ended_at = now
        session.flush()
        bump_counter(session, "federation")


def load_configuration(session: Session, participant: str) -> NodeConfiguration | None:
    """The newest accepted configuration of a participant."""
    token = session.execute(_SELECT_NEWEST, {"of": participant}).scalar_one_or_none()
    return None if token is None else read_configuration(token)


def load_configurations(session: Session, participant: str) -> list[NodeConfiguration]:
    """Every accepted configuration of a participant, oldest first."""
    tokens = session.execute(
        sa.select(ConfigurationRow.token)
        .where(ConfigurationRow.participant == participant)
        .order_by(ConfigurationRow.issued_at)
    ).scalars()
    return [read_configuration(token) for token in tokens]


def store_configuration(session: Session, configuration: NodeConfiguration) -> Literal["same", "newer"]:
    """Accept a verified configuration as the newest of its participant.

    Raises LogIntegrityError ``rollback`` where it is older than the one held, TrustError ``key_reused`` where a
    federation key of another participant signed it. Either changes nothing held.
    """
    held = load_configuration(session, configuration.participant)
    standing = check_newer(held, configuration)
    if standing == "same":
        return standing
    _check_not_reused(session, configuration.participant, {configuration.kid})
    session.add(
        ConfigurationRow(
            participant=configuration.participant,
            issued_at=configuration.issued_at,
            expires_at=configuration.expires_at,
            token=configuration.token,
        )
    )
    session.flush()
    bump_counter(session, "federation")
    return standing


def _check_not_reused(session: Session, participant: str, kids: Iterable[str]) -> None:
    """Only a key that is *proven* to be another's counts: anyone can list a public key, so listing shuts nobody out.

    Proven are the keys that signed an accepted configuration, and those that an operator pinned.
    """
    proven = {
        read_kid(token): code
        for code, token in session.execute(sa.select(ConfigurationRow.participant, ConfigurationRow.token))
    }
    pinned = session.execute(
        sa.select(ParticipantRow.participant, ParticipantRow.federation_jwks).where(ParticipantRow.trust != "anchor")
    )
    for code, jwks in pinned:
        proven |= dict.fromkeys(parse_jwks(json.loads(jwks)), code)
    for kid in kids:
        if proven.get(kid, participant) != participant:
            raise TrustError("key_reused", f"the federation key {kid} of {participant} is that of {proven[kid]}")


def configurations_chain(session: Session, participant: str) -> list[str]:
    """What ``GET /federation/v1/configurations/{participant}`` serves, oldest first, 256 at most.

    The configurations with which the federation keys changed, then the current one. NotHeldError where none is held.
    """
    configurations = load_configurations(session, participant)
    if not configurations:
        raise NotHeldError(f"no configuration of {participant} is held")
    chain, last = [], None
    for configuration in configurations:
        kids = configuration.federation_keys.keys()
        if kids != last:
            chain.append(configuration.token)
            last = kids
    if chain[-1] != configurations[-1].token:
        chain.append(configurations[-1].token)
    return chain[-MAX_CHAIN:]


def shared_operating_keys(session: Session) -> dict[str, list[str]]:
    """Operating keys that two participants list, each with their codes: shown as a warning, since it proves nothing."""
    listed: dict[str, list[str]] = {}
    for node in load_participants(session):
        for kid in node.operating_keys:
            listed.setdefault(kid, []).append(node.participant)
    return {kid: codes for kid, codes in listed.items() if len(codes) > 1}
