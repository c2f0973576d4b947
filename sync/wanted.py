"""Pulls that were asked for by what others posted: noted in the database, so that the worker finds them."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from sync.storing import put_row
from sync.tables import WantedPullRow

REFRESH = ""
"""In place of a checkpoint: the whole pull is wanted, configuration first."""
NEWCOMERS = "*"
"""In place of a participant: the anchor is to be asked whom it vouches for now."""


def want_pull(session: Session, participant: str, token: str, now: dt.datetime) -> None:
    """Ask for a pull up to a verified checkpoint; it takes the place of what was asked before."""
    put_row(session, WantedPullRow, {"participant": participant}, {"token": token, "asked_at": now})


def want_refresh(session: Session, participant: str, now: dt.datetime) -> None:
    """Ask for a whole pull."""
    want_pull(session, participant, REFRESH, now)


def load_wanted(session: Session) -> dict[str, str]:
    """What is asked for: checkpoint tokens, or ``REFRESH``, by participant."""
    rows = session.execute(sa.select(WantedPullRow.participant, WantedPullRow.token).order_by(WantedPullRow.asked_at))
    return {row.participant: row.token for row in rows}


def forget_wanted(session: Session, participant: str, token: str) -> None:
    """This was done; what was asked for meanwhile stays."""
    session.execute(
        sa.delete(WantedPullRow).where(WantedPullRow.participant == participant, WantedPullRow.token == token)
    )
