"""The trust anchor that this node's operator chose, with keys fetched out of band; at most one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.store import bump_counter
from federation.addresses import IPNetwork, parse_networks
from federation.encoding import dump_json
from federation.keys import KeySet, jwks_of, read_jwks
from federation.tables import AnchorRow


@dataclass(frozen=True, slots=True)
class TrustedAnchor:
    """An anchor as the operator configured it."""

    entity_id: str
    keys: KeySet
    allowed_networks: tuple[IPNetwork, ...]


def trust_anchor(session: Session, entity_id: str, keys: KeySet, allowed_networks: Sequence[str] = ()) -> None:
    """Trust this anchor in place of any other; only an operator does that."""
    parse_networks(allowed_networks)
    session.execute(sa.delete(AnchorRow))
    session.add(
        AnchorRow(
            entity_id=entity_id,
            jwks=dump_json(jwks_of(keys)).decode("utf-8"),
            allowed_networks=json.dumps(list(allowed_networks)),
        )
    )
    session.flush()
    bump_counter(session, "federation")


def load_anchor(session: Session) -> TrustedAnchor | None:
    """The configured anchor, if there is one."""
    row = session.execute(sa.select(AnchorRow)).scalar_one_or_none()
    if row is None:
        return None
    return TrustedAnchor(
        row.entity_id,
        read_jwks(row.jwks, anchor=True),
        parse_networks(json.loads(row.allowed_networks)),
    )
