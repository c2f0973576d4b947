"""The nodes that are trusted for a participant code, and the configurations that were accepted from them.

The only writer of the tables ``participant``, ``configuration`` and ``proven_key``. Every change of the first two bumps
the counter ``federation``. Configurations stay for good: they prove what was accepted under them.
"""

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import insert_into
from directory.database import Base
from directory.store import bump_counter
from federation.addresses import IPNetwork, parse_networks
from federation.clock import TOLERANCE
from federation.encoding import dump_json
from federation.errors import NotHeldError, TrustError
from federation.keys import KeySet, jwks_of, read_jwks
from federation.listed_keys import read_link
from federation.statements import NodeConfiguration, read_configuration
from federation.tables import ConfigurationRow, ParticipantRow, ProvenKeyRow
from federation.trust import MAX_CHAIN, check_newer

Trust = Literal["own", "anchor", "peering"]
MOST_A_DAY = 300
"""Configurations of one participant, by their ``iat``: more than a chain, and far more than renewals and rotations."""

_PARTICIPANT = Base.metadata.tables[ParticipantRow.__tablename__]
_SELECT_BY_CODE = sa.select(_PARTICIPANT).where(_PARTICIPANT.c.participant == sa.bindparam("of"))
_SELECT_BY_ENTITY = sa.select(_PARTICIPANT).where(_PARTICIPANT.c.entity_id == sa.bindparam("of"))
_CONFIGURATION = Base.metadata.tables[ConfigurationRow.__tablename__]
_SELECT_NEWEST = (
    sa.select(_CONFIGURATION.c.token)
    .where(_CONFIGURATION.c.participant == sa.bindparam("of"))
    .order_by(_CONFIGURATION.c.issued_at.desc())
    .limit(1)
)
_SELECT_ALL = _SELECT_NEWEST.limit(None)


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
        """The operating keys that its newest configuration lists, else none."""
        return {} if self.configuration is None else self.configuration.operating_keys

    def keys_in_force(self, now: dt.datetime) -> KeySet:
        """The keys that verify what the node signs now: none where its configuration is not in force."""
        return self.operating_keys if self.has_configuration_in_force(now) else {}

    def has_configuration_in_force(self, now: dt.datetime) -> bool:
        """Whether the configuration held has not expired, and a key that trust still rests on signed it."""
        configuration = self.configuration
        if configuration is None or configuration.expires_at <= now - TOLERANCE:
            return False
        return self.trust != "anchor" or configuration.kid in self.federation_keys

    def is_trusted(self, now: dt.datetime) -> bool:
        """Whether trust is in force: not ended, and the anchor's statement, where there is one, not expired."""
        return self.ended_at is None and (self.statement_expires_at is None or now < self.statement_expires_at)


def load_participant(session: Session, participant: str) -> TrustedNode | None:
    """The node bound to a code, also where its trust has ended."""
    return _load_one(session, _SELECT_BY_CODE, participant)


def load_by_entity(session: Session, entity_id: str) -> TrustedNode | None:
    """The node with this entity identifier."""
    return _load_one(session, _SELECT_BY_ENTITY, entity_id)


def load_participants(session: Session) -> list[TrustedNode]:
    """All nodes, own one included, by code."""
    rows = session.execute(sa.select(_PARTICIPANT).order_by(_PARTICIPANT.c.participant))
    return [_node(session, row) for row in rows]


def _load_one(session: Session, query: sa.Select[Any], of: str) -> TrustedNode | None:
    row = session.execute(query, {"of": of}).one_or_none()
    return None if row is None else _node(session, row)


def _node(session: Session, row: Any) -> TrustedNode:  # noqa: ANN401  # a row of the table ``participant``
    return TrustedNode(
        participant=row.participant,
        entity_id=row.entity_id,
        trust=row.trust,
        federation_keys=read_jwks(row.federation_jwks),
        configuration=_load_configuration_of(session, row.participant, row.entity_id),
        statement_expires_at=row.statement_expires_at,
        ended_at=row.ended_at,
        allowed_networks=parse_networks(json.loads(row.allowed_networks)),
    )


def _load_configuration_of(session: Session, participant: str, entity_id: str) -> NodeConfiguration | None:
    """The newest configuration of the node that the code is bound to now: another may have had it before."""
    newest = load_configuration(session, participant)
    if newest is None or newest.entity_id == entity_id:
        return newest
    earlier = session.execute(_SELECT_ALL, {"of": participant}).scalars()
    return next((read_configuration(token) for token in earlier if read_link(token)[0] == entity_id), None)


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
    _forget_mistaken(session, participant, entity_id)
    _check_free(session, participant, entity_id)
    _check_not_reused(session, participant, federation_keys.keys())
    if trust != "anchor":
        _note_proven(session, participant, federation_keys.keys())
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
        for name, value in values.items():
            setattr(row, name, value)
    session.flush()
    bump_counter(session, "federation")


def forget_participant(session: Session, participant: str) -> None:
    """Forget which node a code was bound to, its configurations and whose its federation keys are."""
    session.execute(sa.delete(ConfigurationRow).where(ConfigurationRow.participant == participant))
    session.execute(sa.delete(ProvenKeyRow).where(ProvenKeyRow.participant == participant))
    session.execute(sa.delete(ParticipantRow).where(ParticipantRow.participant == participant))
    bump_counter(session, "federation")


