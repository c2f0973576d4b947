"""One run of work with other nodes: its one reading of the clock, its fence, and what it moved over the wire."""

import datetime as dt
import threading
import time
from dataclasses import dataclass, field

from sync.errors import StoppedError
from sync.lease import Fence
from sync.node import Node


@dataclass(frozen=True, slots=True)
class Run:
    """``now`` is read once, at the start: everything in the run is judged by it."""

    node: Node
    now: dt.datetime
    fence: Fence | None = None
    """The lease under which the run works; None for an operator's command."""
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self.started

    def check_going_on(self) -> None:
        """Raise StoppedError where the process was asked to stop."""
        if self.node.stopping.is_set():
            raise StoppedError("this node is stopping")

    def instant(self) -> dt.datetime:
        """``now`` and what passed since: for statements that this node signs during a long run."""
        return self.now + dt.timedelta(seconds=self.elapsed)


class Traffic:
    """Counts bytes and requests of one participant's pull; several threads may count at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.bytes = 0
        self.requests = 0

    def count_request(self) -> None:
        """One more request leaves."""
        with self._lock:
            self.requests += 1

    def count_bytes(self, number: int) -> None:
        """So many bytes were sent and received."""
        with self._lock:
            self.bytes += number
