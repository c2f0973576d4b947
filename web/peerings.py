"""Peerings as programs read them: the command line and the API show the same (interface.md, sections 2 and 3)."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from directory.instants import format_instant
from federation.keys import fingerprint
from federation.mailbox import SentMessage
from federation.participants import TrustedNode, load_participants
from federation.peering import Proposal, load_own_proposals, load_proposals, proposal_state
from federation.statements import NodeConfiguration
from federation.words import fingerprint_words


def peerings_json(session: Session, now: dt.datetime) -> dict[str, Any]:
    """The peers, whose proposals wait for this node's operator, and how those that this node made stand."""
    peers = [node for node in load_participants(session) if node.trust == "peering"]
    return {
        "peers": [_peer_json(node) for node in peers],
        "proposals": [_proposal_json(proposal) for proposal in load_proposals(session, now)],
        "proposed": [_sent_json(sent) for sent in load_own_proposals(session)],
    }


def key_json(kid: str) -> dict[str, str]:
    """A key with its fingerprint as two people compare it."""
    return {"kid": kid, "fingerprint": fingerprint(kid), "words": " ".join(fingerprint_words(kid))}


def configuration_json(configuration: NodeConfiguration) -> dict[str, Any]:
    """A node with the federation key that signed its configuration."""
    facts = {"participant": configuration.participant, "url": configuration.entity_id}
    return facts | key_json(configuration.kid)


def _peer_json(node: TrustedNode) -> dict[str, Any]:
    kid = node.configuration.kid if node.configuration is not None else min(node.federation_keys)
    return {
        "participant": node.participant,
        "url": node.entity_id,
        **key_json(kid),
        "trusted": node.ended_at is None,
        "ended_at": None if node.ended_at is None else format_instant(node.ended_at),
        "allowed_networks": [str(network) for network in node.allowed_networks],
    }


def _proposal_json(proposal: Proposal) -> dict[str, Any]:
    return configuration_json(proposal.configuration) | {"received_at": format_instant(proposal.received_at)}


def _sent_json(sent: SentMessage) -> dict[str, Any]:
    return {
        "participant": sent.participant,
        "url": sent.audience,
        "state": proposal_state(sent),
        "proposed_at": format_instant(sent.created_at),
        "detail": sent.detail,
    }
