"""What was sent and what was taken: messages outlast any crash, and none has its effect twice (protocol.md, section 8).

*Sent.* ``queue_message`` writes a message in the transaction that decided on it. ``claim_message`` signs it and makes
that durable *before* it leaves, because the receipt names the very token that arrived first; a claim ends by itself, so
whoever is killed after it is followed by the next. ``settle_…`` keeps the receipt, or when to try again.

*Taken.* ``take_message`` writes the message, its effect and its receipt in one transaction. A repeat finds the first
receipt; another content under the same name is kept beside and gets none.
"""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import count_changed
from federation.encoding import dump_json
from federation.identity import Identity
from federation.messages import Message, make_message, new_jti, read_times
from federation.signing import read_kid
from federation.tables import ParticipantRow, ReceivedMessageRow, SentMessageRow

REMEMBERED_FOR = dt.timedelta(days=60)
"""How long a message that was taken is known again."""
GIVE_UP_AFTER = dt.timedelta(days=7)
FIRST_PAUSE = dt.timedelta(seconds=1)
LONGEST_PAUSE = dt.timedelta(minutes=10)
MOST_DUE = 100
"""Messages that are begun with at one look; what is left is found at the next."""
RENEWED_BEFORE = dt.timedelta(minutes=5)
"""A token that ends sooner than this is signed anew: it may be under way for a while."""

SIGNED_ANEW_AFTER = dt.timedelta(hours=1)
"""A token that the receiver calls expired, whatever its own times say, is signed anew this often at most."""

