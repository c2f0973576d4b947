"""A peer as its operator adds and removes it: fetched to be compared, and forgotten with all that was held of it."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading
from federation.addresses import check_entity_id, parse_networks
from federation.errors import TrustError
from federation.log import drop_log
from federation.participants import forget_participant
from federation.peering import check_unclaimed
from federation.statements import NodeConfiguration, verify_configuration
from federation.tables import HeardCheckpointRow
from sync.node import Node
from sync.tables import PushedRow, RootCheckRow, SyncStatusRow, WantedPullRow
from sync.transport import ENTITY_STATEMENT, check_status

_OF_A_PARTICIPANT = (HeardCheckpointRow, RootCheckRow, SyncStatusRow, WantedPullRow, PushedRow)


def fetch_introduction(
    node: Node, url: str, participant: str, networks: Sequence[str], now: dt.datetime
) -> NodeConfiguration:
    """What the node at ``url`` says about itself: believed for nothing before its fingerprint was compared.

    ``networks`` are the private ones (CIDR) in which its address may lie. Raises TrustError ``insecure_url`` for an
    address that must not be dialled, ``participant_taken`` where the code or the node is bound otherwise here,
    PeerError where it gives no configuration, TokenError ``wrong_participant`` where it claims another code, or the
    code of the first rule that its configuration breaks.
    """
    settings, allowed = node.settings, parse_networks(networks)
    check_entity_id(url, settings.insecure_urls, allowed)
    if url == node.identity.entity_id or participant == node.participant:
        raise TrustError("participant_taken", f"{url} as {participant}: that is this node itself")
    with reading(node.engine) as session:
        check_unclaimed(session, participant, url)
    response = node.transport.get(
        f"{url}/.well-known/openid-federation",
        accept=ENTITY_STATEMENT,
        max_bytes=node.limits.token_bytes,
        seconds=node.limits.token_seconds,
        allowed_networks=allowed,
    )
    return verify_configuration(
        check_status(response, 200).body,
        keys=None,
        now=now,
        entity_id=url,
        participant=participant,
        insecure_urls=settings.insecure_urls,
    )


def forget_peer(session: Session, participant: str) -> None:
    """Drop all that is held of a participant: its log, what is shown of it, its configurations and its keys.

    Another node, or the same one as a new one, may then take the code. Evidence of disputes stays.
    """
    drop_log(session, participant)
    forget_participant(session, participant)
    for table in _OF_A_PARTICIPANT:
        session.execute(sa.delete(table).where(table.participant == participant))
