"""How far one participant's log is held and proven."""

import datetime as dt
from dataclasses import dataclass

from federation.merkle import Frontier


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a log as stored: what every newer checkpoint must continue."""

    participant: str
    own: bool
    size: int
    root: bytes
    frontier: Frontier
    checkpoint: str | None
    """The newest accepted checkpoint token; None before the first."""
    issued_at: dt.datetime | None
    expires_at: dt.datetime | None
    checked_at: dt.datetime | None
    """When the origin's own address last proved this head to be the newest."""
    disputed: str | None
    """The offered checkpoint token that contradicts what is held."""