State = Literal["waiting", "delivered", "undeliverable"]
WAITING: State = "waiting"
DELIVERED: State = "delivered"
UNDELIVERABLE: State = "undeliverable"


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of this node and what became of it."""

    jti: str
    audience: str
    """The entity identifier of the node it is for."""
    participant: str
    url: str
    type: str
    body: Mapping[str, Any] = field(repr=False)
    created_at: dt.datetime
    tokens: tuple[str, ...] = field(repr=False)
    """Every token signed for it, oldest first."""
    attempts: int
    retry_at: dt.datetime | None
    state: State
    detail: str | None
    """Why the last attempt failed, or why it was given up; begins with a problem code."""
    receipt: str | None
    answer: str | None
    """What the other operator decided, where one decides."""


def pause(attempts: int) -> dt.timedelta:
    """How long to wait after so many attempts: a second, doubled each time, up to ten minutes.

    What a ``Retry-After`` says does not matter: a peer cannot make this node wait for ever, or hurry it.
    """
    return min(FIRST_PAUSE * (1 << min(max(attempts - 1, 0), 20)), LONGEST_PAUSE)


def queue_message(
    session: Session,
    *,
    audience: str,
    participant: str,
    url: str,
    type_: str,
    body: Mapping[str, Any],
    now: dt.datetime,
) -> str:
    """Put a message into the outbox, due at once; its ``jti``. It leaves after the transaction that holds it."""
    jti = new_jti()
    session.add(
        SentMessageRow(
            jti=jti,
            audience=audience,
            participant=participant,
            url=url,
            type=type_,
            body=dump_json(body).decode("utf-8"),
            created_at=now,
            tokens="",
            attempts=0,
            retry_at=now,
            state=WAITING,
        )
    )
    session.flush()
    return jti


def load_due(session: Session, now: dt.datetime, most: int = MOST_DUE) -> list[str]:
    """The names of the messages that are to be sent now, the longest due first; of very many, the first."""
    due = sa.select(SentMessageRow.jti).where(SentMessageRow.retry_at <= now)
    order = SentMessageRow.retry_at, SentMessageRow.created_at, SentMessageRow.jti
    return list(session.execute(due.order_by(*order).limit(most)).scalars())


def load_sent(session: Session, jti: str) -> SentMessage | None:
    """One message of this node."""
    row = session.execute(_select_sent().where(SentMessageRow.jti == jti)).one_or_none()
    return None if row is None else _sent(row)


def load_all_sent(session: Session, *types: str) -> list[SentMessage]:
    """The messages of these types, oldest first."""
    query = _select_sent().where(SentMessageRow.type.in_(types)).order_by(SentMessageRow.created_at, SentMessageRow.jti)
    return [_sent(row) for row in session.execute(query)]


def claim_message(
    session: Session, identity: Identity, jti: str, now: dt.datetime, until: dt.datetime
) -> SentMessage | None:
    """Take a due message to send it, signed; None where it is not due, done, given up now, or another process's.

    Nobody else takes it before ``until``. Its newest token is the one to send: the one sent before, as long as that is
    in force and the key that signed it is still this node's; else one signed anew for the same content.
    """
    held = load_sent(session, jti)
    if held is None or held.state != WAITING or held.retry_at is None or held.retry_at > now:
        return None
    if now - held.created_at >= GIVE_UP_AFTER:
        settle_undeliverable(
            session, jti, f"timeout: no receipt within {GIVE_UP_AFTER.days} days; last {held.detail}", now
        )
        return None
    tokens = held.tokens if _may_be_sent_again(held, identity, now) else (*held.tokens, _sign(held, identity, now))
    claimed = (
        sa.update(SentMessageRow)
        .where(SentMessageRow.jti == jti, SentMessageRow.state == WAITING, SentMessageRow.attempts == held.attempts)
        .values(attempts=held.attempts + 1, retry_at=until, tokens="\n".join(tokens))
    )
    return load_sent(session, jti) if count_changed(session, claimed) == 1 else None


def settle_delivered(session: Session, jti: str, receipt: str, now: dt.datetime) -> bool:
    """Keep the receipt; False where the message was settled before."""
    return _settle(session, jti, state=DELIVERED, receipt=receipt, detail=None, retry_at=None, done_at=now)


def settle_undeliverable(session: Session, jti: str, reason: str, now: dt.datetime) -> bool:
    """Try no more; False where the message was settled before."""
    return _settle(session, jti, state=UNDELIVERABLE, detail=reason, retry_at=None, done_at=now)


def settle_failed(session: Session, jti: str, reason: str, now: dt.datetime) -> None:
    """Try again after a pause; ``reason`` begins with a problem code."""
    attempts = session.execute(sa.select(SentMessageRow.attempts).where(SentMessageRow.jti == jti)).scalar_one()
    _settle(session, jti, detail=reason, retry_at=now + pause(attempts))


def note_answer(session: Session, audience: str, type_: str, answer: str) -> None:
    """Note on the newest message of this type to ``audience`` what the operator there decided."""
    newest = (
        sa.select(SentMessageRow.jti)
        .where(SentMessageRow.audience == audience, SentMessageRow.type == type_)
        .order_by(SentMessageRow.created_at.desc())
        .limit(1)
    )
    count_changed(
        session, sa.update(SentMessageRow).where(SentMessageRow.jti.in_(newest.scalar_subquery())).values(answer=answer)
    )


def withdraw(session: Session, audience: str, types: tuple[str, ...], reason: str, now: dt.datetime) -> int:
    """Send no more of what still waits for ``audience``; how many messages."""
    waiting = sa.update(SentMessageRow).where(
        SentMessageRow.audience == audience, SentMessageRow.type.in_(types), SentMessageRow.state == WAITING
    )
    return count_changed(session, waiting.values(state=UNDELIVERABLE, detail=reason, retry_at=None, done_at=now))


def _may_be_sent_again(held: SentMessage, identity: Identity, now: dt.datetime) -> bool:
    """Whether the newest token still serves: in force here and there, and signed by a key that is still this node's."""
    if not held.tokens:
        return False
    newest = held.tokens[-1]
    issued_at, expires_at = read_times(newest)
    ended_there = (held.detail or "").startswith("expired:") and now - issued_at >= SIGNED_ANEW_AFTER
    ours = {key.kid for key in identity.operating_keys}
    return now < expires_at - RENEWED_BEFORE and read_kid(newest) in ours and not ended_there


def _sign(held: SentMessage, identity: Identity, now: dt.datetime) -> str:
    return make_message(identity, audience=held.audience, jti=held.jti, type_=held.type, body=held.body, now=now)


def _settle(session: Session, jti: str, **values: object) -> bool:
    waiting = sa.update(SentMessageRow).where(SentMessageRow.jti == jti, SentMessageRow.state == WAITING)
    return count_changed(session, waiting.values(**values)) == 1


def _select_sent() -> sa.Select[Any]:
    """Every column, as values: a session must not give back what it read before another process's update."""
    return sa.select(*sa.inspect(SentMessageRow).columns)


