"""Pauses after failures (abuse.md T14)."""

import datetime as dt

import pytest

from federation.errors import EntryError, LogIntegrityError, TokenError
from sync.errors import PeerUnreachableError, StorageError
from sync.status import LONGEST_PAUSE, is_retried, pause

MINUTE = dt.timedelta(minutes=1)


@pytest.mark.parametrize(
    ("failures", "minutes"), [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (11, 1024), (12, 1440), (1000, 1440)]
)
def test_pauses_grow_from_a_minute_to_a_day(failures: int, minutes: int) -> None:
    assert pause(failures) == minutes * MINUTE


def test_no_pause_is_longer_than_a_day() -> None:
    assert max(pause(failures) for failures in range(10_000)) == LONGEST_PAUSE == dt.timedelta(hours=24)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (PeerUnreachableError("timeout", ""), True),
        (StorageError("busy", ""), True),
        (TokenError("unknown_key", ""), True),
        (EntryError("withheld_payload", ""), True),
        (LogIntegrityError("fork", ""), False),
        (LogIntegrityError("rollback", ""), False),
        (LogIntegrityError("root_mismatch", ""), False),
    ],
)
def test_contradicting_logs_are_not_retried_blindly(error: Exception, retried: bool) -> None:
    assert is_retried(error) is retried
