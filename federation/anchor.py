"""Being an anchor: the nodes that this node vouches for, and its signed word about each (protocol.md, section 3)."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from federation.encoding import dump_json
from federation.errors import NotHeldError, TrustError
from federation.identity import AnchorIdentity
from federation.keys import KeySet, jwks_of, read_jwks
from federation.statements import SubordinateStatement, make_subordinate_statement
from federation.tables import EnrolmentRow


def enrol(session: Session, participant: str, entity_id: str, federation_keys: KeySet, now: dt.datetime) -> None:
    """Vouch for a node, or renew its keys.

    Raises TrustError ``participant_taken`` where the code or the node is enrolled otherwise, ``key_reused`` where a
    key is enrolled for another participant.
    """
    for row in session.execute(sa.select(EnrolmentRow)).scalars():
        if (row.participant == participant) != (row.entity_id == entity_id):
            raise TrustError("participant_taken", f"{row.participant} is already enrolled as {row.entity_id}")
        reused = read_jwks(row.jwks).keys() & federation_keys.keys()
        if reused and row.participant != participant:
            raise TrustError("key_reused", f"the federation key {min(reused)} is enrolled for {row.participant}")
    jwks = dump_json(jwks_of(federation_keys)).decode("utf-8")
    session.merge(EnrolmentRow(participant=participant, entity_id=entity_id, jwks=jwks, enrolled_at=now))
    session.flush()


def unenrol(session: Session, participant: str) -> None:
    """Vouch for a node no more; NotHeldError where it is not enrolled."""
    row = session.get(EnrolmentRow, participant)
    if row is None:
        raise NotHeldError(f"{participant} is not enrolled")
    session.delete(row)
    session.flush()


def list_enrolled(session: Session) -> list[tuple[str, str]]:
    """Participant code and entity identifier of every enrolled node, by code."""
    rows = session.execute(sa.select(EnrolmentRow.participant, EnrolmentRow.entity_id).order_by("participant"))
    return [(participant, entity_id) for participant, entity_id in rows]


def list_subordinates(session: Session) -> list[str]:
    """What the list endpoint serves: the entity identifiers, ordered."""
    return sorted(entity_id for _, entity_id in list_enrolled(session))


def fetch_statement(session: Session, anchor: AnchorIdentity, entity_id: str, now: dt.datetime) -> SubordinateStatement:
    """What the fetch endpoint serves for ``sub``, signed now; NotHeldError where the node is not enrolled."""
    row = session.execute(sa.select(EnrolmentRow).where(EnrolmentRow.entity_id == entity_id)).scalar_one_or_none()
    if row is None:
        raise NotHeldError(f"{entity_id} is not enrolled here")
    keys = read_jwks(row.jwks)
    return make_subordinate_statement(anchor, row.participant, row.entity_id, keys, now)
