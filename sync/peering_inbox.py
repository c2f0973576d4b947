"""What ``peering.*`` messages do here (protocol.md, section 8): they inform the operator, and pin nothing.

From a node that is trusted already they say that its operator decided: then its log is pulled at once. From any other
node a proposal waits for the operator, and the rest is only receipted.
"""

from collections.abc import Mapping

from sqlalchemy.orm import Session

from directory.database import reading
from directory.store import bump_counter
from federation.mailbox import note_answer
from federation.peering import (
    APPROVED,
    PROPOSED,
    REFUSED,
    check_not_too_many,
    check_room,
    check_unclaimed,
    keep_proposal,
    read_introduction,
)
from federation.statements import NodeConfiguration
from sync.message_handlers import Arrival, Effect, Handler
from sync.wanted import want_refresh


def _handle_proposal(arrival: Arrival) -> Effect:
    """A node wants to peer; where this node's operator pinned it already, it has pinned this one too."""
    introduction = _introduced(arrival)
    if arrival.sender is not None and arrival.sender.trust == "peering":
        return _answered(arrival, "approved")

    def wait(session: Session) -> None:
        _check_may_wait(session, arrival, introduction)
        keep_proposal(session, introduction, arrival.now)

    with reading(arrival.node.engine) as session:  # most of a flood ends here, without a lock
        _check_may_wait(session, arrival, introduction)
    return lambda session: _one_by_one(session, wait)


def _handle_approval(arrival: Arrival) -> Effect:
    """The operator of a node that was asked has pinned this one."""
    return _decided(arrival, "approved")


def _handle_refusal(arrival: Arrival) -> Effect:
    """The operator of a node that was asked does not want to peer; whom this node trusts does not change."""
    return _decided(arrival, "refused")


PEERING_HANDLERS: Mapping[str, Handler] = {
    PROPOSED: _handle_proposal,
    APPROVED: _handle_approval,
    REFUSED: _handle_refusal,
}


def _decided(arrival: Arrival, answer: str) -> Effect:
    _introduced(arrival)
    if arrival.sender is not None:
        return _answered(arrival, answer)

    def receipt_alone(session: Session) -> None:
        check_room(session, None, arrival.now)

    with reading(arrival.node.engine) as session:
        receipt_alone(session)
    return lambda session: _one_by_one(session, receipt_alone)


def _answered(arrival: Arrival, answer: str) -> Effect:
    """Note what the trusted sender's operator decided, and follow its log now that it answers."""
    sender, now = arrival.sender, arrival.now
    assert sender is not None

    def note(session: Session) -> None:
        note_answer(session, sender.entity_id, PROPOSED, answer)
        if answer == "approved":
            want_refresh(session, sender.participant, now)
        bump_counter(session, "federation")

    return note


def _introduced(arrival: Arrival) -> NodeConfiguration:
    """The configuration carried; a trusted node's must claim the code that it is trusted for."""
    introduction = read_introduction(
        arrival.message.body,
        arrival.message.issuer,
        arrival.now,
        insecure_urls=arrival.node.settings.insecure_urls,
    )
    with reading(arrival.node.engine) as session:
        check_unclaimed(session, introduction.participant, introduction.entity_id)
        if arrival.sender is not None:
            check_not_too_many(session, introduction.entity_id, arrival.now)
    return introduction


def _check_may_wait(session: Session, arrival: Arrival, introduction: NodeConfiguration) -> None:
    check_unclaimed(session, introduction.participant, introduction.entity_id)
    check_room(session, introduction.entity_id, arrival.now)


def _one_by_one(session: Session, effect: Effect) -> None:
    """Do ``effect`` after whoever else is at it, so that what is counted stays true."""
    bump_counter(session, "federation")
    effect(session)
