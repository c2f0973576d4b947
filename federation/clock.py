"""Whether this node's clock can be right: it signs nothing when it cannot (protocol.md, section 5, *Clock*)."""

import datetime as dt

from federation.errors import ClockError

TOLERANCE = dt.timedelta(seconds=300)


def whole_seconds(instant: dt.datetime) -> dt.datetime:
    """The instant in UTC, cut to the second: what a token can carry."""
    return instant.astimezone(dt.UTC).replace(microsecond=0)


def from_timestamp(seconds: int) -> dt.datetime:
    """The aware instant of a numeric date; ``datetime.max`` for one beyond the year 9999."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError):
        return dt.datetime.max.replace(tzinfo=dt.UTC, microsecond=0)


def check_clock(now: dt.datetime, last_issued_at: dt.datetime | None, released_at: dt.datetime | None = None) -> None:
    """Raise ClockError where ``now`` is before the program's release or far before what this node last signed."""
    if released_at is not None and now < released_at:
        raise ClockError(f"expected a clock after the program's release {released_at}, found {now}; check the clock")
    if last_issued_at is not None and now < last_issued_at - TOLERANCE:
        raise ClockError(f"expected a clock not before the last signature at {last_issued_at}, found {now}")
