"""Peering without a common anchor (protocol.md, section 3, *Peering*, and section 8): proposals, and pins.

- A proposal carries the configuration of the node that makes it, and is believed for nothing but that. It pins and
  dials nothing; it waits for this node's operator, who compares the fingerprint by another channel.
- What is pinned is the federation key that signed the configuration shown to the operator, for the code claimed there.
- Anybody can propose, so what waits is bounded: 50 at most, one per node, 20 new an hour, each for 14 days.
- A code that is bound to another node is taken until an operator removes that one.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import Base
from directory.store import bump_counter
from directory.vocabulary import PARTICIPANT_CODE
from federation.addresses import check_entity_id, parse_networks
from federation.errors import MessageError, NotHeldError, TrustError
from federation.mailbox import (
    SentMessage,
    count_received,
    count_received_from,
    load_all_sent,
    load_newest_token,
    queue_message,
    withdraw,
)
from federation.messages import parse_message
from federation.participants import (
    TrustedNode,
    bind_participant,
    end_trust,
    load_by_entity,
    load_participant,
    load_participants,
    store_configuration,
)
from federation.statements import NodeConfiguration, read_configuration, verify_configuration
from federation.tables import ProposalRow

PROPOSED = "peering.proposed"
APPROVED = "peering.approved"
REFUSED = "peering.refused"
PEERING_TYPES = (PROPOSED, APPROVED, REFUSED)
MOST_WAITING = 50
MOST_NEW = 20
NEW_WITHIN = dt.timedelta(hours=1)
MOST_OF_A_PEER = 60
"""What a node that is trusted may say of peering within the same time: operators decide seldom."""
WAITS_FOR = dt.timedelta(days=14)

_PROPOSAL = Base.metadata.tables[ProposalRow.__tablename__]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A node that waits for this node's operator."""

    configuration: NodeConfiguration
    received_at: dt.datetime

    @property
    def participant(self) -> str:
        """The code that it claims."""
        return self.configuration.participant

    @property
    def entity_id(self) -> str:
        """The node's address and name."""
        return self.configuration.entity_id

    @property
    def kid(self) -> str:
        """The federation key whose fingerprint the operators compare."""
        return self.configuration.kid


def make_body(configuration: NodeConfiguration) -> dict[str, Any]:
    """The body of every ``peering.*`` message of the node that this configuration speaks for."""
    return {"participant": configuration.participant, "configuration": configuration.token}


def read_introduction(
    body: Mapping[str, Any], issuer: str, now: dt.datetime, *, insecure_urls: bool = False
) -> NodeConfiguration:
    """The configuration that a ``peering.*`` message of ``issuer`` carries, proven by nothing but itself.

    Raises MessageError ``bad_request`` for a body of another form, else the code of the first rule that the
    configuration breaks, ``wrong_participant`` where it does not claim the body's code.
    """
    if body.keys() != {"participant", "configuration"}:
        raise _bad_body(f"exactly the members participant and configuration, found {', '.join(sorted(body)) or 'none'}")
    participant, token = body["participant"], body["configuration"]
    if not isinstance(participant, str) or not PARTICIPANT_CODE.fullmatch(participant):
        raise _bad_body(f"a participant code such as ME, found {participant!r}")
    if not isinstance(token, str) or not token.isascii():
        raise _bad_body("an entity configuration as a JWT")
    return verify_configuration(
        token, keys=None, now=now, entity_id=issuer, participant=participant, insecure_urls=insecure_urls
    )


def _bad_body(expected: str) -> MessageError:
    return MessageError("bad_request", f"body: expected {expected}"[:500])


def check_unclaimed(session: Session, participant: str, entity_id: str) -> None:
    """Raise TrustError ``participant_taken`` where the code is bound to another node, or the node to another code."""
    by_code, by_node = load_participant(session, participant), load_by_entity(session, entity_id)
    if by_code is not None and by_code.entity_id != entity_id and by_code.ended_at is None:
        raise TrustError(
            "participant_taken", f"{participant} is bound to another node here; its operator must remove that one first"
        )
    if by_node is not None and by_node.participant != participant:
        raise TrustError("participant_taken", f"{entity_id} is bound to {by_node.participant} here, not {participant}")


def check_room(session: Session, entity_id: str | None, now: dt.datetime) -> None:
    """Raise MessageError ``rate_limited`` where there were too many new messages of strangers within the hour.

    With ``entity_id`` a proposal of that node is to be kept: also where too many others wait already.
    """
    if count_received(session, now - NEW_WITHIN, *PEERING_TYPES) >= MOST_NEW:
        raise MessageError("rate_limited", f"more than {MOST_NEW} nodes proposed within an hour; try again later")
    if entity_id is None:
        return
    waiting = {proposal.entity_id for proposal in load_proposals(session, now)}
    if len(waiting - {entity_id}) >= MOST_WAITING:
        raise MessageError("rate_limited", f"{MOST_WAITING} proposals wait for this node's operator; try again later")


def check_not_too_many(session: Session, entity_id: str, now: dt.datetime) -> None:
    """Raise MessageError ``rate_limited`` where a trusted node says more of peering than operators can decide."""
    if count_received_from(session, entity_id, now - NEW_WITHIN, *PEERING_TYPES) >= MOST_OF_A_PEER:
        raise MessageError(
            "rate_limited", f"expected at most {MOST_OF_A_PEER} messages of peering an hour; wait a while"
        )


