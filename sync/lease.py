"""One leader among processes and hosts: a lease row, taken and kept by conditional updates (abuse.md F19, F21).

A leader that stalls may wake up after another one took over. So every time the lease changes hands its *epoch* grows,
and a late write proves in its own transaction that its epoch still holds (``check_epoch``).
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from sync.errors import LeaseLostError
from sync.tables import LeaseRow

LIFETIME = dt.timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Fence:
    """A lease that was held when work began; writes of that work check it."""

    name: str
    holder: str
    epoch: int


def acquire(
    session: Session, name: str, holder: str, now: dt.datetime, lifetime: dt.timedelta = LIFETIME
) -> Fence | None:
    """Take the lease where it is free, ended or this holder's own; None where another holds it.

    The epoch grows with every taking, so that work begun before a pause cannot pass for the work begun after it. Where
    the lease can be had, this waits until every late write that saw it held (``check_epoch``) has ended.
    """
    free = LeaseRow.name == name, sa.or_(LeaseRow.holder == holder, LeaseRow.until < now)
    session.execute(sa.select(LeaseRow.epoch).where(*free).with_for_update())
    taken = session.execute(
        sa.update(LeaseRow)
        .where(*free)
        .values(holder=holder, epoch=LeaseRow.epoch + 1, until=now + lifetime)
        .execution_options(synchronize_session=False)
    )
    if _changed(taken) == 0 and not _insert(session, name, holder, now + lifetime):
        return None
    epoch = session.scalar(sa.select(LeaseRow.epoch).where(LeaseRow.name == name, LeaseRow.holder == holder))
    return None if epoch is None else Fence(name, holder, epoch)


def _insert(session: Session, name: str, holder: str, until: dt.datetime) -> bool:
    """Make the row; another process may have made it first, and then leads."""
    try:
        with session.begin_nested():
            session.execute(sa.insert(LeaseRow).values(name=name, holder=holder, epoch=1, until=until))
    except sa.exc.IntegrityError:
        return False
    return True


def release_dead(session: Session, name: str, now: dt.datetime, is_dead: Callable[[str], bool]) -> None:
    """Free the lease of a holder that is known to be dead (``kill -9``): its successor need not wait for the end."""
    held = session.execute(sa.select(LeaseRow.holder, LeaseRow.epoch).where(LeaseRow.name == name)).first()
    if held is not None and is_dead(held.holder):
        release(session, Fence(name, held.holder, held.epoch), now)


def renew(session: Session, fence: Fence, now: dt.datetime, lifetime: dt.timedelta = LIFETIME) -> bool:
    """Keep the lease; False where another took it meanwhile."""
    kept = session.execute(
        sa.update(LeaseRow)
        .where(*_is_held(fence))
        .values(until=now + lifetime)
        .execution_options(synchronize_session=False)
    )
    return _changed(kept) == 1


def release(session: Session, fence: Fence, now: dt.datetime) -> None:
    """Give the lease back, so that another process need not wait for its end."""
    session.execute(
        sa.update(LeaseRow)
        .where(*_is_held(fence))
        .values(until=now - dt.timedelta(seconds=1))
        .execution_options(synchronize_session=False)
    )


def check_epoch(session: Session, fence: Fence | None) -> None:
    """Raise LeaseLostError where the lease changed hands; no fence (a command of the operator) always passes.

    The row is locked until the transaction ends: whoever takes over comes before it, and is seen, or after it. The lock
    is one that other fenced writes and the lease's renewal do not wait for, however long the transaction is.
    """
    if fence is None:
        return
    held = session.execute(sa.select(LeaseRow.epoch).where(*_is_held(fence)).with_for_update(read=True, key_share=True))
    if held.first() is None:
        raise LeaseLostError(f"another process leads the scheduled work now (epoch {fence.epoch} has ended)")


def _is_held(fence: Fence) -> tuple[sa.ColumnElement[bool], ...]:
    return LeaseRow.name == fence.name, LeaseRow.holder == fence.holder, LeaseRow.epoch == fence.epoch


def _changed(result: sa.Result[tuple[object, ...]]) -> int:
    return int(getattr(result, "rowcount", 0))
