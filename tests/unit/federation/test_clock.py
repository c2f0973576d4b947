import datetime as dt

import pytest

from federation.clock import (
    AFTER_PROGRAM,
    BEFORE_RELEASE,
    BEFORE_SIGNATURE,
    RELEASED_AT,
    USED_UNTIL,
    check_clock,
    find_clock_fault,
    from_timestamp,
    whole_seconds,
)
from federation.errors import ClockError
from tests.unit.federation.samples import DAY, NOW, SECOND


def test_an_instant_is_cut_to_the_second_in_utc() -> None:
    local = NOW.replace(microsecond=999_999).astimezone(dt.timezone(dt.timedelta(hours=2)))
    assert whole_seconds(local) == NOW
    assert whole_seconds(local).tzinfo is dt.UTC


@pytest.mark.parametrize("seconds", [2**53 - 1, 10**12])
def test_a_date_beyond_the_calendar_is_its_end(seconds: int) -> None:
    assert from_timestamp(seconds) == dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    assert from_timestamp(int(NOW.timestamp())) == NOW


@pytest.mark.parametrize(
    ("now", "last", "released"),
    [
        pytest.param(NOW - 301 * SECOND, NOW, None, id="301 s before the last signature"),
        pytest.param(NOW - DAY, NOW, None, id="a day before the last signature"),
        pytest.param(dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None, NOW, id="1970 at boot"),
        pytest.param(NOW - SECOND, None, NOW, id="a second before the release"),
    ],
)
def test_a_clock_that_cannot_be_right_signs_nothing(
    now: dt.datetime, last: dt.datetime | None, released: dt.datetime | None
) -> None:
    with pytest.raises(ClockError, match="clock_implausible"):
        check_clock(now, last, released)


@pytest.mark.parametrize("ahead", [-300, 0, 1, 86_400])
def test_a_clock_near_or_after_the_last_signature_is_plausible(ahead: int) -> None:
    assert check_clock(NOW + ahead * SECOND, NOW, NOW - DAY) is None  # type: ignore[func-returns-value]


YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("now", "last", "accepted", "rule"),
    [
        pytest.param(NOW, None, None, None, id="nothing signed yet"),
        pytest.param(NOW, NOW, None, None, id="at the last signature"),
        pytest.param(NOW - 300 * SECOND, NOW, None, None, id="within the tolerance"),
        pytest.param(NOW - 301 * SECOND, NOW, None, BEFORE_SIGNATURE, id="beyond it"),
        pytest.param(NOW + 9 * YEAR, NOW, None, None, id="years later"),
        pytest.param(RELEASED_AT, None, None, None, id="at the release"),
        pytest.param(RELEASED_AT - SECOND, None, None, BEFORE_RELEASE, id="before the release"),
        pytest.param(dt.datetime(1970, 1, 1, tzinfo=dt.UTC), NOW, None, BEFORE_RELEASE, id="1970"),
        pytest.param(USED_UNTIL, NOW, None, None, id="as late as anybody uses it"),
        pytest.param(dt.datetime(2100, 1, 1, tzinfo=dt.UTC), NOW, None, AFTER_PROGRAM, id="2100"),
        pytest.param(NOW, NOW + DAY, NOW, None, id="confirmed, what was signed lies ahead"),
        pytest.param(NOW - 301 * SECOND, NOW + DAY, NOW, BEFORE_SIGNATURE, id="confirmed, and gone back since"),
        pytest.param(NOW + DAY, NOW + DAY, NOW, None, id="confirmed, and caught up"),
        pytest.param(NOW - 301 * SECOND, NOW, NOW + DAY, BEFORE_SIGNATURE, id="confirmed later than what was signed"),
        pytest.param(USED_UNTIL + DAY, None, USED_UNTIL + DAY, None, id="an operator is sure"),
    ],
)
def test_which_rule_a_clock_breaks(
    now: dt.datetime, last: dt.datetime | None, accepted: dt.datetime | None, rule: str | None
) -> None:
    fault = find_clock_fault(now, last, accepted)
    assert (None if fault is None else fault.partition(":")[0]) == rule
