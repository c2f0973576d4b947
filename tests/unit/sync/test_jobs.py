"""When a daily job is due: in UTC, once a night, whatever clocks people's walls show (abuse.md F13, F14)."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.jobs import Job, is_due, last_appointed, spread

UTC = dt.UTC
DAY = dt.timedelta(days=1)
TWO = dt.time(2, 0)
INSTANTS = st.datetimes(dt.datetime(2020, 1, 1), dt.datetime(2040, 1, 1)).map(lambda at: at.replace(tzinfo=UTC))
TIMES = st.times().map(lambda time: time.replace(microsecond=0))


def job(daily: dt.time | None) -> Job:
    return Job("a job", lambda node, now, fence: None, daily=daily)


@pytest.mark.parametrize(
    ("now", "appointed"),
    [
        ("2026-11-21T02:00:00", "2026-11-21T02:00:00"),
        ("2026-11-21T01:59:59", "2026-11-20T02:00:00"),
        ("2026-11-21T23:59:59", "2026-11-21T02:00:00"),
        ("2026-03-29T02:30:00", "2026-03-29T02:00:00"),  # the night that has no 02:30 in Paris
        ("2026-10-25T02:30:00", "2026-10-25T02:00:00"),  # the night that has two
        ("2027-01-01T00:00:00", "2026-12-31T02:00:00"),
    ],
)
def test_last_appointed_time(now: str, appointed: str) -> None:
    at = dt.datetime.fromisoformat(now).replace(tzinfo=UTC)
    assert last_appointed(TWO, at) == dt.datetime.fromisoformat(appointed).replace(tzinfo=UTC)


@given(TIMES, INSTANTS)
def test_last_appointed_time_lies_within_the_last_day(daily: dt.time, now: dt.datetime) -> None:
    appointed = last_appointed(daily, now)
    assert now - DAY < appointed <= now
    assert appointed.time() == daily


@given(TIMES, INSTANTS)
def test_done_now_is_not_due_before_the_next_appointed_time(daily: dt.time, now: dt.datetime) -> None:
    following = last_appointed(daily, now) + DAY
    assert not is_due(job(daily), now, now)
    assert not is_due(job(daily), now, following - dt.timedelta(seconds=1))
    assert is_due(job(daily), now, following)


def test_never_done_is_due() -> None:
    assert is_due(job(TWO), None, dt.datetime(2026, 11, 21, tzinfo=UTC))


def test_job_without_appointed_time_may_always_run() -> None:
    now = dt.datetime(2026, 11, 21, tzinfo=UTC)
    assert is_due(job(None), now, now)


@given(st.text(), TIMES)
def test_spread_lies_within_the_hour_and_is_always_the_same(name: str, start: dt.time) -> None:
    midnight = dt.datetime(2000, 1, 1, tzinfo=UTC)
    begin = dt.datetime.combine(midnight, start, UTC)
    found = dt.datetime.combine(midnight, spread(start, name), UTC)
    offset = (found - begin) % DAY
    assert dt.timedelta(0) <= offset < dt.timedelta(hours=1)
    assert spread(start, name) == spread(start, name)


def test_nodes_are_spread_over_the_hour() -> None:
    minutes = {spread(TWO, f"https://node-{number}.example").minute for number in range(200)}
    assert len(minutes) > 40
