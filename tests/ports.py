"""Ports for servers that tests start, below those that the system hands out by itself.

A port that the system chose may be taken by the next outgoing connection before a server listens at it.
"""

import contextlib
import random
import socket

_CHANCE = random.SystemRandom()
_given: set[int] = set()


def free_ports_in_a_row(count: int) -> int:
    """The first of so many ports that nobody listens at now."""
    while True:
        first = _CHANCE.randrange(20_000, 32_000)
        wanted = range(first, first + count)
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in wanted:
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            if _given.isdisjoint(wanted):  # whoever was given one may not listen yet
                _given.update(wanted)
                return first


def free_port() -> int:
    """A port that nobody listens at now."""
    return free_ports_in_a_row(1)
