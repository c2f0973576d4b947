"""When an answer is due (directory.md, section 5; rule R9).

Hours are elapsed ones from receipt, whatever the clocks do meanwhile. Days end at the same wall-clock time in the
requested state's zone, so that a change of clocks does not move the time of day.
"""

import datetime as dt
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from directory import wallclock

LEGAL = "eu_2023_977"
ALIGNED = "aligned"

_ELAPSED = {"PT8H": dt.timedelta(hours=8), "PT12H": dt.timedelta(hours=12)}
_DAYS = {"P3D": dt.timedelta(days=3), "P7D": dt.timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class Deadline:
    """What is allowed (ISO 8601 duration), when that ends on the requested state's clock, and by which profile."""

    rule: str
    due: dt.datetime
    profile: str


def deadline(
    subject: str, urgency: str, access: str, received_at: dt.datetime, zone: ZoneInfo, *, both_eu: bool
) -> Deadline | None:
    """Return by when a request received at an instant has to be answered; None for judicial cooperation (``mla``).

    Between two EU states the directive binds (``eu_2023_977``); every other pair agreed to the same clocks.
    """
    rule = _rule(subject, urgency, access)
    if rule is None:
        return None
    return Deadline(rule, due_at(rule, received_at, zone), LEGAL if both_eu else ALIGNED)


def _rule(subject: str, urgency: str, access: str) -> str | None:
    if subject == "mla":
        return None
    if subject == "sis_alert":
        return "PT12H"
    if urgency == "urgent":
        return "PT8H" if access == "direct" else "P3D"
    return "P7D"


def due_at(rule: str, received_at: dt.datetime, zone: ZoneInfo) -> dt.datetime:
    """Return the end of a term as local time (aware) in the requested state's zone."""
    if rule in _ELAPSED:
        return (received_at.astimezone(dt.UTC) + _ELAPSED[rule]).astimezone(zone)
    local = received_at.astimezone(zone).replace(tzinfo=None)
    return wallclock.to_instant(local + _DAYS[rule], zone).astimezone(zone)
