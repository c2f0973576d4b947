"""How far what is shown can be relied on (directory.md, section 2). Nothing stale is hidden: it is said."""

import datetime as dt
from dataclasses import dataclass

from directory.values import Unit

STALE_AFTER = dt.timedelta(hours=26)
VALID_FOR = dt.timedelta(days=90)
STATES = ("disputed", "withholding", "stale", "failing", "fresh")
"""A participant's states, worst first."""


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What is known of a participant's log.

    ``issued_at`` and ``expires_at`` are those of its newest verified checkpoint (None before the first),
    ``checked_at`` the last try, ``last_result`` its result (``ok`` or a problem code, None before the first).
    """

    issued_at: dt.datetime | None
    expires_at: dt.datetime | None
    checked_at: dt.datetime | None = None
    last_result: str | None = None
    disputed: bool = False
    withholding: bool = False
    own: bool = False
    ended: bool = False
    """Whether trust in its node has ended: it is followed no more, so what is held grows old unseen."""


def state(facts: LogFacts, now: dt.datetime) -> str:
    """Return the participant's state; of several the worst wins."""
    if facts.disputed:
        return "disputed"
    if facts.withholding:
        return "withholding"
    if _is_stale(facts, now):
        return "stale"
    if facts.last_result not in (None, "ok") and not facts.own:
        return "failing"
    return "fresh"


def _is_stale(facts: LogFacts, now: dt.datetime) -> bool:
    if facts.ended or facts.issued_at is None or now - facts.issued_at > STALE_AFTER:
        return True
    return facts.expires_at is not None and now >= facts.expires_at


def age_seconds(facts: LogFacts, now: dt.datetime) -> int | None:
    """Return how old the newest verified checkpoint is, in whole seconds; None where there is none."""
    if facts.issued_at is None:
        return None
    return max(0, int((now - facts.issued_at).total_seconds()))


def valid_until(unit: Unit) -> dt.datetime | None:
    """Return until when the owner's last confirmation counts; None where nothing says when it was confirmed."""
    if unit.valid_until is not None or unit.verified_at is None:
        return unit.valid_until
    return unit.verified_at + VALID_FOR


def verification(unit: Unit, now: dt.datetime) -> str:
    """Return ``verified`` while the owner's confirmation counts, else ``unverified``."""
    until = valid_until(unit)
    return "verified" if until is not None and now < until else "unverified"
