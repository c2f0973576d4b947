"""A name for a process that others can tell to be dead: no two live processes share one, on whatever host."""

import hashlib
import os
import secrets
import socket
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")


def make_process_name() -> str:
    """``host:place:pid:random`` of this process; at most 120 characters."""
    return f"{socket.gethostname()[:60]}:{_place()}:{os.getpid()}:{secrets.token_hex(4)}"


def is_dead(name: str) -> bool:
    """Whether a process of that name surely runs no more: it ran where this one does, and its number is free.

    A process elsewhere, or one whose number was given to another, cannot be told to be dead.
    """
    _, _, rest = name.partition(":")
    place, _, rest = rest.partition(":")
    pid = rest.partition(":")[0]
    if place != _place() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (PermissionError, OverflowError):
        return False
    return False


def _place() -> str:
    """Where process numbers mean the same: one boot of one machine, and one container of it."""
    try:
        told = _BOOT_ID.read_text() + str(_PID_NAMESPACE.readlink())
    except OSError:
        return secrets.token_hex(6)  # not to be told: never the same, so nobody is taken for dead
    return hashlib.sha256(told.encode()).hexdigest()[:12]
