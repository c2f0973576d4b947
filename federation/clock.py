"""Whether this node's clock can be right: it signs nothing when it cannot (protocol.md, section 5, *Clock*).

Four rules, each with a name that ``veza doctor`` shows:

- ``before_release``: the clock is before this program was released (a machine that boots in 1970);
- ``after_program``: it is later than any version of this program is used (a machine that boots in 2100);
- ``before_signature``: it is more than 300 s before what this node signed last;
- ``jumped``: it moved by more than 10 minutes against the monotonic clock. Only a running process can see that
  (``sync.clock_watch``); the others are judged by ``find_clock_fault`` from what is stored.

Where an operator or the peers confirmed the clock, what was signed before with a wrong one accuses it no more.
"""

import datetime as dt

from federation.errors import ClockError

TOLERANCE = dt.timedelta(seconds=300)
RELEASED_AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""No clock was right before: moved with the version of the program."""
USED_UNTIL = RELEASED_AT + dt.timedelta(days=20 * 365)
"""No clock is right after: nobody runs a version for twenty years."""

BEFORE_RELEASE = "before_release"
AFTER_PROGRAM = "after_program"
BEFORE_SIGNATURE = "before_signature"
JUMPED = "jumped"


def whole_seconds(instant: dt.datetime) -> dt.datetime:
    """The instant in UTC, cut to the second: what a token can carry."""
    return instant.astimezone(dt.UTC).replace(microsecond=0)


def from_timestamp(seconds: int) -> dt.datetime:
    """The aware instant of a numeric date; ``datetime.max`` for one beyond the year 9999."""
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError):
        return dt.datetime.max.replace(tzinfo=dt.UTC, microsecond=0)


def find_clock_fault(
    now: dt.datetime, last_issued_at: dt.datetime | None, accepted_at: dt.datetime | None = None
) -> str | None:
    """Why ``now`` cannot be right, as ``<rule>: <words>``; None where it can.

    ``last_issued_at`` is the ``iat`` of what this node signed last, ``accepted_at`` when its clock was last confirmed:
    from there on the clock may be before what was signed earlier, and not before the confirmation itself.
    """
    if accepted_at is not None:
        return _find_backward(now, accepted_at if last_issued_at is None else min(accepted_at, last_issued_at))
    if now < RELEASED_AT:
        return f"{BEFORE_RELEASE}: expected a clock after the program's release at {RELEASED_AT}, found {now}"
    if now > USED_UNTIL:
        return f"{AFTER_PROGRAM}: expected a clock before {USED_UNTIL}, found {now}"
    return None if last_issued_at is None else _find_backward(now, last_issued_at)


def _find_backward(now: dt.datetime, floor: dt.datetime) -> str | None:
    if now >= floor - TOLERANCE:
        return None
    return f"{BEFORE_SIGNATURE}: expected a clock not before the last signature at {floor}, found {now}"


def check_clock(now: dt.datetime, last_issued_at: dt.datetime | None, released_at: dt.datetime | None = None) -> None:
    """Raise ClockError where ``now`` is before the program's release or far before what this node last signed."""
    if released_at is not None and now < released_at:
        raise ClockError(f"expected a clock after the program's release {released_at}, found {now}; check the clock")
    if last_issued_at is not None and now < last_issued_at - TOLERANCE:
        raise ClockError(f"expected a clock not before the last signature at {last_issued_at}, found {now}")
