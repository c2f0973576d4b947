"""One attempt on a parser: its own error with a known code, or a value, within bounded time."""

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLES: Counter[str] = Counter()
"""How many examples each test has tried."""
CODES = frozenset(re.findall(r"[a-z]+(?:_[a-z0-9]+)*", Path("tests/fuzz/codes.txt").read_text(encoding="ascii")))
"""The codes of protocol.md, section 9."""
LONGEST = 2.0
"""Seconds of processor time that no input may cost; honest ones cost milliseconds."""


class Refused:
    """What ``attempt`` gives for input that was refused."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def count(name: str) -> None:
    """One more example of a test."""
    EXAMPLES[name] += 1


def attempt(
    name: str, parser: Callable[..., Any], *arguments: Any, errors: tuple[type[Exception], ...], **named: Any
) -> Any:
    """What the parser makes of its arguments, or Refused; anything else it raises fails the test."""
    count(name)
    began = time.process_time()
    try:
        made = parser(*arguments, **named)
    except errors as error:
        made = Refused(error)
    taken = time.process_time() - began
    assert taken < LONGEST, f"{taken:.1f} s of processor time"
    if isinstance(made, Refused):
        assert getattr(made.error, "code", "malformed") in CODES, made.error
        assert str(made.error), "an error says what was expected and found"
    return made
