"""Messages that other nodes post, in the steps of protocol.md, section 2; the first that fails is the answer.

Steps 1 to 5 need nothing of this node, 6 to 9 the sender's keys, 10 what was taken before, 12 the handler of the
message's type. A post whose signature fails costs no write. Taking one writes the message, its effect and its receipt
in one transaction, so that a node killed at any instant holds all of it or nothing, and the sender sends again.

A new type of message is a new entry of ``HANDLERS``.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from directory.database import reading
from federation.errors import FederationError, MessageError, TrustError
from federation.keys import KeySet
from federation.mailbox import Known, find_message, keep_conflict, take_message
from federation.messages import Message, make_receipt, parse_message, prove_message, sign_receipt_anew
from federation.own_node import check_clock_plausible
from federation.participants import TrustedNode, load_by_entity, load_configuration
from federation.peering import PEERING_TYPES, read_introduction
from federation.signing import ParsedToken, check_times, read_kid
from sync.configurations import keys_in_force
from sync.message_handlers import Arrival, Handler
from sync.node import Node
from sync.peering_inbox import PEERING_HANDLERS
from sync.storing import store
from sync.strangers import ask_for_configuration, look_up_sender

HANDLERS: Mapping[str, Handler] = {**PEERING_HANDLERS}


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who may have signed a message, and the keys that decide it."""

    entity_id: str
    keys: KeySet
    trusted: TrustedNode | None
    """None for a node that introduces itself by the configuration that its message carries."""


def receive_message(node: Node, token: bytes, now: dt.datetime) -> str:
    """Take a message that was posted; the receipt for it, the first one where it is a repeat.

    Makes its own transactions. Raises FederationError with the code of the first step that fails, after which nothing
    is changed (but that the second content under one name is kept as evidence), StorageError where the database could
    not be written: a message that is not durable is not receipted.
    """
    parsed = parse_message(token)  # (1) to (5)
    sender = _find_sender(node, parsed, now)  # (6)
    try:
        return _receive(node, parsed, sender, now)
    except FederationError as error:
        _note_refusal(node, sender, parsed, error, now)
        raise


def _receive(node: Node, parsed: ParsedToken, sender: _Sender, now: dt.datetime) -> str:
    identity = node.identity
    message = prove_message(parsed, sender.keys, issuer=sender.entity_id, audience=identity.entity_id)  # (7) to (9)
    with reading(node.engine) as session:
        check_clock_plausible(session, now)
        known = find_message(session, message)  # (10)
    if known is None:
        check_times(parsed, now)  # (11)
        known = _take(node, Arrival(node, message, sender.trusted, now))  # (12)
    if known.receipt is None:
        _keep_evidence(node, message, known, now)
        raise MessageError(
            "jti_conflict", f"the jti {message.jti} already stands for another message; choose a new one"
        )
    return _in_force(node, known.receipt)


def _take(node: Node, arrival: Arrival) -> Known:
    handler = HANDLERS.get(arrival.message.type)
    if handler is None:
        known_types = ", ".join(HANDLERS)
        raise MessageError("bad_request", f"type: expected one of {known_types}; found {arrival.message.type!r}"[:500])
    effect = handler(arrival)
    return store(
        node.engine,
        lambda session: take_message(
            session,
            arrival.message,
            arrival.now,
            lambda: effect(session),
            lambda: make_receipt(node.identity, arrival.message, arrival.now),
        ),
    )


def _find_sender(node: Node, parsed: ParsedToken, now: dt.datetime) -> _Sender:
    """Step 6: the node that the message names, with the keys that trust established for it."""
    issuer = str(parsed.claims["iss"])
    with reading(node.engine) as session:
        known = load_by_entity(session, issuer)
    if known is not None and known.trust == "own":
        raise TrustError("unknown_participant", f"{issuer} is this node itself, which writes to others only")
    if known is not None and known.is_trusted(now):
        return _trusted(known, now)
    if parsed.claims["type"] in PEERING_TYPES:
        introduction = read_introduction(parsed.claims["body"], issuer, now, insecure_urls=node.settings.insecure_urls)
        return _Sender(issuer, introduction.operating_keys, None)
    return _trusted(look_up_sender(node, issuer, now), now)


def _trusted(known: TrustedNode, now: dt.datetime) -> _Sender:
    return _Sender(known.entity_id, keys_in_force(known, now), known)


def _note_refusal(node: Node, sender: _Sender, parsed: ParsedToken, error: FederationError, now: dt.datetime) -> None:
    """Let the worker look whether a trusted sender has a new key; count what it signed and was refused for."""
    if sender.trusted is None:
        return  # anybody can make such a sender: nothing is written about it
    if error.code == "unknown_key":
        ask_for_configuration(node, sender.trusted, now)
    node.refused.note(node.engine, sender.trusted.participant, sender.keys, parsed.token, error, now)


def _keep_evidence(node: Node, message: Message, known: Known, now: dt.datetime) -> None:
    """Keep the second content that a sender signed under one name, once."""
    if not known.has_evidence:
        store(node.engine, lambda session: keep_conflict(session, message, now))


def _in_force(node: Node, receipt: str) -> str:
    """The receipt, signed anew where its key is gone, so that the sender can verify it now."""
    with reading(node.engine) as session:
        own = load_configuration(session, node.participant)
    if own is None or read_kid(receipt) in own.operating_keys:
        return receipt
    return sign_receipt_anew(node.identity, receipt)