def _forget_mistaken(session: Session, participant: str, entity_id: str) -> None:
    """Forget that the node was bound to another code, where the operator ended that and nothing was ever accepted."""
    row = session.execute(sa.select(ParticipantRow).where(ParticipantRow.entity_id == entity_id)).scalar_one_or_none()
    if row is None or row.participant == participant or row.ended_at is None:
        return
    if load_configuration(session, row.participant) is None:
        forget_participant(session, row.participant)
        session.expire_all()


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
    federation key of another participant signed it, ``rate_limited`` where it signed too many. Nothing held is changed.
    """
    held = _load_configuration_of(session, configuration.participant, configuration.entity_id)
    standing = check_newer(held, configuration)
    if standing == "same":
        return standing
    if held is None or not _only_removes_keys(held, configuration):  # a revocation must never wait
        _check_not_too_many(session, configuration)
    _check_not_reused(session, configuration.participant, {configuration.kid})
    _note_proven(session, configuration.participant, {configuration.kid})
    _make_room(session, configuration)
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


def _make_room(session: Session, configuration: NodeConfiguration) -> None:
    """Drop what another node, which had the code before, signed for it in the very same second."""
    same = (ConfigurationRow.participant == configuration.participant) & (
        ConfigurationRow.issued_at == configuration.issued_at
    )
    session.execute(sa.delete(ConfigurationRow).where(same))


def _only_removes_keys(held: NodeConfiguration, newer: NodeConfiguration) -> bool:
    """Whether fewer keys are listed and no new one, which can be said a few times only."""
    before = held.federation_keys.keys() | held.operating_keys.keys()
    return newer.federation_keys.keys() | newer.operating_keys.keys() < before


def _check_not_too_many(session: Session, configuration: NodeConfiguration) -> None:
    """What is kept for good must not be without measure: a node can sign a configuration for each second."""
    since = configuration.issued_at - dt.timedelta(days=1)
    query = sa.select(sa.func.count()).where(
        ConfigurationRow.participant == configuration.participant, ConfigurationRow.issued_at > since
    )
    if session.execute(query).scalar_one() >= MOST_A_DAY:
        raise TrustError(
            "rate_limited",
            f"{configuration.participant}: expected at most {MOST_A_DAY} configurations a day; the held one stays",
        )


def _check_not_reused(session: Session, participant: str, kids: Iterable[str]) -> None:
    """Only a key that is *proven* to be another's counts: anyone can list a public key, so listing shuts nobody out.

    Proven are the keys that signed an accepted configuration, and those that an operator pinned.
    """
    proven = session.execute(
        sa.select(ProvenKeyRow.kid, ProvenKeyRow.participant).where(
            ProvenKeyRow.kid.in_(list(kids)), ProvenKeyRow.participant != participant
        )
    ).first()
    if proven is not None:
        raise TrustError(
            "key_reused", f"the federation key {proven.kid} of {participant} is that of {proven.participant}"
        )


def _note_proven(session: Session, participant: str, kids: Iterable[str]) -> None:
    for kid in kids:
        insert = insert_into(session, ProvenKeyRow).values(kid=kid, participant=participant)
        session.execute(insert.on_conflict_do_nothing())


def configurations_chain(session: Session, participant: str) -> list[str]:
    """What ``GET /federation/v1/configurations/{participant}`` serves, oldest first, 256 at most.

    The configurations with which the federation keys changed, then the current one. NotHeldError where none is held.
    """
    newest_first = list(islice(_turns(_links(session, participant)), MAX_CHAIN))
    if not newest_first:
        raise NotHeldError(f"no configuration of {participant} is held")
    return newest_first[::-1]


_Link = tuple[str, frozenset[str]]


def _links(session: Session, participant: str) -> Iterator[_Link]:
    """The configurations with their federation keys, newest first, no more read at once than are needed."""
    bound = session.scalar(sa.select(ParticipantRow.entity_id).where(ParticipantRow.participant == participant))
    for token in session.execute(_SELECT_ALL.execution_options(yield_per=16), {"of": participant}).scalars():
        entity_id, kids = read_link(token)
        if bound in (None, entity_id):  # another node may have had the code before
            yield token, kids


def _turns(links: Iterator[_Link]) -> Iterator[str]:
    """The newest, then each with which the federation keys changed; the oldest is such a one."""
    newest = next(links, ("", frozenset()))
    yield from filter(None, [newest[0]])
    for (token, kids), (_, earlier) in pairwise(chain([newest], links, [("", frozenset())])):
        if kids != earlier and token != newest[0]:
            yield token


def key_warnings(session: Session) -> dict[str, list[str]]:
    """What an operator should know about each participant's keys, in words; a participant without any is left out."""
    found: dict[str, list[str]] = {}
    for kid, codes in sorted(shared_operating_keys(session).items()):
        for code in codes:
            others = ", ".join(other for other in codes if other != code)
            found.setdefault(code, []).append(
                f"lists the operating key {kid}, and so does {others}: anyone can list a key of another, so this "
                "proves nothing, but ask both operators"
            )
    return found


def shared_operating_keys(session: Session) -> dict[str, list[str]]:
    """Operating keys that two participants list, each with their codes: shown as a warning, since it proves nothing."""
    listed: dict[str, list[str]] = {}
    for node in load_participants(session):
        for kid in node.operating_keys:
            listed.setdefault(kid, []).append(node.participant)
    return {kid: codes for kid, codes in listed.items() if len(codes) > 1}
