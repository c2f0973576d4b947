import datetime as dt

import pytest

from federation.clock import check_clock, from_timestamp, whole_seconds
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
