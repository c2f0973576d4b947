"""What this database knows of the node it belongs to: whether it may sign now, and if not, why.

One row, made when there is first something to say. Two things hold signatures back (protocol.md, section 5, *One's own
log* and *Clock*): the own log until it was compared with what the peers hold of it, and a clock that cannot be right.
The first concerns checkpoints, the second everything that carries an ``iat``.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.bulk import count_changed, insert_into
from directory.database import Base
from directory.store import bump_counter
from federation.clock import find_clock_fault
from federation.errors import ClockError, FederationError
from federation.tables import ConfigurationRow, LogRow, OwnNodeRow, ParticipantRow

HeldBack = Literal["starting", "restored", "clock", "elsewhere"]

_ROW = 1
_OWN = Base.metadata.tables[OwnNodeRow.__tablename__]
_SELECT_OWN = sa.select(_OWN.c.held_back, _OWN.c.clock_refused, _OWN.c.clock_accepted_at).where(_OWN.c.id == _ROW)
_SELECT_LAST_ISSUED = sa.select(
    sa.select(sa.func.max(LogRow.issued_at)).where(LogRow.own.is_(True)).scalar_subquery(),
    sa.select(sa.func.max(ConfigurationRow.issued_at))
    .where(
        ConfigurationRow.participant
        == sa.select(ParticipantRow.participant).where(ParticipantRow.trust == "own").scalar_subquery()
    )
    .scalar_subquery(),
)
_SELECT_DISPUTED = sa.select(LogRow.participant).where(LogRow.own.is_(True), LogRow.disputed.is_not(None))
_WORDS = {
    "starting": "the own log is being compared with what the peers hold of it; try again in some seconds",
    "restored": "the node was restored and no peer has answered yet what it holds of the own log; it asks again by "
    "itself, or `veza doctor --alone` says that no peer can be asked",
    "clock": "the clock jumped and the own log is being compared with what the peers hold of it; try again in some "
    "seconds",
    "elsewhere": "this node runs elsewhere too, from a copied data directory; stop one of the two",
}


@dataclass(frozen=True, slots=True)
class OwnNode:
    """Whether anything holds this node's signatures back."""

    held_back: str | None = None
    """Why the own log is neither signed nor served: ``starting``, ``restored``, ``clock``, ``elsewhere``, or None."""
    clock_refused: str | None = None
    """Why the clock cannot be right, as ``<rule>: <words>``; None while it is plausible."""
    clock_accepted_at: dt.datetime | None = None
    """When an operator, or the peers' clocks, confirmed it; None once that no longer matters."""


def load_own_node(session: Session) -> OwnNode:
    """What is known now; nothing is held back where nothing was ever written."""
    row = session.execute(_SELECT_OWN).first()
    return OwnNode() if row is None else OwnNode(row.held_back, row.clock_refused, row.clock_accepted_at)


def held_back_words(reason: str) -> str:
    """What an operator is told while the own log is held back for ``reason``."""
    return _WORDS[reason]


def hold_back(session: Session, reason: HeldBack | None) -> None:
    """Neither sign nor serve the own log from now on, for ``reason``; None ends that."""
    _put(session, {"held_back": reason})


def release(session: Session, reason: str) -> bool:
    """End what is held back for ``reason``; False where it is now for another one, which then stays."""
    return _change(session, _OWN.c.held_back == reason, {"held_back": None})


def refuse_clock(session: Session, reason: str) -> None:
    """Sign nothing from now on: the clock cannot be right."""
    _put(session, {"clock_refused": reason})


def believe_clock(session: Session, reason: str) -> bool:
    """The clock is again where it was plausible; False where it is refused for another reason now."""
    return _change(session, _OWN.c.clock_refused == reason, {"clock_refused": None})


def accept_clock(session: Session, now: dt.datetime) -> None:
    """An operator, or the peers' clocks, confirm that it is ``now``."""
    _put(session, {"clock_refused": None, "clock_accepted_at": now})


def forget_acceptance(session: Session, accepted_at: dt.datetime) -> bool:
    """Nothing signed lies after the clock any more: a confirmation of it says nothing further."""
    return _change(session, _OWN.c.clock_accepted_at == accepted_at, {"clock_accepted_at": None})


def load_last_issued(session: Session) -> dt.datetime | None:
    """The latest ``iat`` of the checkpoint and configuration that this node signed last."""
    return max((at for at in session.execute(_SELECT_LAST_ISSUED).one() if at is not None), default=None)


def check_clock_plausible(session: Session, now: dt.datetime | None = None) -> None:
    """Raise ClockError while the clock is refused, or where ``now`` itself cannot be right."""
    own = load_own_node(session)
    _check_not_refused(own)
    if now is not None:
        _check_plausible(now, load_last_issued(session), own)


def check_own_log_compared(session: Session) -> None:
    """Raise unless what the peers hold of this node is known here, so that its configuration may be signed.

    ClockError while the clock is refused, as that stands before everything else; else FederationError ``busy``.
    """
    own = load_own_node(session)
    _check_not_refused(own)
    _check_not_held_back(own)


def check_own_log_open(session: Session) -> None:
    """Raise FederationError ``busy`` while the own log is held back or disputed: it is neither served nor changed."""
    _check_open(session, load_own_node(session))


def _check_open(session: Session, own: OwnNode) -> None:
    _check_not_held_back(own)
    if session.execute(_SELECT_DISPUTED).first() is not None:
        raise FederationError(
            "busy",
            "peers hold another history of the own log: `veza dispute` shows both, and an operator must decide first",
        )


def check_may_sign(session: Session) -> None:
    """Raise unless a checkpoint of the own log may be signed now.

    ClockError while the clock is refused, FederationError ``busy`` while the log is held back or disputed.
    """
    own = load_own_node(session)
    _check_not_refused(own)
    _check_open(session, own)


def signing_instant(session: Session, now: dt.datetime, last_issued_at: dt.datetime | None) -> dt.datetime:
    """The instant to sign at, where ``last_issued_at`` is the ``iat`` of the same kind of statement before: never less.

    Raises ClockError while the clock is refused or where ``now`` cannot be right.
    """
    own = load_own_node(session)
    _check_not_refused(own)
    _check_plausible(now, last_issued_at, own)
    return now if last_issued_at is None else max(now, last_issued_at)


def _check_not_held_back(own: OwnNode) -> None:
    if own.held_back is not None:
        raise FederationError("busy", held_back_words(own.held_back))


def _check_not_refused(own: OwnNode) -> None:
    if own.clock_refused is not None:
        raise ClockError(
            f"{own.clock_refused}; the node signs again when its peers' clocks agree with its own, or after "
            "`veza doctor --accept-clock`"
        )


def _check_plausible(now: dt.datetime, last_issued_at: dt.datetime | None, own: OwnNode) -> None:
    fault = find_clock_fault(now, last_issued_at, own.clock_accepted_at)
    if fault is not None:
        raise ClockError(f"{fault}; correct the clock, or confirm it with `veza doctor --accept-clock`")


def _put(session: Session, values: dict[str, Any]) -> None:
    insert = insert_into(session, OwnNodeRow).values(id=_ROW, **values)
    session.execute(insert.on_conflict_do_update(index_elements=["id"], set_=values))
    bump_counter(session, "federation")


def _change(session: Session, condition: sa.ColumnElement[bool], values: dict[str, Any]) -> bool:
    changed = count_changed(session, sa.update(_OWN).where(_OWN.c.id == _ROW, condition).values(values)) == 1
    if changed:
        bump_counter(session, "federation")
    return changed