def _sent(row: sa.Row[Any]) -> SentMessage:
    return SentMessage(
        jti=row.jti,
        audience=row.audience,
        participant=row.participant,
        url=row.url,
        type=row.type,
        body=json.loads(row.body),
        created_at=row.created_at,
        tokens=tuple(row.tokens.splitlines()),
        attempts=row.attempts,
        retry_at=row.retry_at,
        state=row.state,
        detail=row.detail,
        receipt=row.receipt,
        answer=row.answer,
    )


@dataclass(frozen=True, slots=True)
class Known:
    """What is already held under the name of a message."""

    receipt: str | None
    """That of the same content; None where other content came first."""
    has_evidence: bool = False
    """Whether a second content under that name is kept already."""


def find_message(session: Session, message: Message) -> Known | None:
    """Step 10: what is held under the message's ``(iss, jti)``; None for a new one."""
    rows = session.execute(
        sa.select(ReceivedMessageRow.content, ReceivedMessageRow.receipt).where(
            ReceivedMessageRow.issuer == message.issuer, ReceivedMessageRow.jti == message.jti
        )
    ).all()
    if not rows:
        return None
    first = next((row for row in rows if row.content == message.content and row.receipt is not None), None)
    return Known(None if first is None else first.receipt, len(rows) > 1)


def take_message(
    session: Session, message: Message, now: dt.datetime, effect: Callable[[], None], sign: Callable[[], str]
) -> Known:
    """Take a message that is proven: its effect, its receipt and itself in this transaction, or nothing of it.

    Where it is known already it has no second effect, and what was held is given back. Where several processes take
    the same message at once, all but one fail (IntegrityError) or wait, and find it known when they try again.
    """
    known = find_message(session, message)
    if known is not None:
        return known
    receipt = sign()
    effect()
    _keep(session, message, receipt, now)  # of two processes that come as far at once, one fails here with its effect
    return Known(receipt)


def keep_conflict(session: Session, message: Message, now: dt.datetime) -> None:
    """Keep a message whose name belongs to another content, as evidence; only the first such."""
    known = find_message(session, message)
    if known is not None and not known.has_evidence:
        _keep(session, message, None, now)


def count_received(session: Session, since: dt.datetime, *types: str) -> int:
    """How many messages of these types nodes have sent since then that are not trusted now."""
    trusted = sa.select(ParticipantRow.entity_id).where(ParticipantRow.ended_at.is_(None))
    query = sa.select(sa.func.count()).where(
        ReceivedMessageRow.received_at > since,
        ReceivedMessageRow.type.in_(types),
        ReceivedMessageRow.issuer.not_in(trusted),
    )
    return int(session.execute(query).scalar_one())


def count_received_from(session: Session, issuer: str, since: dt.datetime, *types: str) -> int:
    """How many messages of these types one node has sent since then."""
    query = sa.select(sa.func.count()).where(
        ReceivedMessageRow.issuer == issuer,
        ReceivedMessageRow.received_at > since,
        ReceivedMessageRow.type.in_(types),
    )
    return int(session.execute(query).scalar_one())


def load_newest_token(session: Session, issuer: str, type_: str) -> str | None:
    """The newest message of this type that was taken from a node, as it came."""
    query = (
        sa.select(ReceivedMessageRow.token)
        .where(
            ReceivedMessageRow.issuer == issuer,
            ReceivedMessageRow.type == type_,
            ReceivedMessageRow.receipt.is_not(None),
        )
        .order_by(ReceivedMessageRow.received_at.desc())
        .limit(1)
    )
    return session.execute(query).scalar_one_or_none()


def forget_received(session: Session, now: dt.datetime) -> int:
    """Forget what was taken long ago; how many messages. Housekeeping's."""
    return count_changed(
        session, sa.delete(ReceivedMessageRow).where(ReceivedMessageRow.received_at <= now - REMEMBERED_FOR)
    )


def _keep(session: Session, message: Message, receipt: str | None, now: dt.datetime) -> None:
    values = {
        "issuer": message.issuer,
        "jti": message.jti,
        "content": message.content,
        "type": message.type,
        "token": message.token,
        "receipt": receipt,
        "received_at": now,
    }
    session.execute(sa.insert(ReceivedMessageRow).values(values))
