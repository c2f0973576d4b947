"""How long a message waits between two attempts."""

import datetime as dt

from federation.mailbox import GIVE_UP_AFTER, LONGEST_PAUSE, REMEMBERED_FOR, pause
from federation.messages import LIFETIME


def test_pauses_double_from_a_second_to_ten_minutes() -> None:
    seconds = [pause(attempts).total_seconds() for attempts in range(1, 13)]
    assert seconds == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]
    assert pause(10_000) == LONGEST_PAUSE
    assert pause(0) == dt.timedelta(seconds=1)


def test_what_is_forgotten_can_no_longer_be_sent_again() -> None:
    assert GIVE_UP_AFTER + LIFETIME + dt.timedelta(minutes=5) < REMEMBERED_FOR