def keep_proposal(session: Session, configuration: NodeConfiguration, now: dt.datetime) -> None:
    """Let a node wait for the operator, in place of its earlier proposal; whoever calls has checked that it may."""
    drop_proposal(session, configuration.entity_id)
    session.execute(
        sa.insert(_PROPOSAL).values(
            entity_id=configuration.entity_id,
            participant=configuration.participant,
            configuration=configuration.token,
            received_at=now,
        )
    )
    bump_counter(session, "federation")


def load_proposals(session: Session, now: dt.datetime, participant: str | None = None) -> list[Proposal]:
    """The nodes that wait, oldest first; with ``participant`` those that claim this code."""
    query = sa.select(_PROPOSAL.c.configuration, _PROPOSAL.c.received_at).where(
        _PROPOSAL.c.received_at > now - WAITS_FOR
    )
    if participant is not None:
        query = query.where(_PROPOSAL.c.participant == participant)
    rows = session.execute(query.order_by(_PROPOSAL.c.received_at, _PROPOSAL.c.entity_id))
    return [Proposal(read_configuration(token), received_at) for token, received_at in rows]


def load_introduction(session: Session, entity_id: str) -> NodeConfiguration | None:
    """The configuration that a node's newest proposal carried, also after it was decided on; as far as remembered."""
    token = load_newest_token(session, entity_id, PROPOSED)
    return None if token is None else read_configuration(parse_message(token).claims["body"]["configuration"])


def drop_proposal(session: Session, entity_id: str) -> None:
    """Let this node wait no more."""
    session.execute(sa.delete(_PROPOSAL).where(_PROPOSAL.c.entity_id == entity_id))
    bump_counter(session, "federation")


def forget_proposals(session: Session, now: dt.datetime) -> None:
    """Drop what waited for too long; housekeeping's."""
    session.execute(sa.delete(_PROPOSAL).where(_PROPOSAL.c.received_at <= now - WAITS_FOR))


def pin(
    session: Session,
    configuration: NodeConfiguration,
    networks: Sequence[str],
    now: dt.datetime,
    *,
    insecure_urls: bool = False,
) -> str:
    """Trust the node of a configuration whose fingerprint the operator compared, and tell it so; the message's ``jti``.

    The key that signed the configuration is pinned for the code that it claims. A node that waits here is told that it
    is approved, any other one that this node proposes to peer. ``networks`` are the private ones (CIDR) in which its
    addresses may lie. Raises TrustError ``insecure_url``, ``participant_taken`` or ``key_reused``; nothing is changed
    then.
    """
    code, entity_id = configuration.participant, configuration.entity_id
    check_entity_id(entity_id, insecure_urls, parse_networks(networks))
    waited = any(proposal.kid == configuration.kid for proposal in _of_node(session, entity_id, now))
    key = configuration.federation_keys[configuration.kid]
    bind_participant(session, code, entity_id, "peering", {key.kid: key}, allowed_networks=networks)
    bound = load_participant(session, code)
    held = None if bound is None else bound.configuration
    if held is None or held.issued_at < configuration.issued_at:
        store_configuration(session, configuration)
    drop_proposal(session, entity_id)
    withdraw(session, entity_id, PEERING_TYPES, "conflict: replaced by a later message", now)
    return tell(session, configuration, APPROVED if waited else PROPOSED, now)


def refuse(session: Session, proposal: Proposal, now: dt.datetime) -> str:
    """Drop a proposal and tell the node that made it; the message's ``jti``."""
    drop_proposal(session, proposal.entity_id)
    return tell(session, proposal.configuration, REFUSED, now)


def tell(session: Session, peer: NodeConfiguration, type_: str, now: dt.datetime) -> str:
    """Queue a ``peering.*`` message to the node of ``peer``, with this node's own configuration; its ``jti``."""
    return queue_message(
        session,
        audience=peer.entity_id,
        participant=peer.participant,
        url=peer.messages_url,
        type_=type_,
        body=make_body(_own_configuration(session)),
        now=now,
    )


def unpin(session: Session, participant: str, now: dt.datetime) -> TrustedNode:
    """End trust in a node at once, whoever vouched for it, and send it nothing more; the node as it was.

    Raises NotHeldError where no node is bound to the code, TrustError ``forbidden`` for this node's own.
    """
    node = load_participant(session, participant)
    if node is None:
        raise NotHeldError(f"no node is bound to {participant}; `veza peer list` shows who is")
    if node.trust == "own":
        raise TrustError("forbidden", f"{participant} is this node itself")
    end_trust(session, participant, now)
    withdraw(session, node.entity_id, PEERING_TYPES, "forbidden: the peer was removed here", now)
    return node


def load_own_proposals(session: Session) -> list[SentMessage]:
    """This node's newest proposal to each node that it has pinned, oldest first."""
    pinned = {node.entity_id for node in load_participants(session) if node.trust == "peering" and not node.ended_at}
    newest = {sent.audience: sent for sent in load_all_sent(session, PROPOSED) if sent.audience in pinned}
    return list(newest.values())


def proposal_state(sent: SentMessage) -> str:
    """How a proposal of this node stands: what was answered, else ``waiting``, ``delivered`` or ``undeliverable``."""
    return sent.answer or sent.state


def _own_configuration(session: Session) -> NodeConfiguration:
    own = next(node for node in load_participants(session) if node.trust == "own")
    assert own.configuration is not None  # every node is made with one
    return own.configuration


def _of_node(session: Session, entity_id: str, now: dt.datetime) -> list[Proposal]:
    return [proposal for proposal in load_proposals(session, now) if proposal.entity_id == entity_id]
