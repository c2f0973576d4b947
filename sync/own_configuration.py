"""This node's own configuration over time: renewed each day, and signed anew when something in it changes.

The daily renewal also drops keys whose overlap is over, and leads a rotation of the federation key to its end
(``sync.key_changes``) as soon as the anchor's word allows it.
"""

import datetime as dt

from sqlalchemy.orm import Session

from directory.database import reading
from federation.checkpoint import read_checkpoint
from federation.errors import FederationError
from federation.identity import Identity
from federation.log import load_head
from federation.own_configuration import NO_CHANGES, KeyChanges, renew_configuration
from federation.participants import load_configuration
from federation.publishing import renew_checkpoint
from federation.statements import NodeConfiguration
from federation.trusted_anchor import load_anchor
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.storing import store

RENEWED_AFTER = dt.timedelta(hours=23, minutes=55)
"""A configuration is renewed before it is a day old."""


def renew_own_configuration(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """Sign the own configuration anew each day; a federation key that is kept offline signs when its keeper wants."""
    identity = node.identity
    with reading(node.engine) as session:
        held = load_configuration(session, identity.participant)
    if identity.federation_key is None or held is None or now - held.issued_at < RENEWED_AFTER:
        return

    def renew(session: Session) -> None:
        check_epoch(session, fence)
        sign_configuration(session, node, node.identity, now)

    store(node.engine, renew)


def sign_configuration(
    session: Session, node: Node, identity: Identity, now: dt.datetime, changes: KeyChanges = NO_CHANGES
) -> NodeConfiguration:
    """Renew the configuration with what the operator chose, signed with the keys of ``identity``.

    Where it lists the key of the newest own checkpoint no longer, that is signed anew too: what a node shows always
    verifies. Raises what ``renew_configuration`` raises.
    """
    held, anchor = load_configuration(session, identity.participant), load_anchor(session)
    hints = held.authority_hints if held is not None and anchor is None else ()
    renewed = renew_configuration(
        session,
        identity,
        name=node.settings.name or ("" if held is None else held.name),
        now=now,
        contacts=node.settings.contacts or (() if held is None else held.contacts),
        authority_hints=hints if anchor is None else (anchor.entity_id,),
        readers=node.settings.readers,
        changes=changes,
    )
    _keep_checkpoint_signed(session, identity, renewed, now)
    return renewed


def _keep_checkpoint_signed(
    session: Session, identity: Identity, configuration: NodeConfiguration, now: dt.datetime
) -> None:
    head = load_head(session, identity.participant)
    if head is None or head.checkpoint is None:
        return
    if read_checkpoint(head.checkpoint).kid in configuration.operating_keys:
        return
    try:
        renew_checkpoint(session, identity, now)
    except FederationError as error:
        if error.code != "busy":
            raise  # while the own log is disputed it has no checkpoint; a key is removed all the same
