"""Sending what waits in the outbox (protocol.md, section 8): signed and durable first, then posted, then settled.

    claim   one process takes the message, signs it, and makes the token durable: the receipt will name it
    send    the post, within the limits of a statement
    settle  the receipt verified and kept, or when to try again, or that it is of no use

A process killed before it settles leaves a claim that ends by itself; the message is sent again, and the receiver
answers a repeat with its first receipt.
"""

import datetime as dt
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from sqlalchemy.orm import Session

from directory.database import reading
from directory.store import bump_counter
from federation.errors import FederationError, TokenError
from federation.keys import KeySet
from federation.mailbox import (
    SentMessage,
    claim_message,
    load_due,
    load_sent,
    settle_delivered,
    settle_failed,
    settle_undeliverable,
)
from federation.messages import verify_receipt
from federation.own_node import check_clock_plausible
from federation.participants import TrustedNode, load_by_entity
from federation.peering import load_introduction
from sync.configurations import keys_in_force
from sync.errors import PeerRefusalError, StoppedError, SyncError
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.run import Run
from sync.storing import store
from sync.strangers import ask_for_configuration
from sync.transport import JWT, check_status

_LOG = logging.getLogger(__name__)
_AT_ONCE = 8
_CLAIM_RESERVE = dt.timedelta(seconds=5)
"""How much longer than the post itself a claim holds."""
_OWN_PAUSE = dt.timedelta(seconds=10)
_RETRIED_STATUS = frozenset({401, 408, 429})
_RETRIED_CODES = frozenset({"expired", "not_yet_valid"})

Clock = Callable[[], dt.datetime]
Settle = Callable[[Session, str, dt.datetime], object]


def deliver(node: Node, jti: str, now: dt.datetime, fence: Fence | None = None) -> SentMessage | None:
    """Try to deliver one message, if it is due and nobody else is at it; the message as it stands then.

    Raises StorageError, LeaseLostError, StoppedError, ClockError where this node must not sign, KeyFileError.
    """
    run = Run(node, now, fence)
    claimed = store(node.engine, lambda session: _claim(session, run, jti))
    if claimed is not None:
        settle = _send(run, claimed)
        store(node.engine, lambda session: _settle(session, run, settle, jti))
    with reading(node.engine) as session:
        return load_sent(session, jti)


def _claim(session: Session, run: Run, jti: str) -> SentMessage | None:
    check_epoch(session, run.fence)
    check_clock_plausible(session, run.now)
    until = run.now + dt.timedelta(seconds=run.node.limits.token_seconds) + _CLAIM_RESERVE
    return claim_message(session, run.node.identity, jti, run.now, until)


def _settle(session: Session, run: Run, settle: Settle, jti: str) -> None:
    check_epoch(session, run.fence)
    settle(session, jti, run.now)  # pauses count from the attempt's beginning: waiting for an answer is one too
    bump_counter(session, "federation")


def _send(run: Run, message: SentMessage) -> Settle:
    """Post the message; what is to be written about it."""
    try:
        receipt = _post(run, message)
        _verify(run, message, receipt)
    except StoppedError:
        raise
    except (SyncError, FederationError) as error:
        _LOG.info("%s was not delivered to %s: %s", message.type, message.participant, error)
        return _settle_refused(error)
    return lambda session, jti, now: settle_delivered(session, jti, receipt.decode("ascii"), now)


def _post(run: Run, message: SentMessage) -> bytes:
    limits = run.node.limits
    with reading(run.node.engine) as session:
        receiver = load_by_entity(session, message.audience)
    response = run.node.transport.post(
        message.url,
        message.tokens[-1].encode("ascii"),
        content_type=JWT,
        accept=JWT,
        max_bytes=limits.token_bytes,
        seconds=limits.token_seconds,
        allowed_networks=() if receiver is None else receiver.allowed_networks,
    )
    return check_status(response, 200).body


def _settle_refused(error: SyncError | FederationError) -> Settle:
    reason = f"{error.code}: {error.detail}"[:1000]
    if is_final(error):
        return lambda session, jti, now: settle_undeliverable(session, jti, reason, now)
    return lambda session, jti, now: settle_failed(session, jti, reason, now)


def is_final(error: Exception) -> bool:
    """Whether sending again is of no use: the receiver refused the message, and neither times nor load were why."""
    if not isinstance(error, PeerRefusalError):
        return False  # no answer, or one that proves nothing
    return not (error.status in _RETRIED_STATUS or error.status >= 500 or error.code in _RETRIED_CODES)


def _verify(run: Run, message: SentMessage, receipt: bytes) -> None:
    """Raise unless the receipt proves that the receiver holds the message."""
    with reading(run.node.engine) as session:
        known, keys = _load_receiver(session, run, message.audience)
    try:
        verify_receipt(
            receipt,
            keys,
            run.instant(),
            issuer=message.audience,
            audience=run.node.identity.entity_id,
            jti=message.jti,
            tokens=message.tokens,
        )
    except TokenError as error:
        if error.code == "unknown_key" and known is not None:
            ask_for_configuration(run.node, known, run.now)
        raise


def _load_receiver(session: Session, run: Run, entity_id: str) -> tuple[TrustedNode | None, KeySet]:
    """The receiver, where it is trusted, and its keys; those that it introduced itself with where it is not."""
    known = load_by_entity(session, entity_id)
    if known is not None and known.is_trusted(run.now):
        return known, keys_in_force(known, run.now)
    introduced = load_introduction(session, entity_id)
    return None, {} if introduced is None else introduced.operating_keys


class Outbox:
    """Delivers what is due side by side, for the worker's loop; not for several threads."""

    def __init__(self, node: Node, clock: Clock) -> None:
        self._node = node
        self._clock = clock
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="outbox")
        self._sending: dict[str, Future[SentMessage | None]] = {}
        self._not_before = dt.datetime.min.replace(tzinfo=dt.UTC)

    def tick(self, fence: Fence | None) -> None:
        """Begin to send what is due, take in what is done; waits for nothing on the network."""
        now = self._clock()
        for jti in [jti for jti, future in self._sending.items() if future.done()]:
            self._take_in(self._sending.pop(jti), now)
        if dt.timedelta(0) < self._not_before - now <= _OWN_PAUSE:  # a clock that went back does not make it longer
            return
        with reading(self._node.engine) as session:
            due = load_due(session, now)
        for jti in due:
            if jti not in self._sending and len(self._sending) < _AT_ONCE:
                self._sending[jti] = self._pool.submit(deliver, self._node, jti, now, fence)

    def _take_in(self, done: "Future[SentMessage | None]", now: dt.datetime) -> None:
        """Where this node itself could not send (its clock, its keys, its database), all messages wait a little."""
        try:
            done.result()
        except StoppedError:
            return
        except (SyncError, FederationError) as error:
            self._not_before = now + _OWN_PAUSE
            _LOG.warning("messages cannot be sent now: %s", error)

    def close(self) -> None:
        """Begin nothing more; ``Node.stop`` ends what is under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)
