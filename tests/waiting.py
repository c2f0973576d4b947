"""Waiting for what other threads and processes do: by asking, up to a deadline, never by guessing."""

import time
from collections.abc import Callable
from typing import TypeVar

Answer = TypeVar("Answer")


def eventually(check: Callable[[], Answer], seconds: float = 10.0, pause: float = 0.05) -> Answer:
    """What ``check`` gives as soon as it is true; fails with its last answer when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s; the last answer was {found!r}"
        time.sleep(pause)
